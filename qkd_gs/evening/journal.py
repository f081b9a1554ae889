"""The journal of an evening on disk: every step with its state, written before it begins and after it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from qkd_gs.evening.choice import LEAST_BITS
from qkd_gs.evening.steps import PREPARATION, RULES, State, Step
from qkd_gs.orbit.timescale import basic_utc, format_utc, parse_utc
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.site import Site

FOLDER = 'evenings'
_PASS_TEXT = 19  # of a time: to the second


class Entry(Section):
    """One step of the evening."""

    step: Step
    pass_utc: str = Field(default='', description='culmination of the pass that it belongs to')
    state: State = State.PENDING
    sentence: str = Field(default='', description='result, or what it waits for')
    begun_utc: str = ''
    ended_utc: str = ''
    took_s: float = Field(default=0.0, description='all tries together, station time')
    tries: int = 0
    not_before_utc: str = Field(default='', description='of the next try')
    values: dict[str, Any] = Field(default_factory=dict, description='figures of the result')

    @property
    def name(self) -> str:
        """Step, with its pass."""
        return f'{self.step} {self.pass_utc[:_PASS_TEXT]}'.strip()


class Journal(Section):
    """The whole of a journal."""

    site: str
    begun_utc: str
    until_utc: str = Field(description='the evening ends then: dawn, unless another time was asked for')
    simulated: bool
    least_bits: int = Field(default=LEAST_BITS, ge=0, description='expected secret bits of a pass that is worth it')
    seen_utc: str = Field(description='station time of the last note, at most some seconds before an interruption')
    restarts: int = 0
    skipped: tuple[Step, ...] = Field(default=(), description='by the operator; also those of passes chosen later')
    ended_utc: str = ''
    why_ended: str = ''
    entries: tuple[Entry, ...]

    @property
    def until_ns(self) -> int:
        """End of the evening, UTC ns."""
        return parse_utc(self.until_utc, 'until_utc')

    def entry(self, step: Step, pass_utc: str = '') -> Entry:
        """The entry of a step."""
        return next(one for one in self.entries if one.step is step and one.pass_utc == pass_utc)

    def path(self, folder: Path) -> Path:
        """Its file in a state folder."""
        return folder / FOLDER / f'{basic_utc(parse_utc(self.begun_utc))}.json'

    def save(self, folder: Path) -> None:
        """Write it, in one piece.

        Raises
        ------
        StationError
            It cannot be written.
        """
        replace_file(self.path(folder), self.model_dump_json(indent=2) + '\n', parents=True)


def new_journal(site: Site, now_ns: int, until_ns: int, simulated: bool, least_bits: int = LEAST_BITS) -> Journal:
    """Journal of an evening that begins now."""
    entries = tuple(Entry(step=step) for step in (*PREPARATION, Step.PARK))
    return Journal(
        site=site.name,
        begun_utc=format_utc(now_ns, 0),
        until_utc=format_utc(until_ns, 0),
        simulated=simulated,
        least_bits=least_bits,
        seen_utc=format_utc(now_ns),
        entries=entries,
    )


def unfinished_journal(folder: Path, site: Site, now_ns: int, simulated: bool, late: bool = False) -> Journal | None:
    """The evening at this site that was interrupted and is not over yet; None if there is none.

    What was under way is pending again, and the tests of the devices are repeated.

    Parameters
    ----------
    late : bool
        Also one whose last hour has come meanwhile: what was recorded is processed, and the telescope parked.

    Raises
    ------
    StationError
        A damaged file.
    """
    paths = sorted((folder / FOLDER).glob('*.json'))
    if not paths:
        return None
    found = load_yaml(paths[-1], Journal)
    began = parse_utc(found.begun_utc, 'begun_utc') <= now_ns
    if (
        found.ended_utc
        or not began
        or (now_ns >= found.until_ns and not late)
        or found.site != site.name
        or found.simulated != simulated
    ):
        return None
    seen_ns = parse_utc(found.seen_utc, 'seen_utc')
    entries = tuple(_restarted(one, seen_ns) for one in found.entries)
    return found.model_copy(update={'entries': entries, 'restarts': found.restarts + 1})


def _restarted(entry: Entry, seen_ns: int) -> Entry:
    if entry.state is State.RUNNING:
        took_s = entry.took_s + max(seen_ns - parse_utc(entry.begun_utc, 'begun_utc'), 0) * 1e-9
        changed = {'state': State.PENDING, 'sentence': 'was interrupted by a restart', 'took_s': round(took_s, 3)}
        return entry.model_copy(update=changed)
    if entry.state is State.DONE and RULES[entry.step].after_restart:
        return entry.model_copy(update={'state': State.PENDING, 'sentence': 'is done again after a restart'})
    return entry
