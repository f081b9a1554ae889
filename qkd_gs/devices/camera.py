"""Protocol of the cameras, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from qkd_gs.arrays import ImageArray


@dataclass(frozen=True)
class Roi:
    """Region read out, in pixels of the full sensor; (0, 0) is the centre of the first pixel, y grows downwards."""

    x0_px: int
    y0_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True)
class CameraSettings:
    """Settings of a camera, chosen by the operator or the exposure control."""

    exposure_s: float
    gain: float  # linear, 1 = lowest
    rate_hz: float
    roi: Roi | None = None  # None: the full sensor


@dataclass(frozen=True)
class Frame:
    """One image with its exposure data."""

    stamp_ns: int  # station time of mid-exposure
    exposure_s: float
    gain: float
    image: ImageArray  # (height, width) of the region
    roi: Roi


@runtime_checkable
class Camera(Protocol):
    """Open, configure, poll, close.  Every call returns at once or raises DeviceFault."""

    def open(self) -> None: ...

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Take effect with the next exposure that starts; starts the stream."""

    def poll(self, now_ns: int) -> list[Frame]:
        """Images that have arrived since the last call, oldest first (read-out and transfer included)."""

    def stop(self, now_ns: int) -> None:
        """Stop the stream; allowed in every state, any number of times."""

    def close(self) -> None: ...
