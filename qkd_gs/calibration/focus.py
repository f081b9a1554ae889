"""Autofocus on a star: the width of its spot at several positions of the focuser, and where it is smallest.

Out of focus the blur adds to the width in squares, and grows in proportion to the distance from the focus.  So the
square of the width is a parabola of the position, and its lowest point is the focus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite, sqrt
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.camera import Frame
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_if_there

FILE_NAME = 'focus.json'
RUN_FILE = 'focus-run.json'  # where the focuser was before an autofocus that is under way, or was cut off
POSITIONS, IMAGES = 7, 8
WARN_C = 5.0  # a tube of aluminium, 1 m long, is 0.1 mm shorter then
_LEAST_POSITIONS = 4
_HALF_PX = 16  # of the square that is looked at
_WINDOW_PX = 6.0  # Gaussian weight of the moments
_LEAST_PEAK = 8.0  # times the noise
_MOVE_S, _SILENT_S = 60.0, 5.0
_RUN_NS = 2 * 3600 * 10**9  # an older one is not gone by
_EDGE = 0.05  # the focus must be so far inside the measured range


class Focus(Section):
    """focus.json: the last autofocus."""

    utc: str
    position: int
    width_px: float = Field(description='Gaussian width of the spot there')
    temperature_c: float | None = Field(default=None, description='as the focuser measured it; none: it does not')


class FocusRun(Section):
    """focus-run.json."""

    begun_utc: str
    position: int


@dataclass(frozen=True)
class FocusFit:
    """Lowest point of the parabola."""

    position: float
    sigma: float  # standard error, steps
    width_px: float


class FocusState(IntEnum):
    """States of an autofocus."""

    RUNNING = 0
    DONE = 1  # the focuser stands at the focus
    FAILED = 2  # it was ordered back to where it was


class Autofocus:
    """Moves the focuser through positions about its present one; `step` until DONE or FAILED.

    The star stays in the field meanwhile: somebody else tracks it.

    Parameters
    ----------
    start : FocuserReading
        Its position.
    travel : (int, int)
        Of the focuser.
    span : int
        Steps from the first to the last position.
    """

    def __init__(self, start: FocuserReading, travel: tuple[int, int], span: int, now_ns: int) -> None:
        low = min(max(start.position - span // 2, travel[0]), travel[1] - span)
        if low < travel[0]:
            raise StationError(f'{span} steps are more than the travel of {travel[0]} to {travel[1]}')
        self.state, self.message = FocusState.RUNNING, ''
        self.home = start.position
        self._positions = [low + span * k // (POSITIONS - 1) for k in range(POSITIONS)]
        self._widths: list[tuple[int, float]] = []
        self._seen: list[float] = []
        self._looked = 0
        self._target, self._since_ns, self._ready_ns = self._positions.pop(0), now_ns, 0
        self.fit: FocusFit | None = None

    def step(self, now_ns: int, reading: FocuserReading, frames: Sequence[Frame]) -> int:
        """Take a reading and the images since the last step; the position that the focuser shall have."""
        if self.state is not FocusState.RUNNING:
            return self._target
        if reading.moving or reading.position != self._target:
            self._ready_ns = 0
            if now_ns - self._since_ns > _MOVE_S * 1e9:
                self._fail(f'the focuser is at {reading.position}, not at {self._target}, after {_MOVE_S:.0f} s')
            return self._target
        self._ready_ns = self._ready_ns or now_ns
        for frame in frames:
            if frame.stamp_ns - frame.exposure_s * 5e8 >= self._ready_ns:
                self._looked += 1
                width = spot_width_px(frame)
                self._seen += [width] if isfinite(width) else []
        if self.fit is not None:
            self.state = FocusState.DONE
            self.message = f'focus at {self._target} +- {self.fit.sigma:.0f} steps, spot {self.fit.width_px:.2f} px'
        elif self._looked >= IMAGES:
            self._next(now_ns)
        elif now_ns - self._ready_ns > _SILENT_S * 1e9 and not self._looked:
            self._fail('the tracking camera sends no images')
        return self._target

    def abort(self) -> None:
        """Stop; the focuser goes back."""
        if self.state is FocusState.RUNNING:
            self._fail('aborted by the operator')

    def _next(self, now_ns: int) -> None:
        if len(self._seen) >= IMAGES // 2:
            self._widths.append((self._target, float(np.median(self._seen))))
        self._seen, self._looked, self._since_ns, self._ready_ns = [], 0, now_ns, 0
        if self._positions:
            self._target = self._positions.pop(0)
            self.message = f'position {POSITIONS - len(self._positions)} of {POSITIONS}'
            return
        try:
            self.fit = fit_focus(self._widths)
        except StationError as error:
            self._fail(str(error))
            return
        self._target = round(self.fit.position)

    def _fail(self, why: str) -> None:
        self.state, self.message, self._target = FocusState.FAILED, why, self.home


def fit_focus(widths: Sequence[tuple[int, float]]) -> FocusFit:
    """Focus from positions and widths (px).

    Raises
    ------
    StationError
        Fewer than four positions with a star, or no lowest point inside.
    """
    if len(widths) < _LEAST_POSITIONS:
        raise StationError(
            f'the star was seen at {len(widths)} positions of the focuser, {_LEAST_POSITIONS} are needed',
            hint='a cloud, or far out of focus',
        )
    position = np.array([float(one) for one, _ in widths])
    squares: FloatArray = np.array([width**2 for _, width in widths])
    middle, half = (position.max() + position.min()) / 2, (position.max() - position.min()) / 2
    x = (position - middle) / half
    design = np.stack([np.ones_like(x), x, x * x], axis=1)
    weight = 1 / squares  # the error of a width grows with it
    (level, slope, bend), *_ = np.linalg.lstsq(design * weight[:, None], squares * weight, rcond=None)
    if bend <= 0 or abs(slope / (2 * bend)) > 1 - _EDGE:
        raise StationError(
            f'the focus is not between {position.min():.0f} and {position.max():.0f}',
            hint='begin nearer to it, or take a wider range',
        )
    covariance = np.linalg.inv((design * weight[:, None]).T @ (design * weight[:, None]))
    rest = (squares - design @ (level, slope, bend)) * weight
    scale = float(rest @ rest) / max(len(x) - 3, 1)
    best = -slope / (2 * bend)
    gradient = np.array([0.0, -1 / (2 * bend), slope / (2 * bend * bend)])
    sigma = sqrt(float(gradient @ covariance @ gradient) * scale)
    lowest = max(level - slope * slope / (4 * bend), 0.0)
    return FocusFit(float(middle + half * best), float(half * sigma), sqrt(float(lowest)))


def spot_width_px(frame: Frame) -> float:
    """Gaussian width of the brightest spot of an image, from weighted second moments; NaN: there is none."""
    image = frame.image.astype(np.float64)
    image -= np.median(image)
    noise = 1.4826 * float(np.median(np.abs(image[::3, ::3]))) or 1.0
    smooth = cv2.medianBlur(image.astype(np.float32), 3)  # without hot pixels
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    if smooth[row, column] < _LEAST_PEAK * noise / 3:
        return float('nan')
    y0, x0 = max(int(row) - _HALF_PX, 0), max(int(column) - _HALF_PX, 0)
    part = image[y0 : int(row) + _HALF_PX + 1, x0 : int(column) + _HALF_PX + 1]
    y, x = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float64)
    at_y, at_x, moment = float(row) - y0, float(column) - x0, 4.0
    for _ in range(10):
        light = part * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * _WINDOW_PX**2))
        total = float(light.sum())
        if total <= 0:
            return float('nan')
        at_x, at_y = float((light * x).sum()) / total, float((light * y).sum()) / total
        moment = float((light * ((x - at_x) ** 2 + (y - at_y) ** 2)).sum()) / total / 2
    if not 0 < moment < _WINDOW_PX**2:
        return float('nan')
    return sqrt(1 / (1 / moment - 1 / _WINDOW_PX**2))  # without the window


def save_focus(folder: Path, focus: Focus) -> None:
    """Write focus.json into the state folder.

    Raises
    ------
    StationError
        It cannot be written.
    """
    replace_file(folder / FILE_NAME, focus.model_dump_json(indent=2) + '\n', parents=True)


def load_focus(folder: Path) -> Focus | None:
    """The last autofocus; None: there was none.

    Raises
    ------
    StationError
        A damaged file.
    """
    return load_if_there(folder / FILE_NAME, Focus)


def note_start(folder: Path, now_ns: int, position: int) -> None:
    """Note where the focuser stands before an autofocus moves it.

    Raises
    ------
    StationError
        It cannot be written.
    """
    run = FocusRun(begun_utc=format_utc(now_ns, 0), position=position)
    replace_file(folder / RUN_FILE, run.model_dump_json(indent=2) + '\n', parents=True)


def noted_start(folder: Path, now_ns: int) -> int | None:
    """Position of the focuser before an autofocus that was cut off in the last two hours; None: none was.

    Raises
    ------
    StationError
        A damaged file.
    """
    path = folder / RUN_FILE
    run = load_if_there(path, FocusRun)
    if run is None or not 0 <= now_ns - parse_utc(run.begun_utc, f'{path}: begun_utc') < _RUN_NS:
        return None
    return run.position


def forget_start(folder: Path) -> None:
    """The autofocus is over, and the focuser on its last way."""
    (folder / RUN_FILE).unlink(missing_ok=True)


def temperature_warning(folder: Path, temperature_c: float) -> str:
    """Reason to find the focus again; '' if the temperature is not known or near that of the last autofocus.

    Raises
    ------
    StationError
        A damaged file.
    """
    last = load_focus(folder)
    if last is None or last.temperature_c is None or not isfinite(temperature_c):
        return ''
    change = temperature_c - last.temperature_c
    if abs(change) < WARN_C:
        return ''
    warmer = 'warmer' if change > 0 else 'colder'
    return f'the tube is {abs(change):.0f} degrees {warmer} than at the last autofocus of {last.utc}: focus again'
