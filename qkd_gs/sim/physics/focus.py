"""Simulated focuser: it moves the tracking camera's image out of focus and into it."""

from __future__ import annotations

from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.devices.open_state import OpenState
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.twin_surroundings import FocusSettings


def defocus_px(settings: FocusSettings, position: float, temperature_c: float) -> float:
    """Gaussian width that the defocus adds to a spot of the tracking camera, for a position and a tube."""
    best = settings.start_step + settings.steps_per_c * (temperature_c - settings.reference_c)
    return abs(position - best) * settings.blur_px_per_1000_steps / 1000


class SimFocuser:
    """Implements `Focuser`; at rest in the focus of the reference temperature at the beginning.

    Parameters
    ----------
    temperature_c : float
        Of the tube.
    """

    def __init__(self, settings: FocusSettings, temperature_c: float) -> None:
        self._settings, self._state = settings, OpenState('focuser')
        self.temperature_c = temperature_c
        self._position = float(settings.start_step)
        self._target = settings.start_step
        self._last_ns = 0

    def open(self) -> None:
        """Connect; nothing moves."""
        self._state.is_open = True

    def close(self) -> None:
        """Halt, and disconnect."""
        self.halt(self._last_ns)
        self._state.is_open = False

    def travel(self) -> tuple[int, int]:
        """Lowest and highest position."""
        self._state.require()
        return 0, self._settings.max_step

    def move(self, now_ns: int, position: int) -> None:
        """Begin to move.

        Raises
        ------
        DeviceFault
            ``focuser.command``: outside the travel.
        """
        self._state.require()
        self._advance(now_ns)
        if not 0 <= position <= self._settings.max_step:
            raise DeviceFault('focuser.command', f'position {position} is not within 0 to {self._settings.max_step}')
        self._target = position

    def halt(self, now_ns: int) -> None:
        """Stop at the next full step."""
        self._advance(now_ns)
        self._target = round(self._position)
        self._position = float(self._target)

    def read(self, now_ns: int) -> FocuserReading:
        """Position and temperature."""
        self._state.require()
        self._advance(now_ns)
        moving = self._position != self._target
        return FocuserReading(now_ns, round(self._position), moving, self.temperature_c)

    def blur_px(self, now_ns: int) -> float:
        """Gaussian width that the defocus adds to a spot of the tracking camera, for sim/ only."""
        self._advance(now_ns)
        return defocus_px(self._settings, self._position, self.temperature_c)

    def _advance(self, now_ns: int) -> None:
        way = self._settings.steps_s * max(now_ns - self._last_ns, 0) * 1e-9
        self._last_ns = max(now_ns, self._last_ns)
        left = self._target - self._position
        self._position += min(max(left, -way), way)
