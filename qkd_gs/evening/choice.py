"""Choice of the passes that are worth it, by a forecast with the light as tonight's tests have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.calibration.light.noise_map import NoiseMap
from qkd_gs.downlink.background import background_rate
from qkd_gs.forecast.counts import Light
from qkd_gs.forecast.forecast import forecast_pass
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.passes import Pass, find_passes
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.pass_window import ARMED_S
from qkd_gs.pointing.slew import longest_slew_s
from qkd_gs.settings.downlink import DownlinkSettings
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import MountSettings, StationSettings

LEAST_BITS = 1000  # expected secret bits of a pass that is worth it: eight times what its authentication costs
_SETTLE_S = 10.0  # to end what is under way, and to plan the pass
_FAR_M = 1e9


@dataclass(frozen=True)
class MeasuredLight:
    """Results of tonight's tests.

    Attributes
    ----------
    gain : float
        Efficiency over the stated one; 1: not measured.
    noise : NoiseMap or None
        None: not measured, so the stated noise holds.
    """

    downlink: DownlinkSettings
    site: Site
    gain: float = 1.0
    noise: NoiseMap | None = None

    def __call__(self, light: Light, target: TargetState[FloatArray]) -> Light:
        """The light of a forecast with what was measured; a sunlit satellite shines on top of the map."""
        noise = light.noise_cps
        if self.noise is not None:
            t_ns: IntArray = np.asarray(target.t_ns, np.int64)
            place = target.az_rad, target.el_rad
            stated, link = self.downlink.noise, self.downlink.link
            sky = background_rate(stated, link, self.site, t_ns, *place, np.full(len(t_ns), _FAR_M))
            noise = self.noise.at(*place).sum(axis=1) + np.maximum(noise - sky, 0.0)
        return Light(light.transmission * self.gain, noise, light.step_s)


def ready_s(mount: MountSettings) -> float:
    """Time before a pass for which a telescope that may look anywhere must be free, s: to slew to it, and to wait."""
    return longest_slew_s(mount) + ARMED_S + _SETTLE_S


def choose_passes(
    elements: Elements,
    site: Site,
    station: StationSettings,
    measured: MeasuredLight,
    span_ns: tuple[int, int],
    least_bits: int = LEAST_BITS,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Passes within a span of time, each with its forecast and whether it is worth it, or why not.

    Raises
    ------
    StationError
        The elements are too old.
    """
    lowest_deg = max(station.tracking.start_el_deg, 1.0)
    found = find_passes(elements, site, *span_ns, min_elevation_deg=lowest_deg, force=force)
    return [_judged(one, site, station, measured, span_ns, least_bits) for one in found]


def _judged(
    one: Pass,
    site: Site,
    station: StationSettings,
    measured: MeasuredLight,
    span_ns: tuple[int, int],
    least_bits: int,
) -> dict[str, Any]:
    begin_ns, until_ns = span_ns
    row: dict[str, Any] = {
        'satellite': one.satellite,
        'culmination': format_utc(one.culmination_ns),
        'rise': format_utc(one.rise_ns, 0),
        'max_elevation_deg': round(one.max_elevation_deg, 1),
        'forecast': None,
    }
    why = '; '.join(one.reasons)
    if not why and one.rise_ns < begin_ns + ready_s(station.mount) * 1e9:
        why = 'it rises before the telescope is ready'
    if not why and one.set_ns > until_ns:
        why = 'it sets after the end of the evening'
    if not why:
        forecast = forecast_pass(one, site, station, measured.downlink, measured=measured)
        if forecast is None:
            why = f'it stays below {station.tracking.data_el_deg:g} deg'
        else:
            row['forecast'] = forecast.to_dict()
            bits = round(forecast.secret_bits.expected)
            if bits < least_bits:
                why = f'{bits} secret bits are expected, fewer than {least_bits}'
    return row | {'worth': not why, 'why': why}
