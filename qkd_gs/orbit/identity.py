"""Identity of a satellite: name, catalogue number and international designator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sgp4.alpha5 import from_alpha5

_ALPHA5 = re.compile(r'[A-HJ-NP-Z]\d{4}', re.ASCII)
_DESIGNATOR = re.compile(r'(\d{4}(?=-|\d{3}[A-Z])|\d{2})-?(\d{1,3})([A-Z]{1,3})', re.ASCII)
_FIRST_YEAR = 57  # two-digit years from here on are of the 20th century


class Identified(Protocol):
    """Anything that belongs to one satellite."""

    @property
    def name(self) -> str:
        """Name from the file; the identifier if there is none."""

    @property
    def satellite_id(self) -> str:
        """Catalogue number; without one the designator, then the name."""

    @property
    def designator(self) -> str:
        """International designator from the file; may be empty."""


T = TypeVar('T', bound=Identified)


@dataclass(frozen=True)
class Identity:
    """Names and numbers of a satellite, as far as they are known."""

    name: str  # folded; empty: not given
    number: int | None
    designator: str  # as 2016-051A; empty: not given

    @classmethod
    def of(cls, one: Identified) -> Identity:
        """Identity of an orbit."""
        number = parse_number(one.satellite_id)
        designator = parse_designator(one.designator or one.satellite_id)
        name = '' if one.name == one.satellite_id else fold(one.name)
        return cls(name, number, designator)

    def known(self) -> list[tuple[str, object]]:
        """Everything that another identity of the same satellite shares with this one, in part."""
        parts = {'name': self.name, 'number': self.number, 'designator': self.designator}
        return [(key, value) for key, value in parts.items() if value not in ('', None)]

    def agrees(self, other: Identity) -> bool:
        """Whether both have something in common and nothing in which they differ."""
        mine, theirs = dict(self.known()), dict(other.known())
        shared = mine.keys() & theirs.keys()
        return bool(shared) and all(mine[key] == theirs[key] for key in shared)


def group(ones: Sequence[T]) -> list[list[T]]:
    """The orbits of each satellite; satellites, and the orbits of each, in the given order."""
    groups: list[list[T]] = []
    heads: list[Identity] = []
    by_key: dict[tuple[str, object], list[int]] = {}
    for one in ones:
        identity = Identity.of(one)
        candidates = {k: None for key in identity.known() for k in by_key.get(key, [])}
        found = next((k for k in candidates if heads[k].agrees(identity)), None)
        if found is None:
            found = len(groups)
            groups.append([])
            heads.append(identity)
            for key in identity.known():
                by_key.setdefault(key, []).append(found)
        groups[found].append(one)
    return groups


def matching(groups: Sequence[Sequence[T]], text: str) -> list[Sequence[T]]:
    """Groups that `text` names: the whole name, else number or designator, else a part of the name.

    Upper and lower case are the same.  Numbers may have leading zeros or the letter of Alpha-5 (``T0001``),
    designators may be written ``2016-051A`` or ``16051A``.
    """
    wanted = fold(text)
    if not wanted:
        return []
    whole = [one for one in groups if any(fold(orbit.name) == wanted for orbit in one)]
    if whole:
        return whole
    number, designator = parse_number(wanted), parse_designator(wanted)
    exact = [
        one
        for one in groups
        if any(
            orbit.satellite_id.upper() == wanted
            or (number is not None and parse_number(orbit.satellite_id) == number)
            or (designator and designator in (parse_designator(orbit.designator), parse_designator(orbit.satellite_id)))
            for orbit in one
        )
    ]
    return exact or [one for one in groups if any(wanted in fold(orbit.name) for orbit in one)]


def fold(name: str) -> str:
    """A name with one case and single spaces."""
    return ' '.join(name.upper().split())


def parse_number(text: str) -> int | None:
    """Catalogue number of decimal digits or Alpha-5; None if it is none, or zero."""
    text = text.strip().upper()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text) or None
    return int(from_alpha5(text)) if _ALPHA5.fullmatch(text) else None


def parse_designator(text: str) -> str:
    """International designator as ``2016-051A``; empty if it is none."""
    match = _DESIGNATOR.fullmatch(text.strip().upper())
    if match is None:
        return ''
    year, launch = int(match[1]), int(match[2])
    if len(match[1]) == 2:
        year += 1900 if year >= _FIRST_YEAR else 2000
    if year < 1900 + _FIRST_YEAR:
        return ''
    return f'{year}-{launch:03}{match[3]}'
