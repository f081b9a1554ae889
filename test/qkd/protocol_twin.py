"""A transmitter and a link for the protocol's tests: small, keyed, and with an eavesdropper to order."""

import threading
from contextlib import suppress
from math import exp

import numpy as np

from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.qkd.finite_key.counts import Intensities
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.states import BeaconLog, PulseStates
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.pulse_times import PulseTimes

SESSION = '0123456789abcdef' * 2
TERMS = Terms(
    pulse_rate_hz=1e8,
    intensities=Intensities(signal=0.8, decoy=0.1, vacuum=0.0),
    p_signal=0.5,
    p_decoy=0.25,
    p_vacuum=0.25,
    epsilon_total=1e-10,
    verification_bits=64,
    max_qber=0.06,
)
MEANS = np.array([0.8, 0.1, 0.0])
EPOCH_NS = 1_700_000_000_000_000_000
NOW_NS = EPOCH_NS + 3600 * 10**9
LOG_NS = 11 * 10**9  # longer than any light below


class KeyedTransmitter:
    """States are a hash of seed and pulse number; the beacon fires every 100 us with 50 ns of jitter."""

    def __init__(self, seed=1):
        self.seed = seed

    def states(self, pulse):
        word = _mix(pulse.astype(np.uint64) + np.uint64(self.seed) * np.uint64(0x9E3779B97F4A7C15))
        draw = word & np.uint64(3)  # 0, 1: signal; 2: decoy; 3: vacuum
        intensity = np.array([0, 0, 1, 2], np.uint8)[draw]
        basis, bit = (((word >> np.uint64(shift)) & np.uint64(1)).astype(np.uint8) for shift in (8, 16))
        return PulseStates(intensity, basis, bit)

    def beacon_log(self, first_utc_ns, last_utc_ns):
        first = -(-(first_utc_ns - EPOCH_NS) // 100_000)
        index = np.arange(first, (last_utc_ns - EPOCH_NS) // 100_000 + 1)
        jitter = np.random.default_rng(self.seed).normal(0, 50_000, len(index))
        return BeaconLog(first, PulseTimes.of(index * 100_000_000 + jitter.astype(np.int64)), EPOCH_NS)


def _mix(value):
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        value = (value ^ (value >> np.uint64(30))) * np.uint64(factor)
    return value ^ (value >> np.uint64(31))


def honest_gain(mean, transmission):
    return 1 - exp(-mean * transmission)


def splitting_gain(mean, transmission):
    """Photon-number splitting: single photons are kept back, larger pulses let through to keep the signal's rate."""
    let_through = honest_gain(MEANS[0], transmission) / _many(MEANS[0])
    return let_through * _many(mean)


def _many(mean):
    return 1 - exp(-mean) * (1 + mean)


def receive(
    transmitter,
    rng,
    seconds=10.0,
    transmission=2.5e-3,
    error=0.012,
    noise_hz=150.0,
    gain=honest_gain,
    intercepted=0.0,
    first=0,
):
    """Detections of pulses from `first` on, the time being short and the link good."""
    pulses = int(seconds * 1e8)
    gains = np.array([gain(mean, transmission) for mean in MEANS])
    candidates = np.unique(first + rng.integers(0, pulses, rng.poisson(pulses * gains.max())))
    intensity = transmitter.states(candidates).intensity
    photons = candidates[rng.random(len(candidates)) * gains.max() < gains[intensity]]
    noise = first + rng.integers(0, pulses, rng.poisson(noise_hz * seconds * 0.2))  # 2 ns of 10
    pulse, index = np.unique(np.concatenate([photons, noise]), return_index=True)
    states = transmitter.states(pulse)
    basis = rng.integers(0, 2, len(pulse)).astype(np.uint8)
    bit = states.bit ^ (rng.random(len(pulse)) < error)
    random = (index >= len(photons)) | (basis != states.basis)
    # intercept and resend: half of the time in the wrong basis, and then the bit is random
    random |= (rng.random(len(pulse)) < intercepted) & (rng.random(len(pulse)) < 0.5)
    bit = np.where(random, rng.integers(0, 2, len(pulse)), bit).astype(np.uint8)
    return Detections(pulse, basis, bit), [(first, first + pulses - 1)]


def opened(record):
    """A record, or what opens one: a database belongs to the thread that uses it."""
    return record() if callable(record) else record


class Run:
    """Both sides over channels in memory; faults end up where they were raised."""

    def __init__(self, detections, locked, transmitter=None, *, terms=TERMS, wrap=None, timeout_s=120.0, **parts):
        ground_end, satellite_end = channel_pair(timeout_s)
        self.channel = wrap(ground_end) if wrap else ground_end
        self.satellite = None  # its result, or its fault
        self.ground_record = parts.get('ground_record') or RecordInMemory()
        self.satellite_record = parts.get('satellite_record') or RecordInMemory()
        self.satellite_key = parts.get('satellite_key') or SimulatedPreSharedKey(1, SESSION)
        self.ground_key = parts.get('ground_key') or SimulatedPreSharedKey(1, SESSION)
        self.steps = []
        transmitter = transmitter or KeyedTransmitter()

        def satellite():
            try:
                self.satellite = serve(
                    satellite_end, transmitter, parts.get('satellite_terms', terms), self.satellite_key,
                    opened(self.satellite_record), parts.get('now_utc_ns', lambda: NOW_NS),
                )  # fmt: skip
            except Exception as fault:  # noqa: BLE001 - the test looks at it
                self.satellite = fault

        thread = threading.Thread(target=satellite)
        thread.start()
        try:
            self.result = self._ground(terms, detections, locked, parts)
        finally:
            self.channel.close()
            thread.join()

    def _ground(self, terms, detections, locked, parts):
        rng = np.random.default_rng(99)
        session = GroundSession(
            self.channel, terms, parts.get('session', SESSION), self.ground_key, opened(self.ground_record),
            random_bytes=rng.bytes, progress=lambda step, done: self.steps.append((step, done)),
        )  # fmt: skip
        session.open()
        request = session.request_public_log if terms.public_pulses else session.request_beacon_log
        self.log = request(EPOCH_NS, EPOCH_NS + parts.get('log_ns', LOG_NS))
        result = session.make_key(
            DetectionLog.of(detections, locked),
            locked,
            parts.get('windows', ()),
            receiver=parts.get('receiver'),
        )
        self.confirmed = False
        if parts.get('confirm', True):
            with suppress(ProtocolError):  # the key is there, and may be confirmed later
                session.confirm()
                self.confirmed = True
        return result
