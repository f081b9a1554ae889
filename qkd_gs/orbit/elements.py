"""Orbit data from a file of any known format, and the choice of the set nearest in time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.ephemeris import Ephemeris
from qkd_gs.orbit.files.loading import read_orbits
from qkd_gs.orbit.identity import group, matching
from qkd_gs.orbit.propagate import Orbit

log = logging.getLogger(__name__)

WARN_DAYS = 3.0
REFUSE_DAYS = 60.0


@dataclass(frozen=True)
class Elements:
    """Contents of a file of orbit data: element sets or ephemerides of one or more satellites."""

    path: Path
    orbits: tuple[Orbit, ...]

    @cached_property
    def by_satellite(self) -> list[list[Orbit]]:
        """The sets of each satellite; two of one number are of two satellites if the names or designators differ."""
        return group(self.orbits)

    def satellites(self) -> list[str]:
        """Identifiers of the satellites, in the file's order; with the name where two have the same."""
        ids = [orbits[0].satellite_id for orbits in self.by_satellite]
        count = Counter(ids)
        return [
            one if count[one] == 1 else f'{orbits[0].name} ({one})'
            for one, orbits in zip(ids, self.by_satellite, strict=True)
        ]

    def only(self, satellite: str) -> Elements:
        """The sets of the satellites that a text names: by name, number or designator, else by a part of the name.

        Upper and lower case are the same.  What was chosen is logged.

        Raises
        ------
        StationError
            No such satellite in the file.
        """
        chosen = matching(self.by_satellite, satellite)
        if not chosen:
            raise StationError(
                f'no satellite {satellite!r}', where=self.path, hint=f'it has {_names(self.by_satellite)}'
            )
        log.info('%s: %r is %s', self.path, satellite, _names(chosen))
        return Elements(self.path, tuple(orbit for orbits in chosen for orbit in orbits))

    def nearest(self, t_ns: int, force: bool = False) -> Orbit:
        """The set nearest in time to UTC `t_ns`; how old it is there is logged (a warning beyond 3 days).

        Raises
        ------
        StationError
            The file holds several satellites (choose with `only`); the nearest set is older than 60 days and
            not forced; an ephemeris does not cover the time.
        """
        if len(self.by_satellite) > 1:
            raise StationError(
                f'{len(self.by_satellite)} satellites, one is required',
                where=self.path,
                hint=f'choose: {_names(self.by_satellite)}',
            )
        orbit = min(self.orbits, key=lambda o: abs(o.age_days(t_ns)))
        check_age(orbit, [t_ns], force)
        return orbit


def _names(groups: Sequence[Sequence[Orbit]]) -> str:
    names = dict.fromkeys(f'{orbits[0].name} ({orbits[0].satellite_id})' for orbits in groups)
    return ', '.join(list(names)[:10]) + (', …' if len(names) > 10 else '')


def check_age(orbit: Orbit, times_ns: Iterable[int], force: bool = False, quiet: bool = False) -> float:
    """Log which set is used, unless `quiet`; returns its largest age at the times in days, negative before the epoch.

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
    if not quiet:
        log.log(logging.WARNING if abs(age) > WARN_DAYS else logging.INFO, '%s', message)
    return age


def load_elements(path: str | Path) -> Elements:
    """Read orbit data: OMM (JSON, XML, KVN, CSV), TLE, OEM (KVN, XML) or CPF; the content tells which.

    An entry that cannot be used is left out with a warning, as long as one can.

    Raises
    ------
    StationError
        File unreadable, empty, of no known format, or without an entry that can be used; ``str()`` names the file and
        mostly the line.

    Examples
    --------
    >>> import qkd_gs
    >>> micius = qkd_gs.load_elements('config/elements/micius.tle')
    >>> micius.satellites(), len(micius.orbits)
    (['41731'], 4)
    """
    path = Path(path)
    return Elements(path, tuple(read_orbits(path)))
