"""parts.json: the parts in which a session was announced, so that a repeated run announces the same; nothing secret."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from qkd_gs.session.atomic_file import replace_file
from qkd_gs.session.manifest import LockedSpan, Manifest
from qkd_gs.settings.loader import Section, load_if_there

FILE_NAME = 'parts.json'
BEHIND_NS = 2_500_000_000  # of tags behind the end of a part, to which its clock is fitted, too
LAST_BEHIND_NS = 20_000_000  # the same of the last one: it is waited for
_GAP_NS = 1_000_000  # in front of a part but the first: longer than any hold-off


class Part(Section):
    """A part as it was known when it was announced: later knowledge of the orbit would number clicks otherwise."""

    until_ns: int = Field(description='UTC of arrival up to which it reaches')
    behind_ns: int = Field(default=BEHIND_NS, ge=0, description='so much behind it tags are looked at')
    log_ns: tuple[int, int] = Field(description='UTC between which the log was asked for')
    time_bias_s: float
    cross_track_m: float
    locked: list[LockedSpan]

    @property
    def read_until_ns(self) -> int:
        """UTC up to which tags are looked at."""
        return self.until_ns + self.behind_ns

    def of(self, manifest: Manifest) -> Manifest:
        """The session as if it were this part."""
        known = {'locked': self.locked, 'time_bias_s': self.time_bias_s, 'cross_track_m': self.cross_track_m}
        return manifest.model_copy(update=known)


class PartsPlan(Section):
    """Parts that were announced, or were about to be."""

    expected: int = Field(ge=1, description='sifted bits of the pass, as said before the first answer')
    parts: list[Part]
    few_trips: bool | None = Field(
        default=None, description='whether the last part is corrected in few round trips; null: it is not planned yet'
    )

    def save(self, folder: Path) -> None:
        """Write it into a session; it is on the disk when this returns."""
        replace_file(folder / FILE_NAME, self.model_dump_json(indent=2) + '\n')


def load_plan(folder: Path) -> PartsPlan | None:
    """Plan of a session; None if it was not announced in parts.

    Raises
    ------
    StationError
        It is damaged.
    """
    return load_if_there(folder / FILE_NAME, PartsPlan)  # JSON is YAML, and errors get their lines


def part_of(manifest: Manifest, from_ns: int | None, until_ns: int, behind_ns: int, log_ns: tuple[int, int]) -> Part:
    """Part of a pass up to a UTC, as the session is known now.

    Parameters
    ----------
    from_ns : int or None
        End of the part before; None: it is the first.
    """
    first_ns = 0 if from_ns is None else from_ns + _GAP_NS
    spans = [(max(span.start_ns, first_ns), min(span.end_ns, until_ns)) for span in manifest.locked]
    return Part(
        until_ns=until_ns,
        behind_ns=behind_ns,
        log_ns=log_ns,
        time_bias_s=manifest.time_bias_s,
        cross_track_m=manifest.cross_track_m,
        locked=[LockedSpan(start_ns=first, end_ns=last) for first, last in spans if last > first],
    )
