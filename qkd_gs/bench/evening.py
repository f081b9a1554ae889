"""`qkd-gs bench evening`: whether an evening in the twin ends armed, or with a true reason, whatever disturbs it.

Every evening begins with a telescope that knows nothing of its orientation, over Shanghai on 2018-10-03, and ends when
the passes are chosen and the telescope is parked. The pass itself is skipped but for the case `to the key`, and so are
autofocus, star test and noise map where they are not meant to be disturbed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from qkd_gs.api.evening import evening_summary, simulate_evening
from qkd_gs.bench.seeds import seed_numbers
from qkd_gs.errors import StationError
from qkd_gs.evening.journal import Journal
from qkd_gs.evening.steps import PREPARATION, State, Step
from qkd_gs.orbit.elements import load_elements
from qkd_gs.share import share_path
from qkd_gs.sim.simulate import Watcher

SITE = 'Shanghai'
DAY = '2018-10-03T'
UNTIL = f'{DAY}18:00:00Z'
_MINUTE_S = 60
# Seconds after its beginning at which a step is killed; the others are killed when they begin.
_MIDDLE_S = {
    Step.FIND: 70,
    Step.CALIBRATE: 80,
    Step.FOCUS: 8,
    Step.EFFICIENCY: 50,
    Step.POLARIZATION: 60,
    Step.NOISE: 100,
}


@dataclass(frozen=True)
class Case:
    """Disturbance of an evening.

    Attributes
    ----------
    start : str
        UTC, time of day.
    stars : callable or None
        Given config/stars.csv line by line, the station's list of stars; None: an unchanged one.
    light : bool
        With autofocus, star test and noise map.
    restarts : bool
        The process is killed in the middle of each step.
    key : bool
        The pass is tracked, and its key made.
    """

    start: str = '14:40:00'
    scenario: str | None = None
    compass_error_deg: float = 0.0
    stars: Callable[[list[str]], list[str]] | None = None
    light: bool = False
    restarts: bool = False
    key: bool = False


def _displaced(lines: list[str], every: int) -> list[str]:
    """Every n-th star a degree too far east, where no star is."""
    names = lines[0].split(',')
    moved = []
    for number, line in enumerate(lines[1:]):
        cells = line.split(',')
        if number % every == 0:
            cells[names.index('ra_deg')] = f'{(float(cells[names.index("ra_deg")]) + 1) % 360:.6f}'
        moved.append(','.join(cells))
    return [lines[0], *moved]


CASES = {
    'undisturbed': Case(),
    'with star test and noise map': Case(light=True),
    'to the key': Case(light=True, key=True),
    'cloud at the beginning': Case(start='14:45:30', scenario='cloud_bank'),
    'cloud while calibrating': Case(start='14:38:20', scenario='cloud_bank'),
    'cloud in star test and noise map': Case(start='14:35:00', scenario='cloud_bank', light=True),
    'rain while calibrating': Case(start='14:38:30', scenario='rain_evening'),
    'compass misread by 10 deg': Case(compass_error_deg=10),
    'compass misread by 25 deg': Case(compass_error_deg=25),
    'star list empty': Case(stars=lambda lines: lines[:1]),
    'one star in five wrong': Case(stars=lambda lines: _displaced(lines, 5)),
    'half the star list wrong': Case(stars=lambda lines: _displaced(lines, 2)),
    'star list wrong': Case(stars=lambda lines: _displaced(lines, 1)),
    'restart in each step': Case(light=True, restarts=True),
}


class _Killed(BaseException):
    """The process ends here; no error that anything handles."""


@dataclass
class _Killer(Watcher):
    """Ends the process in the middle of steps, once in each."""

    waiting: set[Step]
    _step: str = ''
    _begun_ns: int = 0

    def step(self, text: str) -> None:
        """A step begins, or ends."""
        self._step, self._begun_ns = text.split(':', maxsplit=1)[0], 0
        if self._step not in _MIDDLE_S:
            self._kill()

    def calibrating(self, now_ns: int, text: str) -> None:
        """A step goes on."""
        self._begun_ns = self._begun_ns or now_ns
        if now_ns - self._begun_ns > _MIDDLE_S.get(Step(self._step), 0) * 1e9:
            self._kill()

    def _kill(self) -> None:
        if self._step in self.waiting:
            self.waiting.remove(Step(self._step))
            raise _Killed


def run(seeds: str = '1', cases: Sequence[str] = tuple(CASES)) -> dict[str, Any]:
    """All evenings, one after the other; about a minute each.

    Parameters
    ----------
    seeds : str
        As ``1-20`` or ``1,4,7``.

    Raises
    ------
    StationError
        An unknown case, or seeds that are no numbers.
    """
    numbers = seed_numbers(seeds)
    unknown = [name for name in cases if name not in CASES]
    if unknown:
        raise StationError(f'unknown case {unknown[0]!r}', where='--case', hint=f'one of {", ".join(CASES)}')
    evenings = [evening(name, seed) for name in cases for seed in numbers]
    summary = {name: _summary([one for one in evenings if one['case'] == name]) for name in cases}
    return {'seeds': numbers, 'summary': summary, 'evenings': evenings}


def evening(name: str, seed: int) -> dict[str, Any]:
    """One evening: its outcome, what each step took and said."""
    case, started_s = CASES[name], perf_counter()
    watcher = _Killer({*PREPARATION, Step.PARK} if case.restarts else set())
    with tempfile.TemporaryDirectory(prefix='qkd_gs-evening-') as folder:
        journal = _lived(case, seed, Path(folder), watcher)
    parked = journal.entry(Step.PARK).state is State.DONE
    summary = evening_summary(journal)
    steps = {
        one['step']: {'state': one['state'], 'minutes': round(one['took_s'] / _MINUTE_S, 2), 'tries': one['tries']}
        for one in summary['steps']
    }
    key = next((one.values for one in journal.entries if one.step is Step.PROCESS), {})
    worth = [one['forecast']['secret_bits']['expected'] for one in summary['passes'] if one['worth']]
    return {
        'case': name,
        'seed': seed,
        'armed': summary['armed'],
        'parked': parked,
        'why_ended': summary['why_ended'],
        'restarts': summary['restarts'],
        'stars': journal.entry(Step.CALIBRATE).values.get('stars'),
        'heldout_urad': journal.entry(Step.CALIBRATE).values.get('heldout_urad'),
        'expected_bits': worth,
        'secret_bits': key.get('secret_bits'),
        'qber': key.get('qber'),
        'steps': steps,
        'said': {str(step): journal.entry(step).sentence for step in (*PREPARATION, Step.PARK)},
        'real_s': round(perf_counter() - started_s, 1),
    }


def _lived(case: Case, seed: int, folder: Path, watcher: Watcher) -> Journal:
    """The evening, begun again as often as it is killed."""
    stars = None
    if case.stars is not None:
        stars = folder / 'stars.csv'
        text = share_path('config', 'stars.csv').read_text(encoding='utf-8')
        lines = case.stars([line for line in text.splitlines() if line and not line.startswith('#')])
        stars.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    skip = [] if case.light else [Step.FOCUS, Step.EFFICIENCY, Step.NOISE]
    if not case.key:
        skip.append(Step.TRACK)
    while True:
        try:
            return simulate_evening(
                elements, SITE, f'{DAY}{case.start}Z', folder / 'state',
                until=UNTIL, seed=seed, scenario=case.scenario,
                skip=skip,
                compass_error_deg=case.compass_error_deg, stars=stars, keys=folder / 'keys', watcher=watcher,
            )  # fmt: skip
        except _Killed:
            continue


def _summary(evenings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures over the seeds of a case."""
    heldout = sorted(one['heldout_urad'] for one in evenings if one['heldout_urad'] is not None)
    minutes = {
        step: round(median(one['steps'][step]['minutes'] for one in evenings), 2) for step in (*PREPARATION, Step.PARK)
    }
    return {
        'evenings': len(evenings),
        'armed': sum(one['armed'] for one in evenings),
        'parked': sum(one['parked'] for one in evenings),
        'other_ends': sorted({one['why_ended'] for one in evenings if not one['armed']}),
        'heldout_urad_median': round(median(heldout), 1) if heldout else None,
        'heldout_urad_worst': round(heldout[-1], 1) if heldout else None,
        'secret_bits': sorted(one['secret_bits'] for one in evenings if one['secret_bits'] is not None),
        'minutes_median': {str(step): value for step, value in minutes.items() if value},
        'real_s_median': round(median(one['real_s'] for one in evenings), 1),
    }
