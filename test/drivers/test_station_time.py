"""Station time of what a driver has timed with the clock of this machine."""

import numpy as np

from qkd_gs.drivers.station_time import StationTime


def test_station_time_is_that_of_the_least_interrupted_call():
    rng, station = np.random.default_rng(1), StationTime()
    for number in range(300):
        now_ns = number * 10_000_000
        station.pair(2018 * 10**15 + now_ns, 10**9 + now_ns + round(rng.exponential(500_000)))
    assert abs(station.of(10**9 + now_ns) - 2018 * 10**15 - now_ns) < 20_000
