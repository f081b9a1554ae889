"""The protocol under everything that may happen to it: both sides have the same key or none, and no bit leaks unbooked.

Messages are lost, repeated, held back until the next one or until the next run, altered and replayed at every step in
either direction, and either side dies at every call of its record; then the session is processed again.
"""

import tempfile
from pathlib import Path

import cheap_protocol
import pytest
from cheap_protocol import HASH_BITS, SESSIONS, Both, Dying, Meddling
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from qkd_gs.keys.entries import KeyStateName, Side

WHAT = ('lose', 'repeat', 'alter', 'replay', 'hold', 'delay')
MESSAGES = 36  # of a direction, about


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    cheap_protocol.use_stubs(monkeypatch)
    cheap_protocol.watch_pads(monkeypatch)


def fresh(memory):
    return Both(Path(tempfile.mkdtemp(dir=memory)))


@pytest.fixture(scope='session')
def memory(tmp_path_factory):
    """A folder in memory, where there is one: the tests of the store wait for disks."""
    if not Path('/dev/shm').is_dir():
        yield tmp_path_factory.mktemp('records')
        return
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        yield folder


def finish(both, session):
    """Process the session again, undisturbed: then both sides have the same key, or both know that there is none."""
    if 'delayed' in both.kept:  # it arrives now
        both.run(session)
        both.check()
    both.run(session)
    both.check()
    both.exchange()
    with both.store(Side.GROUND) as ground, both.store(Side.SATELLITE) as satellite:
        mine, theirs = ground.entry(session), satellite.entry(session)
        assert mine.state is theirs.state is KeyStateName.CONFIRMED
        assert mine.key_id == theirs.key_id
        assert ground.named_disclosures(session) == satellite.named_disclosures(session) == {}
        return mine.length_bits


def test_undisturbed_it_makes_a_key_and_its_pre_shared_bits_serve_the_next_run(memory):
    both = fresh(memory)
    assert all(finish(both, session) > 5000 for session in SESSIONS)
    assert both.run(SESSIONS[0])[0] == []  # finished: nothing is said any more
    with both.store(Side.GROUND) as ground, both.store(Side.SATELLITE) as satellite:
        assert ground.refills() == satellite.refills() == [ground.entry(SESSIONS[1]).key_id]


@pytest.mark.parametrize('to_satellite', [True, False])
@pytest.mark.parametrize(
    'what', [what if what in ('lose', 'alter') else pytest.param(what, marks=pytest.mark.long) for what in WHAT]
)
def test_a_meddled_run_and_its_repetition(memory, what, to_satellite):
    said = fresh(memory).run(SESSIONS[0])[not to_satellite]
    kinds = [message.kind for message in said]
    alike = {k for k in range(1, len(kinds) - 1) if kinds[k - 1] == kinds[k] == kinds[k + 1]}  # most parities
    lengths, without_hashes = set(), set()
    for number in sorted(set(range(len(kinds))) - alike):
        both = fresh(memory)
        both.run(SESSIONS[0], Meddling(what, to_satellite, number))
        both.check()
        both.exchange()
        lengths.add(length := finish(both, SESSIONS[0]))
        without_hashes.add(length + sum(both.hashes.values()) - 2 * HASH_BITS)
    assert len(lengths) > 2  # what was disclosed is charged, so the keys differ in length
    if what == 'lose':  # the same is disclosed once more, so they differ by the hashes of the broken run alone
        assert len(without_hashes) <= 2  # parities by the seed of the first run, or of the second


@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('side', Side)
def test_a_side_that_dies_at_any_call_of_its_record(memory, side, after):
    for call in range(13):
        both = fresh(memory)
        both.run(SESSIONS[0], dying=Dying(side, call, after))
        both.check()
        both.exchange()
        finish(both, SESSIONS[0])


class Link(RuleBasedStateMachine):
    """Two sessions, processed in any order and any number of times, with somebody inside the link."""

    memory = None

    @initialize()
    def begin(self):
        self.both = fresh(self.memory)

    @rule(
        session=st.sampled_from(SESSIONS),
        meddlings=st.lists(
            st.builds(Meddling, st.sampled_from(WHAT), st.booleans(), st.integers(0, MESSAGES)), max_size=2
        ),
        dying=st.builds(Dying, st.sampled_from([None, *Side]), st.integers(0, 12), st.booleans()),
    )
    def process(self, session, meddlings, dying):
        self.both.run(session, *meddlings, dying=dying)

    @rule()
    def use(self):
        self.both.exchange()

    @invariant()
    def agreed(self):
        self.both.check()

    def teardown(self):
        for session in SESSIONS:
            finish(self.both, session)


@pytest.mark.parametrize(
    ('sequences', 'steps'), [(20, 8), pytest.param(500, 12, marks=pytest.mark.long)], ids=['short', 'thousands']
)
def test_any_sequence_of_runs(memory, sequences, steps):
    class OnThisFolder(Link):
        pass

    OnThisFolder.memory = memory
    run_state_machine_as_test(
        OnThisFolder,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
