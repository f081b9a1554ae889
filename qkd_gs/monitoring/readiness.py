"""Readiness of the station: one sentence and a level, from the state of nodes and devices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from math import degrees, inf, isfinite

from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.node_faults import Severity
from qkd_gs.pointing.light_limits import STANDING, LightLimit
from qkd_gs.tracking.types import MountTask, Phase

OPTIONAL = ('recorder', 'scene', 'evening')  # a pass can be tracked without them

_SILENT_S = 1.0  # the tracker tells its state every 50 ms
_DOES_NOT_WORK = 1  # after a fault, which explains it, and before what a node works on with
_RANK = {Severity.FAILED: 0, Severity.DEGRADED: 2}


class Level(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Readiness:
    """Level and sentence for the operator."""

    level: Level
    sentence: str


@dataclass(frozen=True)
class ComingPass:
    """The pass under way, or the next one.

    Attributes
    ----------
    start_ns, culmination_ns, end_ns : int
        UTC.
    reasons : str
        Reasons why it is not usable, or other remarks.
    """

    satellite: str
    start_ns: int
    culmination_ns: int
    end_ns: int
    max_el_rad: float
    usable: bool = True
    reasons: str = ''


@dataclass(frozen=True)
class Facts:
    """Inputs of `readiness`.

    Attributes
    ----------
    nodes : sequence of NodeHealth
        Every node of the station, with or without a heartbeat.
    coming : ComingPass or None
        The next pass; None: none within a day.
    unheard : collection of str
        Topics whose first message has not come yet: what they tell is not known, whatever stands here.
    el_rad : float
        Elevation of the line of sight (or of the satellite), rad; NaN: not known.
    forbidden : tuple of str
        Reasons of the supervisor while it forbids motion; empty: motion is permitted.
    interlock_open : bool
        Of our beacon.
    sun_s : float
        Time until the Sun is too close to a telescope that nobody moves; inf: not within ten minutes, or it is parked
        or covered.
    shines_on : bool
        Our beacon shines although it may not.
    dark : sequence of LightLimit
        Limits that protect people and forbid light of our beacon.
    making_key : str
        Step of the post-processing under way; empty: none.
    tags : str
        Trouble of the recording of tags; empty: none.
    strangers : str
        Nodes that publish commands and are not of the station; empty: none.
    too_busy, left_out : str
        Reason why the machine is too busy and what is left out; what is still left out after that; empty: it is not.
    tracker_silent_s : float
        Time since the tracker has last told its state.
    lasting_s : mapping
        Time for which nodes have been silent or not active; their faults tell it themselves.
    """

    nodes: Sequence[NodeHealth]
    calibrated: bool
    phase: Phase = Phase.IDLE
    coming: ComingPass | None = None
    unheard: Collection[str] = ()
    task: MountTask = MountTask.NONE
    el_rad: float = float('nan')
    forbidden: tuple[str, ...] = ()
    interlock_open: bool = False
    sun_s: float = inf
    shines_on: bool = False
    dark: Sequence[LightLimit] = ()
    making_key: str = ''
    tags: str = ''
    strangers: str = ''
    too_busy: str = ''
    left_out: str = ''
    tracker_silent_s: float = 0.0
    lasting_s: Mapping[str, float] = field(default_factory=dict)


def readiness(now_ns: int, facts: Facts) -> Readiness:
    """Readiness at station time `now_ns` (UTC).

    Everything that is wrong comes first, the worst before the rest: light that must not be, the Sun near the
    telescope, motion forbidden during a pass, tags that are not recorded, faults, nodes that are silent or not active,
    faults that a node works on with; of those what has lasted longest before the rest.  Then the phase of the pass;
    between passes a calibration in progress, pointing not calibrated, the next pass.
    """
    in_pass = facts.phase is not Phase.IDLE
    doing = _in_pass(now_ns, facts) if in_pass else _between_passes(now_ns, facts)
    errors = _dangers(facts) + (_pass_errors(facts) if in_pass else []) + _troubles(facts, optional=False)
    errors += [facts.strangers] if facts.strangers else []
    warnings = [facts.too_busy] if facts.too_busy else []
    warnings += _troubles(facts, optional=True) + (['the interlock is open'] if facts.interlock_open else [])
    warnings += _dark(facts)
    missing = [node.name for node in facts.nodes if node.heartbeat_age_s is None]
    if not in_pass and set(missing) - set(OPTIONAL):
        return _starting(facts, missing)
    if errors and in_pass:
        return Readiness(Level.ERROR, '; '.join([*errors, *_still(facts, doing), *warnings]))
    if errors:
        return Readiness(Level.ERROR, f'not ready: {"; ".join([*errors, *warnings])}')
    level = max(doing.level, Level.WARN) if warnings else doing.level
    return Readiness(level, '; '.join([doing.sentence, *warnings, *([facts.left_out] if facts.left_out else [])]))


def _dangers(facts: Facts) -> list[str]:
    shines = ['the beacon shines although it must not: take its power or its key'] if facts.shines_on else []
    if facts.sun_s == inf:
        return shines
    comes, when = ('will be', f' in {countdown(facts.sun_s)}') if facts.sun_s > 0 else ('is', '')
    comes = comes if facts.calibrated else 'may be'
    return [*shines, f'the Sun {comes} too close to the telescope{when}, which nobody moves: park or cover it']


def _dark(facts: Facts) -> list[str]:
    """Reasons why our beacon may not shine; between passes only those that do not depend on where the mount points."""
    in_pass = facts.phase is not Phase.IDLE
    told = [one.words for one in facts.dark if in_pass or one.code.startswith(STANDING)]
    return [f'no light: {", ".join(told)}'] if told else []


def _starting(facts: Facts, missing: Sequence[str]) -> Readiness:
    heard = replace(facts, nodes=[node for node in facts.nodes if node.name not in missing])
    errors = _dangers(facts) + _troubles(heard, optional=False)
    starting = f'starting: {len(heard.nodes)} of {len(facts.nodes)} nodes are there, waiting for {", ".join(missing)}'
    return Readiness(Level.ERROR if errors else Level.WARN, '; '.join([*errors, starting]))


def _pass_errors(facts: Facts) -> list[str]:
    stopped = f'stopped for safety ({" ".join(facts.forbidden)})' if facts.forbidden else ''
    return [error for error in (stopped, facts.tags) if error]


def _still(facts: Facts, doing: Readiness) -> list[str]:
    """Status of the pass; of a silent tracker only the last one is known."""
    if facts.tracker_silent_s > _SILENT_S:
        return [f'the tracker was last heard {facts.tracker_silent_s:.0f} s ago: {doing.sentence}']
    return [doing.sentence]


def countdown(seconds: float) -> str:
    """Time left as ``03:12``, ``1:03:12`` or ``2 d 01:03``."""
    whole = max(round(seconds), 0)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f'{days} d {hour:02d}:{minute:02d}'
    return f'{hours}:{minute:02d}:{second:02d}' if hours else f'{minute:02d}:{second:02d}'


def _troubles_of(node: NodeHealth, facts: Facts) -> list[tuple[int, float, str, str]]:
    """Key by which the troubles of a node are sorted (rank, and since when), the trouble, and the node."""
    if node.silent or not node.faults:
        lasting_s = facts.lasting_s.get(node.name, 0.0)
        return [(_DOES_NOT_WORK, -lasting_s, trouble, node.name) for trouble in node.troubles]
    return [
        (_RANK[fault.severity], -fault.for_s, trouble, node.name)
        for fault, trouble in zip(node.faults, node.troubles, strict=True)
    ]


def _troubles(facts: Facts, optional: bool) -> list[str]:
    """Nodes that do not work; those with the same trouble in one phrase."""
    bad = [
        trouble for node in facts.nodes if (node.name in OPTIONAL) == optional for trouble in _troubles_of(node, facts)
    ]
    bad.sort(key=lambda one: one[:2])
    alike: dict[str, list[str]] = {}
    for _, _, trouble, name in bad:
        alike.setdefault(trouble, []).append(name)
    return [
        f'{names[0]} {trouble}' if len(names) == 1 else f'{", ".join(names)}: each {trouble}'
        for trouble, names in alike.items()
    ]


def _in_pass(now_ns: int, facts: Facts) -> Readiness:
    coming = facts.coming
    name = coming.satellite if coming is not None else 'the satellite'
    until = f'{name} in {countdown((coming.start_ns - now_ns) * 1e-9)}' if coming is not None else name
    high = f', {degrees(facts.el_rad):.1f} deg' if isfinite(facts.el_rad) else ''
    level = Level.WARN if facts.phase is Phase.LOST else Level.OK
    sentence = {
        Phase.SLEW: f'armed, slewing to the first point, {until}',
        Phase.WAIT: f'armed, waiting for {until}',
        Phase.ACQUIRE: f'searching for {name}{high}',
        Phase.COARSE: f'tracking, centring by the guiding camera{high}',
        Phase.FINE: f'tracking, locked{high}',
        Phase.LOST: f'tracking, beacon lost, following the prediction{high}',
        Phase.END: 'the pass is over',
        Phase.PARK: 'the pass is over, parking',
    }[facts.phase]
    return Readiness(level, sentence)


_TASKS = {
    MountTask.CALIBRATING: 'calibrating the pointing',
    MountTask.FINDING: 'finding its orientation on the stars',
    MountTask.MEASURING: 'measuring the light of stars and sky',
    MountTask.CHECKING: 'checking the pointing on three stars',
    MountTask.FOCUSING: 'focusing on a star',
    MountTask.COUNTING_DARK: 'counting with the shutter closed',
    MountTask.POLARIZED_LIGHT: 'measuring with the calibration light',
    MountTask.MEASURING_DELAYS: 'measuring the delays of the detectors',
    MountTask.PARKING: 'moving to the park position',
}


def _between_passes(now_ns: int, facts: Facts) -> Readiness:
    if facts.unheard:
        return Readiness(Level.WARN, f'starting: not heard yet: {", ".join(sorted(facts.unheard))}')
    if facts.task in _TASKS:
        return Readiness(Level.OK, _TASKS[facts.task])
    if not facts.calibrated:
        return Readiness(Level.WARN, 'not calibrated: run qkd-gs calibrate')
    also = f', making the key ({facts.making_key})' if facts.making_key else ''
    if facts.coming is None:
        return Readiness(Level.OK, f'ready, no pass within a day{also}')
    when = f'{facts.coming.satellite} in {countdown((facts.coming.start_ns - now_ns) * 1e-9)}'
    if not facts.coming.usable:
        return Readiness(Level.WARN, f'ready, but {when} cannot be tracked: {facts.coming.reasons}{also}')
    return Readiness(Level.OK, f'ready, {when}{also}')
