"""Public pulses in a run: told of once they are past, by intensity alone, and never taken into the key."""

import numpy as np
import pytest
from protocol_twin import EPOCH_NS, LOG_NS, TERMS, KeyedTransmitter, Run, receive

from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.satellite_sifting import DISCLOSED_NS
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.timing.public_pulses import disclosed_in, is_public, public_in

RULE = PublicPulses(block=100_000, every=4, disclosed=8)
OPEN = TERMS.model_copy(update={'public_pulses': RULE, 'epsilon_total': 9e-4})


class Transmitter(KeyedTransmitter):
    def logged(self, first_utc_ns, last_utc_ns):
        return (first_utc_ns - EPOCH_NS) // 10, (last_utc_ns - EPOCH_NS) // 10, EPOCH_NS


@pytest.fixture(scope='module')
def light():
    return receive(Transmitter(), np.random.default_rng(3), seconds=2.0, noise_hz=10.0, error=0.005)


def private(light):
    detections, locked = light
    kept = ~is_public(RULE, detections.pulse)
    return type(detections)(detections.pulse[kept], detections.basis[kept], detections.bit[kept]), locked


def test_a_key_is_made_without_the_public_pulses(light):
    detections, locked = private(light)
    run = Run(detections, locked, Transmitter(), terms=OPEN)
    assert run.result.key
    assert run.confirmed
    assert len(run.result.key) == len(run.satellite.key)
    counts = run.result.counts
    pulses = 200_000_000 - public_in(RULE, locked)
    assert sum(t.sent for b in (counts.hv, counts.da) for t in (b.signal, b.decoy, b.vacuum)) == pytest.approx(
        pulses / 2, abs=3
    )
    due = disclosed_in(RULE, 0, LOG_NS // 10)
    assert run.log.starts.tolist() == due.tolist()
    assert run.log.intensity[3].tolist() == Transmitter().states(due[3] + np.arange(100_000)).intensity.tolist()


def test_announced_public_pulses_end_the_run(light):
    with pytest.raises(ProtocolError):
        Run(*light, Transmitter(), terms=OPEN)


def test_pulses_that_are_not_safely_past_are_not_told_of(light):
    detections, locked = private(light)
    now_ns = EPOCH_NS + 4 * 10**9 + DISCLOSED_NS
    run = Run(detections, locked, Transmitter(), terms=OPEN, now_utc_ns=lambda: now_ns)
    assert run.log.starts.tolist() == disclosed_in(RULE, 0, 4 * 10**8).tolist()


def test_a_log_that_is_not_of_the_rule_is_refused():
    start = int(disclosed_in(RULE, 1, 10**9)[0])
    payload = next(messages.public_blocks(RULE, Transmitter(), np.array([start])))

    def read(first_index=start, pulses=RULE.block, block=payload):
        head = messages.LogHead(first_index=first_index, pulses=pulses, epoch_utc_ns=EPOCH_NS)
        return messages.read_public_log(head, iter([block]), RULE)

    assert read().starts.tolist() == [start]
    assert read(0, 0).intensity.shape == (0, RULE.block)
    for wrong in ({'first_index': start + 1}, {'pulses': RULE.block - 1}, {'block': b'nonsense'}):
        with pytest.raises(ProtocolError):
            read(**wrong)
