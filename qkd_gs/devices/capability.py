"""Capability of a mount, as its driver states it, and whether that is enough for the tracking camera."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees

from qkd_gs.settings.station import StationSettings

_SHARE = 0.5  # of the tracking camera's half field that the mount's error may take


@dataclass(frozen=True)
class MountCapability:
    """Speed and accuracy of a mount with its driver.

    Attributes
    ----------
    command_rate_hz : float
        Set-points a second that reach the drives.
    latency_s : float
        From the command to the drives.
    accuracy_rad : float
        Step of its set-points or of its encoders, whichever is coarser.
    timed : bool
        Set-points carry rate and time, so that delays cost no position.
    """

    command_rate_hz: float
    latency_s: float
    accuracy_rad: float
    timed: bool = True

    def error_rad(self, rate_rad_s: float) -> float:
        """Largest following error of an axis at a rate."""
        late_s = 0.0 if self.timed else self.latency_s + 1 / self.command_rate_hz
        return self.accuracy_rad + late_s * abs(rate_rad_s)


def why_too_coarse(capability: MountCapability, rate_rad_s: float, station: StationSettings) -> str:
    """Reason why a mount cannot hold a satellite in the tracking camera, in one sentence; empty: it can.

    Parameters
    ----------
    rate_rad_s : float
        Fastest rate of an axis along the pass.
    """
    camera = station.tracking_camera
    allowed_rad = _SHARE * min(camera.width_px, camera.height_px) * camera.scale_urad_px * 0.5e-6
    error_rad = capability.error_rad(rate_rad_s)
    if error_rad <= allowed_rad:
        return ''
    steps = f'steps of {degrees(capability.accuracy_rad):.3g} deg'
    late = '' if capability.timed else f' and {capability.command_rate_hz:.3g} set-points a second without rates'
    return (
        f'the mount is too coarse for the tracking camera: {steps}{late} leave {error_rad * 1e3:.2g} mrad'
        f' at {degrees(rate_rad_s):.2g} deg/s, the camera needs {allowed_rad * 1e3:.2g} mrad'
    )
