"""The steps of an evening, and what each of them does and waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from qkd_gs.errors import StationError


class Step(StrEnum):
    """Steps of an evening, in their order."""

    SELF_TEST = 'self-test'
    TIME_AND_PLACE = 'time-and-place'
    FIND = 'find'
    CALIBRATE = 'calibrate'
    FOCUS = 'focus'
    EFFICIENCY = 'efficiency'
    POLARIZATION = 'polarization'
    NOISE = 'noise'
    ARM = 'arm'
    TRACK = 'track'
    PROCESS = 'process'
    REPORT = 'report'
    PARK = 'park'


class State(StrEnum):
    """State of a step."""

    PENDING = 'pending'
    RUNNING = 'running'
    DONE = 'done'
    SKIPPED = 'skipped'  # by the operator
    NOT_NEEDED = 'not needed'
    UNAVAILABLE = 'unavailable'  # not with these devices
    FAILED = 'failed'
    LEFT_OUT = 'left out'  # dawn came first, or a step that it needs has failed


@dataclass(frozen=True)
class StepRules:
    """Rules of a step.

    Attributes
    ----------
    purpose : str
        One sentence: what it does and waits for.
    under_the_sky : bool
        It needs a dark sky and good weather: bad weather interrupts it, and dawn ends it.
    needed : bool
        Without it no pass can be tracked: its failure ends the evening.
    tries : int
        Number of attempts before it counts as failed.
    after_restart : bool
        It is done again after a restart, because devices may have changed.
    lasts_s : float
        A step that no pass needs is not begun so shortly before one; 0: it does not matter.
    skippable : bool
        The operator may leave it out.
    """

    purpose: str
    under_the_sky: bool = False
    needed: bool = False
    tries: int = 1
    after_restart: bool = False
    lasts_s: float = 0.0
    skippable: bool = True


RULES = {
    Step.SELF_TEST: StepRules(
        'opens every device and reads it once; nothing moves', needed=True, after_restart=True, tries=3
    ),
    Step.TIME_AND_PLACE: StepRules(
        'compares clock and site with the GPS receiver, and waits until that has a fix',
        needed=True,
        after_restart=True,
        tries=3,
    ),
    Step.FIND: StepRules(
        'photographs two strips of sky and identifies their stars, so that no star need be centred by hand; waits for '
        'a dark, clear sky',
        under_the_sky=True,
        needed=True,
        tries=6,
    ),
    Step.CALIBRATE: StepRules(
        'visits 3 stars to check the last calibration, or about 20 for a new one; waits for a clear sky',
        under_the_sky=True,
        needed=True,
        tries=6,
    ),
    Step.FOCUS: StepRules(
        'measures the width of a star at seven positions of the focuser, if the temperature has changed since the last '
        'time; waits for a clear sky',
        under_the_sky=True,
        tries=2,
        lasts_s=180,
    ),
    Step.EFFICIENCY: StepRules(
        'counts the photons of some stars of known brightness, and tells which part of them reaches the detectors; '
        'waits for a clear sky',
        under_the_sky=True,
        tries=2,
        lasts_s=300,
    ),
    Step.POLARIZATION: StepRules(
        'measures the zero of the half-wave plate and the delays of the detectors with the calibration light; waits '
        'until the shutter is closed',
        tries=2,
        lasts_s=900,  # the shutter opens ten minutes before a pass
    ),
    Step.NOISE: StepRules(
        'counts the light of the empty sky over azimuth and elevation, and the dark counts; waits for a clear sky',
        under_the_sky=True,
        tries=2,
        lasts_s=600,
    ),
    Step.ARM: StepRules('forecasts every pass until dawn and chooses those that are worth it', skippable=False),
    Step.TRACK: StepRules('waits for the satellite and tracks the pass', under_the_sky=True),
    Step.PROCESS: StepRules('makes the key of the pass, with the satellite'),
    Step.REPORT: StepRules('writes the report of the pass'),
    Step.PARK: StepRules('moves the telescope to its park position', tries=3, skippable=False),
}
PREPARATION = tuple(Step)[: tuple(Step).index(Step.TRACK)]
OF_A_PASS = (Step.TRACK, Step.PROCESS, Step.REPORT)


def steps_of(names: Sequence[str]) -> list[Step]:
    """Steps by their names.

    Raises
    ------
    StationError
        An unknown one.
    """
    try:
        return [Step(name) for name in names]
    except ValueError:
        wrong = next(name for name in names if name not in list(Step))
        raise StationError(f'{wrong!r} is no step of an evening', hint=f'one of {", ".join(Step)}') from None


def require_skippable(steps: Sequence[Step]) -> Sequence[Step]:
    """The same steps, each of which may be left out.

    Raises
    ------
    StationError
        One may not.
    """
    for step in steps:
        if not RULES[step].skippable:
            raise StationError(f'the step {step} cannot be skipped')
    return steps
