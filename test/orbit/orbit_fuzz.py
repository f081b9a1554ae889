"""Damaged files of orbit data by the thousand: each must give a right result or one sentence.

``python test/orbit/orbit_fuzz.py --files 100000 --seed 1`` runs a campaign and prints what came of it.
"""

import argparse
import json
import logging
import random
import re
import sys
import tempfile
from collections import Counter
from math import isclose
from pathlib import Path

import numpy as np
from orbit_files import KVN, SECOND_NS, as_csv, as_json, as_xml, cpf_text, oem_text, omm_fields
from sgp4.earth_gravity import wgs72
from sgp4.io import twoline2rv

from qkd_gs.errors import StationError
from qkd_gs.orbit import load_elements
from qkd_gs.orbit.propagate import MeanElements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.share import share_path

HUGE = tuple(f'{"9" * 20} -1 0 1e999 nan inf -0.0 1e-320 0x10 1_000 ٣ 2147483648 99999999999.9'.split())
WORDS = (
    *[
        'META_START',
        'META_STOP',
        'COVARIANCE_START',
        'EPOCH',
        '99',
        'null',
        'true',
        '[',
        ']',
        '{',
        '}',
        '<',
        '>',
        '&amp;',
        '=',
        ',',
        '"',
        'TEME',
        'TDB',
        'TAI',
        'ITRF',
        '25',
    ],
    *['2016-12-31T23:59:60', '0001-01-01', '9999-12-31', '2018-366', 'LAGRANGE', 'HERMITE', 'COMMENT', 'é'],
    *('H1 CPF', '1 ', '2 ', '\t', '\n', '\r', '\x00', '\x1a', '\ufeff'),
)


def seeds():
    """One small file of every format."""
    micius = load_elements(share_path('config', 'elements', 'micius.tle')).orbits[0]
    fields = omm_fields(micius.satrec)
    t_ns = parse_utc('2018-10-03T15:50:00Z') + np.arange(12) * 60 * SECOND_NS
    other = fields | {'OBJECT_NAME': 'OTHER', 'NORAD_CAT_ID': '5'}
    return {
        'tle': share_path('config', 'elements', 'micius.tle').read_text(),
        'json': as_json(fields),
        'json of two': json.dumps([fields, other], indent=0),
        'json of lines': json.dumps([{'tle0': '0 MICIUS', 'tle1': micius_lines()[0], 'tle2': micius_lines()[1]}]),
        'xml': as_xml(fields),
        'kvn': KVN,
        'csv': as_csv(fields) + as_csv(other).splitlines()[1],
        'oem': oem_text(micius, t_ns, extra='INTERPOLATION = HERMITE\nINTERPOLATION_DEGREE = 7\n'),
        'oem, fixed': oem_text(micius, t_ns, frame='ITRF2014', system='TAI'),
        'cpf': cpf_text(micius, t_ns),
    }


def micius_lines():
    lines = share_path('config', 'elements', 'micius.tle').read_text().splitlines()
    return lines[1], lines[2]


def damaged(text, generator):
    """The text after one to four changes, of a byte, a number, a line or a part."""
    for _ in range(generator.choice((1, 1, 1, 2, 2, 3, 4))):
        text = generator.choice(_CHANGES)(text, generator) or ' '
    return text


def _byte(text, generator):
    at = generator.randrange(len(text))
    return text[:at] + chr(generator.randrange(32, 127)) + text[at + 1 :]


def _word(text, generator):
    at = generator.randrange(len(text))
    return text[:at] + generator.choice(WORDS) + text[at + generator.choice((0, 0, 1, 5)) :]


def _cut(text, generator):
    at = generator.randrange(len(text))
    return text[:at] + text[at + generator.choice((1, 1, 2, 10, 100, len(text))) :]


def _double(text, generator):
    at = generator.randrange(len(text))
    end = at + generator.choice((1, 10, 70, 200))
    return text[:end] + text[at:]


def _number(text, generator):
    found = list(re.finditer(r'[-+]?[\d.]+', text))
    if not found:
        return text
    one = generator.choice(found)
    value = generator.choice((*HUGE, one[0][::-1], one[0] + '0', f'-{one[0]}', one[0][1:], one[0].replace('.', '')))
    return text[: one.start()] + value + text[one.end() :]


def _digit(text, generator):
    found = [match.start() for match in re.finditer(r'\d', text)]
    if not found:
        return text
    at = generator.choice(found)
    return text[:at] + str(generator.randrange(10)) + text[at + 1 :]


def _lines(text, generator):
    lines = text.splitlines(keepends=True)
    one, two = generator.randrange(len(lines)), generator.randrange(len(lines))
    match generator.randrange(3):
        case 0:
            lines[one], lines[two] = lines[two], lines[one]
        case 1:
            lines.insert(one, lines[two])
        case _:
            del lines[one]
    return ''.join(lines)


def _case(text, generator):
    return generator.choice((str.upper, str.lower, str.swapcase))(text)


_CHANGES = (_byte, _byte, _word, _cut, _double, _number, _number, _digit, _digit, _lines, _lines, _case)


def outcome(path, text):
    """'read' or 'refused'.

    Raises
    ------
    AssertionError
        The sentence is none, or an orbit is not the one that the file describes.
    Exception
        Any other than `StationError` that the reader lets out.
    """
    path.write_text(text, encoding='utf-8', newline='')
    try:
        orbits = load_elements(path).orbits
    except StationError as error:
        sentence = str(error)
        assert path.name in sentence, sentence
        assert '\n' not in sentence, sentence
        assert len(sentence) < 600, sentence
        return 'refused'
    for orbit in orbits:
        check(orbit, text)
    return 'read'


def check(orbit, text):
    """Positions are those of a satellite, or refused; elements are those that stand in the file."""
    times = np.array(orbit.span_ns, dtype=np.int64)
    try:
        radius_m = np.linalg.norm(orbit.itrs_m(times), axis=1)
    except StationError:
        pass
    else:
        assert np.isfinite(radius_m).all()
        assert radius_m.min() > 6.3e6
    if isinstance(orbit, MeanElements):
        as_written(orbit, text)
    elif all('ITRF' in frame for frame in re.findall(r'REF_FRAME\s*=.*', text)):
        first_m = orbit.itrs_m(times[:1])[0]
        rows = {round(number * scale) for number in numbers_of(text) if abs(number) < 1e9 for scale in (1, 1000)}
        assert all({round(x) - 1, round(x), round(x) + 1} & rows for x in first_m.tolist()), f'{first_m} is no row'


def as_written(orbit, text):
    """Inclination, eccentricity and mean motion of a set are numbers of its text, read by another hand.

    For lines of a TLE that is the reader of the package sgp4, for messages a plain search.
    """
    satrec = orbit.satrec
    pairs = [
        (one.group().rstrip('"'), two.group().rstrip('"'))
        for one, two in zip(re.finditer(r'1 [^\n"]{66,67}', text), re.finditer(r'2 [^\n"]{66,67}', text), strict=False)
    ]
    motion = satrec.no_kozai * 720 / np.pi
    for one, two in pairs:
        try:
            theirs = twoline2rv(f'{one:69}', f'{two:69}', wgs72)
        except (ArithmeticError, TypeError, ValueError):  # what it raises for lines that are none
            continue
        if isclose(theirs.inclo, satrec.inclo) and isclose(theirs.ecco, satrec.ecco):
            return
    numbers = numbers_of(text)
    for value in (np.degrees(satrec.inclo), satrec.ecco, motion):
        assert any(isclose(value, number, rel_tol=1e-9, abs_tol=1e-12) for number in numbers) or pairs, (
            f'{value} stands nowhere in the file'
        )


def numbers_of(text):
    found = re.findall(r'(?<![\d.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?', text)
    return [float(number) for number in found if len(number) < 300]


def campaign(files, seed, folder):
    """Counts of outcomes; the first failure is raised with its file kept in `folder`."""
    generator = random.Random(seed)
    originals = seeds()
    counts = Counter()
    path = Path(folder) / 'damaged.txt'
    for _ in range(files):
        form = generator.choice(list(originals))
        text = damaged(originals[form], generator)
        if generator.random() < 0.05:  # parts of two formats
            other = generator.choice(list(originals.values()))
            text = text[: generator.randrange(len(text) + 1)] + other[generator.randrange(len(other)) :]
        counts[form, outcome(path, text)] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description='damaged files of orbit data: a right result or one sentence')
    parser.add_argument('--files', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        try:
            counts = campaign(args.files, args.seed, folder)
        except Exception:
            kept = Path(tempfile.gettempdir()) / f'damaged-{args.seed}.txt'
            kept.write_bytes((Path(folder) / 'damaged.txt').read_bytes())
            sys.stderr.write(f'failed on the file kept as {kept}\n')
            raise
    document = {' '.join(key): count for key, count in sorted(counts.items())} | {'files': sum(counts.values())}
    sys.stdout.write(json.dumps(document) + '\n')


if __name__ == '__main__':
    main()
