"""A pass that is only just over: its pulses are announced once the satellite answers for them."""

import numpy as np
import pytest

from qkd_gs.station import satellite_link

NOW_NS = 1_772_366_400 * 10**9


@pytest.mark.parametrize(
    ('answered_in_s', 'slept_s'),
    [(9.0, 9.5), (-0.2, 0.3), (-3600.0, None), (3600.0, None)],
)
def test_what_is_waited_for(monkeypatch, answered_in_s, slept_s):
    slept = []
    monkeypatch.setattr(satellite_link.time, 'time_ns', lambda: NOW_NS)
    monkeypatch.setattr(satellite_link.time, 'sleep', slept.append)
    satellite_link.wait_until_settled(lambda step, done: None, NOW_NS + round(answered_in_s * 1e9))
    np.testing.assert_allclose(slept, [] if slept_s is None else [slept_s])
