"""Autofocus on a star that the mount follows by its model: from the slew to the focuser's last move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import cos, hypot, isfinite, nan

from qkd_gs.calibration.focus import Autofocus, Focus, FocusState
from qkd_gs.calibration.stars import Star, StarTrack
from qkd_gs.devices.camera import Frame
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.azimuth_turn import nearest_turn
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.settings.station import StationSettings

_SETTLED_RAD, _SETTLED_S = 1e-4, 0.5  # a fifth of the tracking camera's field, and less
_SLEW_S, _LONGEST_S = 90.0, 900.0


@dataclass(frozen=True)
class FocuserSeen:
    """Focuser as last read.

    Attributes
    ----------
    travel : (int, int)
        Lowest and highest position, steps.
    """

    reading: FocuserReading
    travel: tuple[int, int]


@dataclass(frozen=True)
class StarFocusOutputs:
    """Commands and progress.

    Attributes
    ----------
    axes : AxisMotion or None
        None: stop.
    focus_to : int or None
        Position that the focuser shall have; None: the present one.
    """

    state: FocusState
    axes: AxisMotion[float] | None
    focus_to: int | None
    message: str


class StarFocus:
    """Go to a star, and focus on it; `step` until DONE or FAILED.

    Parameters
    ----------
    track_of : callable
        (star, start_ns, end_ns) -> `StarTrack`.
    model, station
        As calibrated.
    home : int or None
        Position at which the focuser is left if it fails, and about which the focus is looked for; None: the first one.
    """

    def __init__(
        self,
        star: Star,
        track_of: Callable[[Star, int, int], StarTrack],
        model: MountModel,
        station: StationSettings,
        now_ns: int,
        home: int | None = None,
    ) -> None:
        self.star = star
        self.run: Autofocus | None = None
        self._track = track_of(star, now_ns, now_ns + round(_LONGEST_S * 1e9))
        self._model, self._station, self._home = model, station, home
        self._begun_ns, self._inside_ns = now_ns, 0
        self._turn: float | None = None
        self._failed = ''
        self._warm_c = nan

    def step(
        self, now_ns: int, mount: MountReading, seen: FocuserSeen | None, frames: Sequence[Frame]
    ) -> StarFocusOutputs:
        """Take the readings, and the images of the tracking camera since the last step."""
        axes, run = self._commanded(now_ns, mount), self.run
        if self._failed:
            return StarFocusOutputs(FocusState.FAILED, None, self._home if run is not None else None, self._failed)
        if seen is None:
            self.abort('the focuser is silent')
        elif run is None:
            self._slew(now_ns, mount, seen)
        else:
            focus_to = run.step(now_ns, seen.reading, frames)
            if run.state is FocusState.FAILED:
                return StarFocusOutputs(run.state, None, focus_to, f'{self.star.name}: {run.message}')
            if now_ns - self._begun_ns > (_LONGEST_S - 10) * 1e9:
                self.abort('the focuser does not come to an end')
            said = f'{self.star.name}: {run.message}' if run.message else f'focusing on {self.star.name}'
            return StarFocusOutputs(run.state, axes if run.state is FocusState.RUNNING else None, focus_to, said)
        return StarFocusOutputs(FocusState.RUNNING, axes, None, f'going to {self.star.name}')

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; the focuser goes back."""
        self._failed = self._failed or why

    @property
    def summary(self) -> str:
        """One sentence about a run that is done."""
        assert self.run is not None
        at = f' at {self._warm_c:.0f} deg C' if isfinite(self._warm_c) else ''
        return f'{self.run.message}, on {self.star.name}{at}'

    def result(self, now_ns: int) -> Focus:
        """Result of a run that is done, to be stored.

        Raises
        ------
        StationError
            It is not done.
        """
        if self.run is None or self.run.fit is None or self.run.state is not FocusState.DONE:
            raise StationError('no focus was found')
        fit, warm_c = self.run.fit, self._warm_c
        return Focus(
            utc=format_utc(now_ns, 0),
            position=round(fit.position),
            width_px=fit.width_px,
            temperature_c=warm_c if isfinite(warm_c) else None,
        )

    def _slew(self, now_ns: int, mount: MountReading, seen: FocuserSeen) -> None:
        """Begin to focus once the mount follows the star."""
        meant = self._commanded(mount.stamp_ns, mount)
        off = hypot((mount.az_rad - meant.az_rad) * cos(meant.el_rad), mount.el_rad - meant.el_rad)
        if off > _SETTLED_RAD:
            self._inside_ns = 0
            if now_ns - self._begun_ns > _SLEW_S * 1e9:
                self.abort(f'the mount is {off * 1e6:.0f} urad away after {_SLEW_S:.0f} s')
            return
        self._inside_ns = self._inside_ns or now_ns
        if now_ns - self._inside_ns < _SETTLED_S * 1e9:
            return
        self._home = seen.reading.position if self._home is None else self._home
        start = replace(seen.reading, position=self._home)
        try:
            self.run = Autofocus(start, seen.travel, self._station.focus.span_steps, now_ns)
        except StationError as error:
            self.abort(str(error))
        self._warm_c = seen.reading.temperature_c

    def _commanded(self, t_ns: int, mount: MountReading) -> AxisMotion[float]:
        axes = self._model.encoder_command(self._track.at(t_ns))
        if self._turn is None:
            self._turn = nearest_turn(axes.az_rad, self._station.mount.azimuth, mount.az_rad)
        return replace(axes, az_rad=axes.az_rad + self._turn)
