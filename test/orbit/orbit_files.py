"""Files of orbits in every format, written by other hands than ours."""

import csv
import io
import json

from sgp4.exporter import export_omm
from skyfield.api import EarthSatellite

from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.ephemeris import join
from qkd_gs.orbit.ephemerides.segments import Segment
from qkd_gs.orbit.timescale import DAY_NS, format_utc, tai_minus_utc_ns, timescale, to_time, utc_julian_date

SECOND_NS = 1_000_000_000
ONE = '1 41731U 16051A   18258.22623758  .00000492  00000-0  22724-4 0  9994'
TWO = '2 41731  97.3609 172.0392 0014964 104.4528  64.8735 15.24673830115845'
KVN = """CCSDS_OMM_VERS = 2.0
COMMENT as published
OBJECT_NAME = MICIUS
OBJECT_ID = 2016-051A
CENTER_NAME = EARTH
REF_FRAME = TEME
TIME_SYSTEM = UTC
MEAN_ELEMENT_THEORY = SGP4
EPOCH = 2018-09-15T05:25:46.926912
MEAN_MOTION = 15.24673830 [rev/day]
ECCENTRICITY = 0.0014964
INCLINATION = 97.3609
RA_OF_ASC_NODE = 172.0392
ARG_OF_PERICENTER = 104.4528
MEAN_ANOMALY = 64.8735
NORAD_CAT_ID = 41731
BSTAR = 0.000022724
MEAN_MOTION_DOT = 0.00000492
"""


def ephemeris_of(name, satellite_id, where, t_ns, itrs_m, **more):
    """An ephemeris of positions at UTC times."""
    (one,) = join([Segment(name, satellite_id, where, t_ns + tai_minus_utc_ns(t_ns), itrs_m, **more)])
    if isinstance(one, StationError):
        raise one
    return one


def with_checksum(line):
    """A line of a set with the checksum of its first 68 columns."""
    total = sum(int(c) if c.isdigit() else c == '-' for c in line[:68]) % 10
    return f'{line[:68]}{total}'


def tle_with(name, number='41731', designator='16051A'):
    """The three lines of Micius's set with another name, number and designator."""
    one = with_checksum(f'1 {number}U {designator:8}{ONE[17:]}')
    return f'{name}\n{one}\n{with_checksum(f"2 {number}{TWO[7:]}")}\n'


def write(tmp_path, text, name='elements.txt'):
    path = tmp_path / name
    path.write_text(text)
    return path


def omm_fields(satrec, name='MICIUS'):
    fields = export_omm(satrec, name)
    return {key: str(value) for key, value in fields.items()}


def as_json(fields):
    return json.dumps([fields], indent=1)


def as_xml(fields):
    meta = ('OBJECT_NAME', 'OBJECT_ID', 'CENTER_NAME', 'REF_FRAME', 'TIME_SYSTEM', 'MEAN_ELEMENT_THEORY')

    def leaves(keys):
        return ''.join(f'<{key}>{fields[key]}</{key}>\n' for key in keys if key in fields)

    rest = [key for key in fields if key not in meta]
    return (
        f'<?xml version="1.0"?>\n<ndm><omm><body><segment><metadata>{leaves(meta)}</metadata>'
        f'<data><meanElements>{leaves(rest)}</meanElements></data></segment></body></omm></ndm>'
    )


def as_kvn(fields):
    return 'CCSDS_OMM_VERS = 2.0\n' + ''.join(f'{key} = {value}\n' for key, value in fields.items())


def as_csv(fields):
    text = io.StringIO()
    writer = csv.DictWriter(text, fields)
    writer.writeheader()
    writer.writerow(fields)
    return text.getvalue()


def teme_of(orbit, t_ns):
    _, km, km_s = orbit.satrec.sgp4_array(*utc_julian_date(t_ns))
    return km, km_s


def oem_text(orbit, t_ns, frame='TEME', system='UTC', extra='', offset_ns=0):
    km, km_s = teme_of(orbit, t_ns)
    if frame.startswith('ITRF'):
        km = orbit.itrs_m(t_ns) / 1e3
    if frame in ('EME2000', 'GCRF'):
        km = EarthSatellite.from_satrec(orbit.satrec, timescale()).at(to_time(t_ns)).xyz.km.T
    times = [format_utc(t + offset_ns, 6).removesuffix('Z') for t in t_ns.tolist()]
    rows = '\n'.join(' '.join((t, *(f'{v:.9f}' for v in (*r, *s)))) for t, r, s in zip(times, km, km_s, strict=True))
    return (
        f'CCSDS_OEM_VERS = 2.0\nCREATION_DATE = 2018-10-01T00:00:00\nORIGINATOR = TEST\n'
        f'META_START\nOBJECT_NAME = MICIUS\nOBJECT_ID = 2016-051A\nCENTER_NAME = EARTH\nREF_FRAME = {frame}\n'
        f'TIME_SYSTEM = {system}\nSTART_TIME = {times[0]}\nSTOP_TIME = {times[-1]}\n{extra}META_STOP\n'
        f'COMMENT rows\n{rows}\n'
    )


def cpf_text(orbit, t_ns, version=2, frame=0, direction=0):
    sequence = '276 01' if version == 2 else '7761'
    lines = [
        f'H1 CPF  {version}  TST 2018 10 03 12 {sequence} micius     NONE',
        f'H2  1605101 5001    41731 2018 10 03 15 30 00 2018 10 03 16 30 00    60 1 1  {frame} 0 0',
        'H9',
    ]
    for t, r in zip(t_ns.tolist(), orbit.itrs_m(t_ns), strict=True):
        day, rest = divmod(t, DAY_NS)
        lines.append(f'10 {direction} {day + 40587} {rest / 1e9:.6f}  0 {r[0]:.3f} {r[1]:.3f} {r[2]:.3f}')
    return '\n'.join([*lines, '99']) + '\n'


def with_line(text, number, change):
    lines = text.splitlines()
    lines[number - 1] = change(lines[number - 1])
    return '\n'.join(lines) + '\n'
