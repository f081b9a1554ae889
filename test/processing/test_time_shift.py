"""Time-shift attacks: Eve delays pulses and measures nothing; the gate must not let her choose who clicks."""

import numpy as np
import pytest

from qkd_gs.bench.security.delayed_light import coin, delayed, drifting, two_delays
from qkd_gs.bench.security.short_sessions import make, process, short_session, station_with
from qkd_gs.calibration.detector_delays import calibrate_delays
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.session.manifest import update_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.sim.photons.arrivals import PhotonSource, drawn_delays_ps
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.trusted_light import pulsed_source
from qkd_gs.timing.tags import QUANTUM, Channel

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
# the worst calibration that the settings admit
KNOWN_TO = {'delay_error_ns': 0.3, 'station': station_with('detectors', delay_uncertainty_ns=0.3)}
REFUSED = r'second_peak: .* of that inside|ns from where the beacon says, 2 ns are allowed'


SEEDS = 1, 3, 7  # draws of the delays with which Eve would have known a basis, or both
REACHES_PS = 1000, 1500, 2000, 3000, 5000


@pytest.mark.parametrize(
    ('reach_ps', 'seed'),
    [
        pytest.param(reach_ps, seed, marks=[] if (i + k) % 3 == 0 else pytest.mark.long)
        for i, reach_ps in enumerate(REACHES_PS)
        for k, seed in enumerate(SEEDS)
    ],
)
def test_one_of_two_delays_on_eves_coin_ends_it(tmp_path, reach_ps, seed):
    with pytest.raises(StationError, match=REFUSED):
        make(tmp_path, source=two_delays(-reach_ps, reach_ps), seed=seed, seconds=6.0, before_s=3.0)


@pytest.mark.parametrize('reach_ps', [700, 1000, 3000])
def test_so_it_does_where_the_delays_are_known_badly(tmp_path, reach_ps):
    with pytest.raises(StationError, match=REFUSED):
        make(tmp_path, source=two_delays(-reach_ps, reach_ps), seconds=6.0, before_s=3.0, **KNOWN_TO)


@pytest.mark.parametrize('second_ps', [1300, 3000, 7000])
def test_a_second_peak_ends_it(tmp_path, second_ps):
    with pytest.raises(StationError, match=REFUSED):
        make(tmp_path, source=two_delays(0, second_ps), seconds=6.0, before_s=3.0)


def test_a_sixteenth_of_the_pulses_at_the_edges_is_enough(tmp_path):
    with pytest.raises(StationError, match=r'second_peak: '):
        make(tmp_path, source=two_delays(-1000, 1000, share=1 / 16), **KNOWN_TO)


@pytest.mark.parametrize(('reach_ps', 'kind'), [(450, 'drift: '), (1500, REFUSED), (3000, REFUSED)])
def test_a_slow_drift_ends_it(tmp_path, reach_ps, kind):
    with pytest.raises(StationError, match=kind):
        make(tmp_path, source=drifting(reach_ps, 80.0), seconds=40.0, before_s=20.0, gain=2.0)


def test_a_detector_whose_photons_come_late_inside_the_gate_ends_it(tmp_path):
    """E.g. lasers that do not fire together: the time of a click tells the bit."""

    class Late(PhotonSource):
        def _quantum(self, *arguments):
            time_ps, channel = super()._quantum(*arguments)
            return time_ps + (channel == Channel.H) * 500, channel

    with pytest.raises(StationError, match=r'unequal_delays: H and .* ps apart'):
        make(tmp_path, source=Late, seconds=6.0, before_s=3.0)


def test_a_detector_whose_photons_are_spread_otherwise_ends_it(tmp_path):
    """Half of them early and half of them late, so that the mean is that of the others."""

    class Spread(PhotonSource):
        def _quantum(self, *arguments):
            time_ps, channel = super()._quantum(*arguments)
            return time_ps + (channel == Channel.H) * np.where(time_ps % 2, 400, -400), channel

    with pytest.raises(StationError, match=r'unequal_profiles: .*H'):
        make(tmp_path, source=Spread, seconds=6.0, before_s=3.0)


def test_detectors_that_nobody_calibrated_are_refused(tmp_path):
    with pytest.raises(StationError, match=r'unequal_delays: .* ps apart .* 200 ps are allowed'):
        make(tmp_path, delay_error_ns=1.0, seconds=6.0, before_s=3.0)


def test_delays_that_are_known_badly_are_good_enough_for_honest_light(tmp_path):
    made = make(tmp_path, **KNOWN_TO)
    assert made.key['secret_bits'] > 20_000
    assert made.key['anomalies'] == []


def test_delays_changed_after_the_pass_are_refused(tmp_path):
    """Who may write into the session must not be able to choose the gate once the tags are known."""
    keys = KeyFolder.create(tmp_path / 'keys')
    folder = tmp_path / 'session'
    short_session().write(folder, keys.session_public_key)

    def other_delays(manifest):
        delay_ns = manifest.station.detectors.delay_ns | {'H': 32.2}
        detectors = manifest.station.detectors.model_copy(update={'delay_ns': delay_ns})
        return {'station': manifest.station.model_copy(update={'detectors': detectors}).model_dump()}

    update_manifest(folder, other_delays)
    with pytest.raises(StationError, match=r'recorded with other settings of detectors, source or key'):
        process(folder, keys)


def test_a_calibration_makes_a_receiver_of_unknown_delays_usable(tmp_path):
    """Refused as it was built; measured with the pulsed source; then it makes a key."""
    session = short_session(delay_error_ns=1.0)
    light = session.photonics()
    rng = np.random.default_rng(session.seed)
    DriftingClock.drawn(0, light.satellite_clock, rng)
    truth_ps = drawn_delays_ps(light, STATION.detectors, rng)
    found = calibrate_delays(pulsed_source(light, truth_ps, 1, 5.0), tagger_ps=50.0)
    delay_ns = STATION.detectors.delay_ns | {
        channel.name: 31.35 + delay_ps * 1e-3 for channel, delay_ps in zip(QUANTUM, found.delay_ps, strict=True)
    }
    measured = station_with('detectors', delay_ns=delay_ns, delay_uncertainty_ns=found.uncertainty_ps * 1e-3)
    away_ps = truth_ps - np.array([0, *(round(1e3 * delay_ns[channel.name]) for channel in Channel)])
    assert np.ptp(away_ps[list(QUANTUM)]) < 2 * found.uncertainty_ps

    class AsBuilt(PhotonSource):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._delay_ps = truth_ps

    made = make(tmp_path, source=AsBuilt, station=measured)
    assert made.key['secret_bits'] > 20_000
    assert made.key['anomalies'] == []


def test_light_that_is_spread_like_noise_ends_it(tmp_path):
    """Half of the pulses anywhere in the slot: no second peak, but too little noise in the empty pulses."""

    def anywhere(pulse, _):
        spread = sum(coin(pulse, salt) << bit for bit, salt in enumerate(range(10, 22)))
        return np.where(coin(pulse, 9) == 1, spread * 10_000 // 4096, 0)

    made = make(tmp_path, source=delayed(anywhere))
    assert made.key['secret_bits'] == 0
    assert made.key['reasons'][0].startswith('hidden_light: ')
    assert made.key['disclosed_bits'] == 0
    assert not made.ground_key
