"""Orbit data from a file of any known format, and the choice of the set nearest in time."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.orbit import cpf, oem, omm, tle
from qkd_gs.orbit.propagate import Ephemeris, Orbit, source

log = logging.getLogger(__name__)

WARN_DAYS = 3.0
REFUSE_DAYS = 60.0


@dataclass(frozen=True)
class Elements:
    """Contents of a file of orbit data: element sets or ephemerides of one or more satellites."""

    path: Path
    orbits: tuple[Orbit, ...]

    def satellites(self) -> list[str]:
        """Identifiers of the satellites, in the file's order."""
        return list(dict.fromkeys(orbit.satellite_id for orbit in self.orbits))

    def only(self, satellite: str) -> Elements:
        """The sets of one satellite, by name (any case) or identifier.

        Raises
        ------
        StationError
            No such satellite in the file.
        """
        name = satellite.strip().upper()
        ids = {o.satellite_id for o in self.orbits if name in (o.satellite_id.upper(), o.name.upper())}
        if not ids:
            raise StationError(f'no satellite {satellite!r}', where=self.path, hint=f'it has {self._names()}')
        return Elements(self.path, tuple(o for o in self.orbits if o.satellite_id in ids))

    def nearest(self, t_ns: int, force: bool = False) -> Orbit:
        """The set nearest in time to UTC `t_ns`; how old it is there is logged (a warning beyond 3 days).

        Raises
        ------
        StationError
            The file holds several satellites (choose with `only`); the nearest set is older than 60 days and
            not forced; an ephemeris does not cover the time.
        """
        if len(self.satellites()) > 1:
            raise StationError(
                f'{len(self.satellites())} satellites, one is required',
                where=self.path,
                hint=f'choose: {self._names()}',
            )
        orbit = min(self.orbits, key=lambda o: abs(o.age_days(t_ns)))
        check_age(orbit, [t_ns], force)
        return orbit

    def _names(self) -> str:
        names = dict.fromkeys(f'{orbit.name} ({orbit.satellite_id})' for orbit in self.orbits)
        return ', '.join(list(names)[:10]) + (', …' if len(names) > 10 else '')


def check_age(orbit: Orbit, times_ns: Iterable[int], force: bool = False) -> float:
    """Log which set is used; returns its largest age at the times in days, negative before the epoch.

    Raises
    ------
    StationError
        Mean elements more than 60 days away, unless forced; a time that an ephemeris does not cover.
    """
    age = max((orbit.age_days(t_ns) for t_ns in times_ns), key=abs)
    if isinstance(orbit, Ephemeris):
        if age != 0:
            raise StationError(f'{orbit.describe()} does not cover the requested time, {abs(age):.1f} days off',
                               where=orbit.where)  # fmt: skip
        log.info('%s', orbit.describe())
        return age
    side = 'after' if age >= 0 else 'before'
    message = f'{orbit.describe()}, {abs(age):.1f} days {"old" if age >= 0 else "in the future"} at the requested time'
    if abs(age) > REFUSE_DAYS and not force:
        raise StationError(
            f'{orbit.describe()}: the requested time is {abs(age):.1f} days {side} it, more than {REFUSE_DAYS:.0f}',
            where=orbit.where,
            hint='get newer elements, or --force',
        )
    log.log(logging.WARNING if abs(age) > WARN_DAYS else logging.INFO, '%s', message)
    return age


def load_elements(path: str | Path) -> Elements:
    """Read orbit data: OMM (JSON, XML, KVN, CSV), TLE, OEM (KVN, XML) or CPF; the content tells which.

    Raises
    ------
    StationError
        File unreadable, empty, of no known format, or broken; ``str()`` names the file and mostly the line.

    Examples
    --------
    >>> import qkd_gs
    >>> micius = qkd_gs.load_elements('config/elements/micius.tle')
    >>> micius.satellites(), len(micius.orbits)
    (['41731'], 4)
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise StationError(f'byte 0x{data[error.start]:02x} is not text', where=source(path, line)) from error
    if not text.strip():
        raise StationError('is empty', where=path, hint='it should hold OMM, TLE, OEM or CPF')
    for pattern, read in _FORMATS:
        if pattern.search(text):
            orbits = read(path, text)
            if not orbits:
                raise StationError('holds no orbit', where=path)
            return Elements(path, tuple(orbits))
    raise StationError('not a known format of orbit data', where=source(path, 1), hint='OMM, TLE, OEM or CPF')


def _read_xml(path: Path, text: str) -> Sequence[Orbit]:
    root = omm.parse_xml(path, text)
    ephemeris = root.tag.rpartition('}')[2] == 'oem' or root.find('{*}oem') is not None
    return oem.read_oem_xml(path, root) if ephemeris else omm.read_xml(path, text, root)


_FORMATS: tuple[tuple[re.Pattern[str], Callable[[Path, str], Sequence[Orbit]]], ...] = (
    (re.compile(r'\A\s*[\[{]'), omm.read_json),
    (re.compile(r'\A\s*<'), _read_xml),
    (re.compile(r'\A\s*CCSDS_OEM_VERS'), oem.read_oem),
    (re.compile(r'\A\s*CCSDS_OMM_VERS'), omm.read_kvn),
    (re.compile(r'\A\s*H1\s+CPF', re.IGNORECASE), cpf.read_cpf),
    (re.compile(r'\A(?=[^\n]*,)[^\n]*\b(NORAD_CAT_ID|EPOCH|MEAN_MOTION)\b'), omm.read_csv),
    (re.compile(r'^[12] [ A-Z\d]', re.MULTILINE), tle.read_tle),
)
