"""The bits that a side is charged for are those that it disclosed, each once, whatever broke and was repeated."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.protocol.leakage import LeakageAccount
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.qkd.sifting.packed_bits import PackedBits

REPORT = b'errors and seed'
HASHES = 65


def run(record, says, hashes=0, crash=False, report=REPORT):
    """A run that says these messages and then hashes, and breaks or crashes; its account."""
    account = LeakageAccount(record, 's')
    account.begin(report)
    disclosed = 0
    for bits, said in says:
        disclosed += bits
        account.announce(disclosed, said)
    if hashes:
        account.announce_hashes(disclosed + hashes)
    if not crash:
        account.settle()
    return account


def test_the_same_said_again_is_charged_once():
    record = RecordInMemory()
    says = [(100, b'a'), (50, b'b')]
    run(record, says, HASHES)
    again = run(record, [*says, (20, b'c')], HASHES)
    assert (again.own_earlier_bits, again.own_repeated_bits, again.earlier_bits) == (215, 150, HASHES)
    assert record.disclosed_before('s') == 170 + 2 * HASHES
    shorter = run(record, says[:1])
    assert shorter.own_repeated_bits == 100
    assert record.disclosed_before('s') == 170 + 2 * HASHES


@pytest.mark.parametrize(
    ('report', 'says', 'repeated'),
    [
        (b'another seed', [(100, b'a'), (50, b'b')], 0),
        (REPORT, [(100, b'x'), (50, b'b')], 0),
        (REPORT, [(100, b'a'), (50, b'x'), (20, b'b')], 100),
        (REPORT, [(50, b'b'), (100, b'a')], 0),
    ],
)
def test_anything_else_is_charged_in_full(report, says, repeated):
    record = RecordInMemory()
    run(record, [(100, b'a'), (50, b'b')])
    other = run(record, says, report=report)
    assert other.own_repeated_bits == repeated
    assert record.disclosed_before('s') == 150 + sum(bits for bits, _ in says) - repeated


def test_a_crash_takes_nothing_back_that_was_not_recorded():
    record = RecordInMemory()
    run(record, [(100, b'a'), (50, b'b')], crash=True)
    booked = record.disclosed_before('s')
    assert booked >= 150
    again = run(record, [(100, b'a'), (50, b'b')])
    assert again.earlier_bits >= booked - 100  # the first write knew of the first message alone
    assert record.disclosed_before('s') >= booked


def test_names_and_seed_outlive_the_process(tmp_path):
    def store():
        return KeyStore(tmp_path / 'keys.db', bytes(32), simulated=True)

    with store() as record:
        run(record, [(100, b'a'), (50, b'b')])
        assert record.public_seed('s', 7) == 7
    with store() as record:
        assert record.public_seed('s', 8) == 7
        assert record.public_seed('t', 8) == 8
        assert run(record, [(100, b'a')]).own_repeated_bits == 100
        assert record.named_disclosures('t') == {}


def test_names_are_forgotten_once_both_sides_have_the_key(tmp_path):
    with KeyStore(tmp_path / 'keys.db', bytes(32), simulated=True) as record:
        for session in 'st':
            account = LeakageAccount(record, session)
            account.announce(100, b'a')
            account.settle()
        record.put('s', 'k', PackedBits.zeros(8), 1e-10, {})
        assert record.named_disclosures('s')
        record.confirm('s', 'k')
        assert record.named_disclosures('s') == {}
        assert record.disclosed_before('s') == 100
        assert len(record.named_disclosures('t')) == 1


@pytest.mark.parametrize('durable', [False, True])
def test_of_two_runs_at_a_time_the_later_one_charges_what_the_earlier_may_still_say(tmp_path, durable):
    with KeyStore(tmp_path / 'keys.db', bytes(32), simulated=True) as store:
        record = store if durable else RecordInMemory()
        silent, first = LeakageAccount(record, 's'), LeakageAccount(record, 's')
        first.announce(100, b'a')
        with pytest.raises(StationError, match='another run of this session has begun'):
            silent.announce(100, b'a')
        second = LeakageAccount(record, 's')
        allowed = second.own_earlier_bits
        second.announce(100, b'x')
        first.announce(allowed, b'b')  # as much as is booked for it, which the second run charges
        with pytest.raises(StationError, match='another run of this session has begun'):
            first.announce(allowed + 1, b'c')
        for account in (first, silent, second):
            account.settle()
        assert record.disclosed_before('s') == allowed + 100


messages = st.lists(st.tuples(st.just(10), st.sampled_from([b'a', b'b'])), max_size=5)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(messages, st.sampled_from([0, HASHES]), st.booleans()), min_size=1, max_size=6))
def test_what_is_charged_is_what_was_disclosed(runs):
    record, said, hashed, crashed = RecordInMemory(), set(), 0, False
    for says, hashes, crash in runs:
        account = run(record, says, hashes, crash)
        said |= {tuple(one for _, one in says[: k + 1]) for k in range(len(says))}
        hashed, crashed = hashed + hashes, crashed or crash
        booked, distinct = record.disclosed_before('s'), 10 * len(said) + hashed
        assert booked >= distinct
        assert crashed or booked == distinct
        this_run = 10 * len(says) + hashes
        assert account.own_earlier_bits - account.own_repeated_bits + this_run >= distinct
        assert sum(record.named_disclosures('s').values()) <= booked
