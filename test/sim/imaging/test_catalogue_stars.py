"""Stars of the catalogue for a station that runs for hours: where they are at any time, and no memory for the past."""

import gc
import tracemalloc

import numpy as np
import pytest

from qkd_gs.calibration.stars import load_stars, star_azel
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.vectors import enu_from_azel
from qkd_gs.settings.site import load_site
from qkd_gs.sim.imaging.catalogue_stars import NamedStars

SITE, START_NS, HOUR_NS = load_site('shanghai'), parse_utc('2018-10-03T15:50:00Z'), 3600 * 10**9


@pytest.mark.parametrize('hours', [-1.0, 0.0, 0.3, 5.0, 30.0])
def test_a_star_is_where_it_is_at_any_time(hours):
    t_ns = START_NS + round(hours * HOUR_NS)
    az, el = star_azel(load_stars(), SITE, t_ns)
    highest = int(np.argmax(el))
    found = NamedStars(SITE, START_NS).near(t_ns, az[highest], el[highest], 1e-3, 12.0)
    apart = np.linalg.norm(enu_from_azel(found.az_rad, found.el_rad) - enu_from_azel(az[highest], el[highest]), axis=-1)
    assert apart.min() < 1e-7


def test_what_was_computed_for_the_past_is_forgotten():
    stars = NamedStars(SITE, START_NS)

    def memory_after(seconds):
        for second in seconds:
            stars.near(START_NS + second * 10**9, 1.0, 0.8, 0.01, 8.0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    memory_after(range(0, 120, 5))
    tracemalloc.start()
    first = memory_after(range(120, 240, 5))
    grown = memory_after(range(240, 840, 5)) - first
    tracemalloc.stop()
    assert grown < 10 * len(load_stars()) * 24  # of 120 steps
