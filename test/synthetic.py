"""A synthetic session: plausible numbers drawn for looking at; nothing of it was measured or simulated by the twin."""

import numpy as np

from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Tally
from qkd_gs.qkd.finite_key.key_length import Overhead, key_length
from qkd_gs.session.manifest import LockedSpan, Manifest
from qkd_gs.session.telemetry import Telemetry
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import Phase

CULMINATION_NS = 1_538_517_600_000_000_000
SECOND_NS = 1_000_000_000
LOCK_S, SET_S, ACQUIRE_S = -152.0, 165.0, 1.37

TRACKING = {
    'rms_x_urad': 1.52,
    'rms_y_urad': 1.31,
    'spot_rms_x_urad': 3.21,
    'spot_rms_y_urad': 2.74,
    'floor_x_urad': 0.6,
    'floor_y_urad': 0.6,
    'peak_urad': 9.8,
    'acquire_s': ACQUIRE_S,
    'locked_s': 315.0,
    'locked_fraction': 0.9937,
    'losses': 1,
}


def key_counts():
    """Counts of a good pass: 600 kbit of sifted signal."""
    sent = 3.2e10

    def basis(errors):
        return BasisCounts(
            signal=Tally(sent=int(sent / 4), sifted=301_000, errors=errors),
            decoy=Tally(sent=int(sent / 8), sifted=19_400, errors=330),
            vacuum=Tally(sent=int(sent / 8), sifted=180, errors=92),
        )

    return KeyCounts(intensities=Intensities(signal=0.8, decoy=0.1, vacuum=0.0), hv=basis(3900), da=basis(4200))


def key_part():
    """The key's figures, by the project's own bounds."""
    counts = key_counts()
    overhead = Overhead(64, 2.0**-50, 1024, 2.0**-45)
    length = key_length(counts, epsilon_total=1e-10, f_ec=1.08, overhead=overhead)
    assert length.secret_bits > 10_000
    return {
        'sifted_bits': counts.sifted_bits,
        'sifted_bits_window': 331_000,
        'window_s': 78.0,
        'counts': counts.model_dump(),
        'qber': counts.qber,
        'secret_bits': length.secret_bits,
        'f_ec': 1.08,
        'disclosed_bits': 62_000,
        'epsilon': length.epsilon,
        'verified': True,
        'simulated': True,
        'bounds': length.bounds,
        'epsilon_ledger': length.epsilon_ledger,
        'cost': length.cost,
        'reasons': [],
    }


def telemetry(seed=1, rate_hz=20):
    """A pass with a fade of two seconds in it."""
    random = np.random.default_rng(seed)
    t_s = np.arange(-190, 175, 1 / rate_hz)
    along_km, offset_km, height_km = 7.3 * t_s, 150.0, 500.0
    azimuth = np.unwrap(np.arctan2(offset_km + 0.35 * along_km, 0.94 * along_km - 0.2 * offset_km))
    elevation = np.arctan2(height_km - 6e-5 * along_km**2, np.hypot(along_km, offset_km))
    phase = np.full(len(t_s), Phase.FINE)
    for start, end, code in [
        (-999, -180, Phase.WAIT),
        (-180, LOCK_S - 0.9, Phase.ACQUIRE),
        (LOCK_S - 0.9, LOCK_S, Phase.COARSE),
        (40, 42, Phase.LOST),
        (SET_S, 999, Phase.END),
    ]:
        phase[(t_s >= start) & (t_s < end)] = code

    def tilt(spread_urad):
        noise = random.normal(0, 1, len(t_s))
        slow = np.convolve(noise, np.exp(-np.arange(0.6 * rate_hz) / (0.12 * rate_hz)), 'same')
        return slow / slow.std() * spread_urad / np.sqrt(np.maximum(np.sin(elevation), 0.2))

    error_x, error_y = tilt(1.4), tilt(1.1)
    before = t_s < LOCK_S
    error_x[before] += 1500 * np.clip((LOCK_S - 0.5 - t_s[before]) / 10, 0, 1) + 40 * np.exp(-(LOCK_S - t_s[before]))
    spot = np.isin(phase, [Phase.FINE]) & (t_s < SET_S)
    guide = (t_s > LOCK_S - ACQUIRE_S) & (np.arange(len(t_s)) % max(rate_hz // 20, 1) == 0)
    t_ns = CULMINATION_NS + np.round(t_s * 1e9).astype(np.int64)
    bins = np.arange(-150, 165)
    rate = 9000 * np.interp(bins, t_s, np.sin(elevation)) ** 2.6 * np.exp(random.normal(0, 0.1, len(bins)))
    rate[(bins >= 40) & (bins < 42)] = 60
    coarse = np.arange(-150, 160, 5)
    bits = random.poisson(np.interp(coarse, bins, rate) * 5 * 0.3)
    errors = random.binomial(bits, 0.012 + 0.01 * np.interp(coarse, bins, 1 - rate / rate.max()) ** 4)
    hwp_s = np.arange(LOCK_S, SET_S, 2 / rate_hz)
    return Telemetry(
        t_ns=t_ns,
        az_rad=azimuth,
        el_rad=elevation,
        error_x_urad=error_x,
        error_y_urad=error_y,
        phase=phase,
        spot_t_ns=t_ns[spot],
        spot_x_urad=error_x[spot] + random.normal(0, 2.8, spot.sum()),
        spot_y_urad=error_y[spot] + random.normal(0, 2.4, spot.sum()),
        guide_t_ns=t_ns[guide],
        guide_x_urad=error_x[guide] + random.normal(0, 3, guide.sum()),
        guide_y_urad=error_y[guide] + random.normal(0, 3, guide.sum()),
        hwp_t_ns=CULMINATION_NS + np.round(hwp_s * 1e9).astype(np.int64),
        polarization_error_deg=0.05 * np.sin(hwp_s / 9)
        + 0.17 * np.exp(-((hwp_s / 9) ** 2))
        + random.normal(0, 0.01, len(hwp_s)),
        count_t_ns=CULMINATION_NS + bins * SECOND_NS,
        counts=random.poisson(rate[None] * np.array([[0.26], [0.24], [0.255], [0.245]])),
        beacon_counts=random.poisson(9200 * (1 - np.exp(-rate / 900))),
        qber_t_ns=CULMINATION_NS + coarse * SECOND_NS,
        qber=np.where(bits > 0, errors / np.maximum(bits, 1), np.nan),
        qber_bits=bits,
        sync_t_ns=CULMINATION_NS + bins * SECOND_NS,
        sync_residual_ns=0.42 + 0.06 * random.normal(0, 1, len(bins)) ** 2,
    )


RUNS = [
    {'file': 'tags.sealed', 'started': '2018-10-02T21:56:40.000Z', 'tags': 5_100_000, 'cut_short': True, 'unused': ''},
    {'file': 'tags-2.sealed', 'started': None, 'tags': 0, 'cut_short': False, 'unused': 'tags-2.sealed: is not sealed'},
]


def manifest(**change):
    """Manifest of the synthetic session."""
    whole = {
        'session_id': '5' * 32,
        'simulated': True,
        'software': 'qkd_gs (synthetic numbers of a test)',
        'created_utc': '2018-10-02T22:10:00Z',
        'satellite': 'MICIUS',
        'elements_file': 'micius.tle',
        'elements_used': 'TLE of 2018-09-15, 18 days old',
        'site': load_site('shanghai'),
        'pass_info': {
            'rise': '2018-10-02T21:55:40Z',
            'culmination': '2018-10-02T22:00:00Z',
            'set': '2018-10-02T22:04:20Z',
            'max_elevation_deg': 72.3,
            'min_range_km': 522.0,
            'sun_elevation_deg': -3.1,
        },
        'closed': True,
        'culmination_ns': CULMINATION_NS,
        'time_bias_s': -0.183,
        'cross_track_m': 412.0,
        'locked': [
            LockedSpan(start_ns=CULMINATION_NS + int(a * 1e9), end_ns=CULMINATION_NS + int(b * 1e9))
            for a, b in [(LOCK_S, 40), (42, SET_S)]
        ],
        'station': load_yaml(share_path('config', 'station.yaml'), StationSettings),
        'seed': 7,
        'tracking': TRACKING,
        'polarization': {'max_error_deg': 0.24, 'open_loop_error_deg': 0.93},
        'run': {'real_time_factor': 14.2, 'seed': 7, 'window_s': 78},
        'result': {
            'timing': {
                'sync_rms_ns': 0.041,
                'residual_single_ns': 0.43,
                'tags': 5_100_000,
                'runs': RUNS,
                'counted_s': 290.0,
            },
            'key': key_part(),
        },
    }
    return Manifest(**(whole | change))
