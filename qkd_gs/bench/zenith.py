"""Benchmark of passes through the zenith: culminations of 88 and 89.9 deg, two mounts, many seeds, without photons.

Each seed draws pointing errors, orbit error, mounting of the half-wave plate and turbulence, and is calibrated once,
with the reference mount.  To save time a pass is tracked above 45 deg only.
"""

from __future__ import annotations

from itertools import product
from statistics import median
from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray
from qkd_gs.bench.seeds import seed_numbers
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.dark_pass import DarkPass, calibrated_pointing, track_dark_pass
from qkd_gs.sim.metrics import polarization_part
from qkd_gs.sim.simulate import Simulation
from qkd_gs.tracking.types import OVER, Phase

_AT = '2018-10-03T15:56:00Z'
_SITES = {88.0: '31.1266,122.96940,20', 89.9: '31.1266,123.13384,20'}  # east of Shanghai
_RATES_DEG_S = (30.0, 15.0)  # of the azimuth axis: the reference mount, and a slower one
_ABOVE_DEG = 45.0
_JUDGED = ('hwp_error_deg', 'rms_x_urad', 'rms_y_urad', 'lost_s', 'relock_s', 'after_gap_urad')


def run(seeds: str = '1-20') -> dict[str, Any]:
    """Track all passes; of each figure the median and the largest value over the seeds."""
    chosen = seed_numbers(seeds)
    rows = []
    for seed in chosen:
        calibration = calibrated_pointing(_simulation(min(_SITES), max(_RATES_DEG_S), seed))
        for culmination_deg, rate_deg_s in product(_SITES, _RATES_DEG_S):
            flown = track_dark_pass(_simulation(culmination_deg, rate_deg_s, seed), *calibration)
            rows.append({'culmination_deg': culmination_deg, 'azimuth_deg_s': rate_deg_s, 'seed': seed, **_row(flown)})
    return {'seeds': len(chosen), 'passes': len(rows), **summary(rows), 'rows': rows}


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Median and largest value of each figure, for each culmination and mount."""
    figures = {}
    for culmination_deg, rate_deg_s in product(_SITES, _RATES_DEG_S):
        own = [r for r in rows if (r['culmination_deg'], r['azimuth_deg_s']) == (culmination_deg, rate_deg_s)]
        for name in _JUDGED:
            values = [row[name] for row in own]
            figures[f'{culmination_deg:g}_deg.{rate_deg_s:g}_deg_s.{name}.median'] = median(values)
            figures[f'{culmination_deg:g}_deg.{rate_deg_s:g}_deg_s.{name}.worst'] = max(values)
    return figures


def _simulation(culmination_deg: float, rate_deg_s: float, seed: int) -> Simulation:
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    azimuth = station.mount.azimuth.model_copy(update={'max_rate_deg_s': rate_deg_s})
    elevations = dict.fromkeys(('start_el_deg', 'data_el_deg', 'end_el_deg'), _ABOVE_DEG)
    changed = {
        'mount': station.mount.model_copy(update={'azimuth': azimuth}),
        'tracking': station.tracking.model_copy(update=elevations),
    }
    return Simulation(
        elements=load_elements(share_path('config', 'elements', 'micius.tle')),
        site=load_site(_SITES[culmination_deg]),
        at_ns=parse_utc(_AT),
        seed=seed,
        station=station.model_copy(update=changed),
        twin=load_twin(),
    )


def _row(flown: DarkPass) -> dict[str, float]:
    """Figures of one pass."""
    log = flown.log
    t_ns, phase = log.times(), log.column('phase')
    error_urad = np.array([log.column('x_urad'), log.column('y_urad')])
    locked = phase == Phase.FINE
    during = np.maximum.accumulate(locked) & ~np.isin(phase, (*OVER, Phase.IDLE))
    period_s = 1 / flown.station.tracking.control_rate_hz
    gaps_s = [(last - first) * 1e-9 for first, last in flown.gaps_ns]
    back, relock_s = during, 0.0
    if gaps_s:
        # the satellite passes its predicted places earlier by the time bias
        end_ns = flown.gaps_ns[-1][1] - round(log.time_bias_s * 1e9)
        after = t_ns > end_ns
        relock_s = float(t_ns[after & locked][0] - end_ns) * 1e-9
        back = during & (t_ns >= t_ns[after & locked][0])
    rms_urad = np.sqrt(np.mean(error_urad[:, during & locked] ** 2, axis=1)).tolist()
    polarization = polarization_part(log, flown.predicted, flown.model, flown.truth, flown.station)
    return {
        'time_bias_s': log.time_bias_s,
        'cross_track_m': log.cross_track_m,
        'hwp_error_deg': polarization['max_error_deg'],
        'rms_x_urad': rms_urad[0],
        'rms_y_urad': rms_urad[1],
        'gap_s': sum(gaps_s),
        'lost_s': float(np.sum(during & ~locked)) * period_s,
        'relock_s': relock_s,
        'after_gap_urad': _largest(error_urad, back),
    }


def _largest(error_urad: FloatArray, where: BoolArray) -> float:
    return float(np.hypot(*error_urad[:, where]).max())
