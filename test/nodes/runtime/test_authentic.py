"""Subscriptions that verify where messages come from."""

import pytest
import qkd_gs.msg as m

from qkd_gs.nodes.conversions.cdr import Codec
from qkd_gs.nodes.runtime.authentic import Authentic, Refusals
from qkd_gs.station.authenticity import Signer

KEY, TOPIC, FRESH_NS, NOW_NS = bytes(32), '/safety/status', 500_000_000, 10**12


class Bench:
    def __init__(self):
        self.taken, self.refusals = [], Refusals()
        age_ns = lambda monotonic_ns: NOW_NS - monotonic_ns  # noqa: E731
        self.found = Authentic(self.taken.append, m.SafetyStatus, TOPIC, KEY, FRESH_NS, age_ns, self.refusals)
        self._signer, self._codec = Signer(KEY, TOPIC), Codec(m.SafetyStatus)

    def keep(self, age_ns, reasons='', key=None):
        signer = self._signer if key is None else Signer(key, TOPIC)
        message = m.SafetyStatus(motion_permitted=True, reasons=reasons)
        self.found.keep(signer.sign(self._codec.encode(message), NOW_NS - age_ns))


@pytest.fixture
def bench():
    return Bench()


def test_an_old_message_before_the_newest_is_nobodys_fault(bench):
    """A node that looks twice a second finds all that has come since, the first one just too old."""
    for age_ns in (510_000_000, 300_000_000, 100_000_000):
        bench.keep(age_ns, str(age_ns))
    bench.found.take_newest()
    assert [one.reasons for one in bench.taken] == ['100000000']
    assert bench.refusals.report() == ''


def test_a_newest_message_that_is_old_is_refused_and_told(bench):
    bench.keep(510_000_000)
    bench.found.take_newest()
    assert not bench.taken
    assert bench.refusals.report() == f'1 message on {TOPIC} refused: it was sent more than 0.5 s ago'
    bench.found.take_newest()
    assert bench.refusals.report() == ''


def test_a_message_of_a_stranger_before_the_newest_is_told(bench):
    bench.keep(200_000_000, key=bytes(31) + b'1')
    bench.keep(100_000_000)
    bench.found.take_newest()
    assert len(bench.taken) == 1
    assert bench.refusals.report() == f'1 message on {TOPIC} refused: it is not of this station'
