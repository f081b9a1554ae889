"""Messages of a running station to the evening, and requests of the evening; free of ROS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.evening.choice import MeasuredLight
from qkd_gs.evening.evening import Conditions
from qkd_gs.monitoring.readiness import OPTIONAL, Level
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.tracking.types import MountTask, Phase

LOST = 'LOST'  # code of an answer: the process that was asked has died
_UNKNOWN = 'weather.unknown'
_GRACE_NS = 10 * 10**9  # as long as the enclosure has patience with a weather that is not known
_WORDS = {
    'weather.rain': 'it rains',
    'weather.wind': 'it is too windy',
    'weather.humidity': 'the air is too humid',
    'weather.cloud': 'it is cloudy',
    'weather.unsafe': 'the weather station says that it is not safe',
    _UNKNOWN: 'the weather is not known',
}


class Action(StrEnum):
    """Actions of the station, by their names."""

    CALIBRATE = 'calibrate'
    OBSERVE = 'observe'
    TRACK = 'track_pass'
    PARK = 'park'


_ACTIONS = {
    MountTask.CALIBRATING: Action.CALIBRATE,
    MountTask.FINDING: Action.OBSERVE,
    MountTask.MEASURING: Action.OBSERVE,
    MountTask.FOCUSING: Action.OBSERVE,
    MountTask.COUNTING_DARK: Action.OBSERVE,
    MountTask.CHECKING: Action.OBSERVE,
    MountTask.POLARIZED_LIGHT: Action.OBSERVE,
    MountTask.MEASURING_DELAYS: Action.OBSERVE,
    MountTask.PARKING: Action.PARK,
}


@dataclass(frozen=True)
class Ask:
    """Ask for an action.

    Attributes
    ----------
    at_ns : int
        UTC of the culmination of the pass to be tracked.
    kind : ObservationKind or None
        Observation that is asked for; None: something else is.
    """

    action: Action
    at_ns: int = 0
    kind: ObservationKind | None = None


@dataclass(frozen=True)
class End:
    """End what an action's server does, whoever has asked for it."""

    action: Action


@dataclass(frozen=True)
class Choose:
    """Forecast and choose passes, beside everything else; see `qkd_gs.evening.choice.choose_passes`."""

    measured: MeasuredLight
    span_ns: tuple[int, int]
    least_bits: int


@dataclass(frozen=True)
class Answer:
    """End of what was asked for.

    Attributes
    ----------
    code : str
        Name of the constant of the action's result, ``'DONE'`` if all went well; `LOST`.
    sentence : str
        Reason, or what was reached.
    values : dict
        Further fields of the result.
    """

    code: str
    sentence: str = ''
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """The station at one time.

    Attributes
    ----------
    weather : str
        Reason why nothing is done under the sky; empty: nothing is known against it.
    dark_ns : int
        UTC from which the sky is dark.
    task : MountTask
        Task of the calibrator.
    gps, mount : reading or None
        The newest; None: none yet.
    said : str
        Progress of what was asked for last.
    answer : Answer or None
        Its end; None: it goes on.
    chosen : list of dict, StationError or None
        Result of `Choose`, or why there is none; None: it goes on.
    """

    snapshot: Snapshot
    weather: str = ''
    dark_ns: int = 0
    task: MountTask = MountTask.NONE
    gps: GpsReading | None = None
    mount: MountReading | None = None
    said: str = ''
    answer: Answer | None = None
    chosen: list[dict[str, Any]] | StationError | None = None

    @property
    def now_ns(self) -> int:
        """Station time, UTC."""
        return self.snapshot.now_ns

    @property
    def in_pass(self) -> bool:
        """Whether the tracker has a pass under way, or parks after one."""
        session = self.snapshot.session
        return session is not None and session.phase is not Phase.IDLE

    def works(self, names: Iterable[str]) -> bool:
        """Whether these nodes work, as far as they are not such that a pass can be tracked without them."""
        now = self.snapshot
        well = {node.name for node in now.nodes if not node.trouble}
        return now.readiness.level is not Level.ERROR and set(names) - set(OPTIONAL) <= well

    @property
    def moving(self) -> Action | None:
        """Action that holds the mount, whoever has asked for it; None: nobody does."""
        if self.in_pass:
            return Action.TRACK
        return _ACTIONS.get(self.task)

    def pass_within(self, ns: int) -> bool:
        """Whether the next pass begins so soon."""
        next_ns = self.conditions.next_pass_ns
        return next_ns is not None and next_ns - self.now_ns < ns

    @property
    def focus(self) -> str:
        """Reason to focus the telescope again; empty: nothing is known."""
        return next((node.focus for node in self.snapshot.nodes if node.focus), '')

    @property
    def conditions(self) -> Conditions:
        """Weather, next pass and night."""
        coming = self.snapshot.coming
        ahead = coming is not None and coming.usable and coming.start_ns > self.now_ns
        next_ns = coming.start_ns if ahead and coming is not None else None
        return Conditions(self.weather, next_ns, self.dark_ns, coming is not None or self.snapshot.planned)


class WeatherWatch:
    """Decides from the supervisor's reasons whether anything may be done under the sky.

    Weather that is not known, as while the monitor starts again, counts when that has lasted for ten seconds.

    Parameters
    ----------
    settle_s : float
        After bad weather the shutter stays closed for so long; 0: there is none.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_ns = round(settle_s * 1e9)
        self._unknown_ns: int | None = None
        self._bad_ns: int | None = None

    def step(self, now_ns: int, reasons: Iterable[str]) -> str:
        """Reason why nothing is done under the sky, in words; empty: it is."""
        codes = [one for one in reasons if one.startswith('weather.')]
        if codes == [_UNKNOWN]:
            self._unknown_ns = now_ns if self._unknown_ns is None else self._unknown_ns
            codes = codes if now_ns - self._unknown_ns >= _GRACE_NS else []
        else:
            self._unknown_ns = None
        if codes:
            self._bad_ns = now_ns
            return ', '.join(_WORDS.get(one, one) for one in codes)
        if self._bad_ns is not None and now_ns - self._bad_ns < self._settle_ns:
            return f'good again, the shutter opens when it has been so for {self._settle_ns / 60e9:g} min'
        return ''
