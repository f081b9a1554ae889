"""Everyday words: no term of the trade without its explanation, nothing wrong hidden, and true figures."""

import re
from dataclasses import replace
from math import nan, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.plain import WORDS, plain_result, plain_status
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, SessionStatus, Snapshot
from qkd_gs.timing.live import CountBin, Live
from qkd_gs.tracking.types import Phase

S = 10**9
NOW = 1_538_581_000 * S
COMING = ComingPass('MICIUS', NOW + 192 * S, NOW + 500 * S, NOW + 800 * S, radians(72))
READY = Snapshot(NOW, readiness=Readiness(Level.OK, 'ready'), coming=COMING)
HELD = replace(
    READY,
    session=SessionStatus(NOW, Phase.FINE, 'MICIUS', 'one'),
    el_rad=radians(43.2),
    range_m=650_400.0,
    counts=CountBin(NOW - 2 * S, NOW, (600, 610, 590, 600, 9000, 2), Live(nan, nan)),
)
JARGON = re.compile(r'\b(QBER|HWP|SPAD|TDC|PPS|urad|sifted|azimuth|decoy|beacon|readiness|node)\b', re.IGNORECASE)


def test_the_next_satellite():
    assert plain_status(READY) == ['The satellite MICIUS comes into view in 3 minutes.']
    hidden = replace(READY, coming=replace(COMING, usable=False, reasons='the Sun is up'))
    assert plain_status(hidden)[0].endswith('but this time it cannot be used: the Sun is up.')
    assert plain_status(replace(READY, coming=None, planned=True)) == ['No satellite comes within a day.']
    assert plain_status(replace(READY, coming=None)) == ['It is not known yet when a satellite comes.']


def test_a_pass():
    assert plain_status(HELD) == [
        'The telescope holds MICIUS, 43 degrees above the horizon, 650 km away.',
        'It receives about 1,200 photons a second.',
    ]


def test_what_is_wrong_comes_first_and_in_full():
    wrong = replace(HELD, readiness=Readiness(Level.ERROR, 'no tags are recorded; tracking, locked'))
    assert plain_status(wrong)[0] == (
        'Something is wrong. Tell the person in charge: "no tags are recorded; tracking, locked".'
    )


@given(st.sampled_from(Phase), st.sampled_from(KeyStep), st.floats(), st.floats())
def test_every_state_has_its_words_and_none_of_the_trade(phase, step, el_rad, range_m):
    key = KeyProgress(step, 'one', simulated=True, secret_bits=5, message='too dark')
    now = replace(HELD, session=replace(HELD.session, phase=phase), key=key, el_rad=el_rad, range_m=range_m)
    text = ' '.join(plain_status(now))
    assert not JARGON.search(text)
    assert 'nan' not in text
    assert not JARGON.search(WORDS)


def manifest(**changes):
    key = {'secret_bits': 98_549, 'qber': 0.0147, 'reasons': []}
    base = {
        'satellite': 'MICIUS',
        'simulated': False,
        'tracking': {'locked_s': 290.0, 'locked_fraction': 1.0, 'losses': 0},
        'result': {'key': key},
    }
    return base | changes


def test_three_sentences_after_a_pass():
    assert plain_result(manifest()) == (
        'The pass worked: the telescope held MICIUS for 5 minutes.',
        'Station and satellite share 98,549 secret bits that nobody else knows.',
        'Nothing needs attention.',
    )


def test_a_simulated_key_protects_nothing():
    assert 'protects nothing' in plain_result(manifest(simulated=True))[1]


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'tracking': {'locked_s': 90.0, 'locked_fraction': 0.5, 'losses': 2}}, 'the satellite was held for 50 %'),
        ({'result': {'key': {'secret_bits': 0, 'qber': 0.08, 'reasons': []}}}, '8.0 % of the bits were wrong'),
        ({'result': {'key': {'secret_bits': 0, 'reasons': ['too dark']}}}, 'no key of this pass: too dark'),
        ({'tracking': {}, 'result': None}, 'The pass did not work: the telescope never held MICIUS. No key was made.'),
    ],
)  # fmt: skip
def test_what_to_look_at(changes, said):
    assert said in ' '.join(plain_result(manifest(**changes)))
