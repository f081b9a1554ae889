"""Errors keep what they say on the way from one process to another."""

import pickle

import pytest

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
