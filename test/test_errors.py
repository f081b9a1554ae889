"""Errors keep what they say on the way from one process to another."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.drivers.cia402.bus import SdoAbort
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.qkd.link.faults import ProtocolError


@pytest.mark.parametrize(
    'error',
    [
        StationError('is missing', where='station.yaml:3', hint='add it'),
        DeviceFault('mount.stale', 'no command for 0.2 s'),
        ProtocolError('silent', 'nothing received'),
        SdoAbort(0x6041, 0, 0x06020000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_after_pickling(error):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


@given(st.text())
def test_what_was_sent_neither_breaks_a_sentence_nor_reaches_the_terminal(sent):
    for error in (StationError(f'frame {sent} is unknown', where=sent, hint=sent), DeviceFault('gps.silent', sent)):
        assert len(str(error).splitlines()) == 1
        assert not set(map(ord, str(error))) & {*range(32), *range(127, 160)}
    assert 'µrad, 3 deg – ok' in str(StationError('1 µrad, 3 deg – ok'))


def test_what_was_sent_can_still_be_read():
    assert str(StationError('REF_FRAME is T\nM\x1b[2JE', where='a.json:2')) == r'a.json:2: REF_FRAME is T\nM\x1b[2JE'
