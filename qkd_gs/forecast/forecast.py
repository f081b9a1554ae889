"""Forecast of a pass from its orbit, the site, the Moon and the stated downlink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import log10, radians
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.downlink.background import background_rate
from qkd_gs.downlink.budget import transmission
from qkd_gs.forecast.counts import Light, expected_counts, with_flaws
from qkd_gs.orbit.horizon import horizon_rad
from qkd_gs.orbit.passes import Pass
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.key_length import Overhead, key_length
from qkd_gs.qkd.link import authenticated_channel
from qkd_gs.settings.downlink import DownlinkSettings
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

STEP_NS = 1_000_000_000
_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)  # equally likely values of the link, and of the optical error


class Interval(NamedTuple):
    """Expected value, and the limits below and above which one pass in ten lies."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """Expected result of a pass."""

    start_ns: int  # UTC, counted from here ...
    end_ns: int  # ... to here
    counted_s: float
    sifted_bits: Interval
    qber: Interval
    secret_bits: Interval
    loss_db: float  # mean, from the satellite's aperture to a click
    noise_cps: float  # mean over the four detectors

    def to_dict(self) -> dict[str, Any]:
        """The forecast for JSON."""
        return {
            'start': format_utc(self.start_ns),
            'end': format_utc(self.end_ns),
            'counted_s': round(self.counted_s, 1),
            'sifted_bits': _rounded(self.sifted_bits, 0),
            'qber': _rounded(self.qber, 5),
            'secret_bits': _rounded(self.secret_bits, 0),
            'loss_db': round(self.loss_db, 2),
            'noise_cps': round(self.noise_cps, 1),
        }


def forecast_pass(
    found: Pass,
    site: Site,
    station: StationSettings,
    downlink: DownlinkSettings,
    window_s: float | None = None,
    gaps_ns: Sequence[tuple[int, int]] = (),
    measured: Callable[[Light, TargetState[FloatArray]], Light] | None = None,
) -> Forecast | None:
    """Forecast of a pass; None if the satellite does not reach the elevation at which data are taken.

    Parameters
    ----------
    window_s : float, optional
        Count only so long, with the culmination in the middle, wherever the satellite is.
    gaps_ns : sequence of (start, end)
        Spans of UTC in which the mount leaves the track.
    measured : callable, optional
        (light, target) -> light, as this night's tests have it; not given: as the downlink is stated.
    """
    seen = _counted(found, site, station, window_s, gaps_ns)
    if seen is None:
        return None
    target, t_ns = seen
    light = light_of(target, t_ns, site, downlink)
    return forecast_light(measured(light, target) if measured else light, t_ns, station, downlink)


def light_of(target: TargetState[FloatArray], t_ns: IntArray, site: Site, downlink: DownlinkSettings) -> Light:
    """Transmission and noise towards a satellite, times in steps of a second."""
    return Light(
        transmission(downlink.link, site, target.range_m, target.el_rad, 0.0),
        background_rate(downlink.noise, downlink.link, site, t_ns, target.az_rad, target.el_rad, target.range_m),
        STEP_NS * 1e-9,
    )


def forecast_light(light: Light, t_ns: IntArray, station: StationSettings, downlink: DownlinkSettings) -> Forecast:
    """Forecast from transmission and noise at times (n,), UTC."""
    spread, optical = downlink.spread, downlink.polarization.receiver_error + downlink.polarization.source_error
    deviations = [NormalDist().inv_cdf(level) for level in _LEVELS]
    gains = [10 ** (spread.link_db * deviation / 10) for deviation in deviations]
    errors = [max(optical + spread.error * deviation, 0.0) for deviation in deviations]

    def counts(gain: float, error: float) -> KeyCounts:
        return expected_counts(light, station.source, station.key, error, gain)

    middle = counts(1.0, optical)
    drawn = [counts(gain, error) for gain, error in product(gains, errors)]
    keys = [
        secret_bits(with_flaws(one, light, station, gain), station, downlink.f_ec)
        for one, (gain, _) in zip(drawn, product(gains, errors), strict=True)
    ]

    def interval(values: Sequence[float], expected: float) -> Interval:
        low, high = np.quantile(values, [0.1, 0.9]).tolist()
        return Interval(low, expected, high)

    return Forecast(
        start_ns=int(t_ns[0]),
        end_ns=int(t_ns[-1]) + STEP_NS,
        counted_s=len(t_ns) * STEP_NS * 1e-9,
        sifted_bits=interval([one.sifted_bits for one in drawn], middle.sifted_bits),
        qber=interval([one.qber for one in drawn], middle.qber),
        secret_bits=interval(keys, secret_bits(with_flaws(middle, light, station), station, downlink.f_ec)),
        loss_db=-10 * log10(float(light.transmission.mean())),
        noise_cps=float(light.noise_cps.mean()),
    )


def secret_bits(counts: KeyCounts, station: StationSettings, f_ec: float) -> int:
    """Certified key of expected counts, in the setting of the station."""
    if not counts.sifted_bits:
        return 0
    overhead = Overhead(
        verification_bits=station.key.verification_bits,
        verification_epsilon=2.0**-station.key.verification_bits,
        authentication_bits=authenticated_channel.SECRET_BITS,
        authentication_epsilon=authenticated_channel.forgery_epsilon(1),
    )
    return key_length(counts, epsilon_total=station.key.epsilon_total, f_ec=f_ec, overhead=overhead).secret_bits


def _counted(
    found: Pass,
    site: Site,
    station: StationSettings,
    window_s: float | None,
    gaps_ns: Sequence[tuple[int, int]],
) -> tuple[TargetState[FloatArray], IntArray] | None:
    """States at the middles of the seconds that count, and the beginnings of those seconds."""
    t_ns = np.arange(found.rise_ns, found.set_ns - STEP_NS, STEP_NS, dtype=np.int64)
    if len(t_ns) < 2:
        return None
    path = Trajectory.predict(found.orbit, site, found.rise_ns, found.set_ns)
    target = path.table(t_ns + STEP_NS // 2)
    counted: BoolArray
    if window_s is not None:
        counted = np.abs(t_ns + STEP_NS // 2 - found.culmination_ns) <= window_s * 1e9 / 2
    else:
        counted = target.el_rad >= radians(station.tracking.data_el_deg)
    if site.horizon:
        counted &= target.el_rad > horizon_rad(site, target.az_rad)
    for start_ns, end_ns in gaps_ns:
        counted &= (t_ns < start_ns) | (t_ns > end_ns)
    if not counted.any():
        return None
    t_ns = t_ns[counted]
    return path.table(t_ns + STEP_NS // 2), t_ns


def _rounded(interval: Interval, digits: int) -> dict[str, float]:
    return {name: round(value, digits or None) for name, value in interval._asdict().items()}
