import numpy as np
import pytest
from skyfield.api import wgs84

from qkd_gs.orbit.sky import moon_azel, planets, sun_azel, sunlit
from qkd_gs.orbit.timescale import DAY_NS, parse_utc, to_time
from qkd_gs.settings.site import Site


@pytest.mark.parametrize(('body', 'place'), [('sun', sun_azel), ('moon', moon_azel)])
def test_sun_and_moon_against_skyfields_long_nutation(shanghai, body, place):
    t_ns = parse_utc('2018-10-03') + np.arange(50) * DAY_NS // 7
    site = wgs84.latlon(shanghai.latitude_deg, shanghai.longitude_deg, elevation_m=shanghai.altitude_m)
    apparent = (planets()['earth'] + site).at(to_time(t_ns)).observe(planets()[body]).apparent()
    az, el = place(shanghai, t_ns)
    theirs_el, theirs_az, _ = apparent.altaz()
    assert el == pytest.approx(theirs_el.radians, abs=1e-7)
    assert az == pytest.approx(theirs_az.radians, abs=1e-6)
    assert (place(shanghai, t_ns, refracted=True)[1] >= el).all()


def test_sunrise_of_an_equinox():
    """Geometric elevation 0 at 6 h local solar time on the equator, due east."""
    site = Site(name='equator', latitude_deg=0, longitude_deg=0, altitude_m=0)
    # equation of time on 2018-09-23: +7.5 min (Sun early)
    az, el = sun_azel(site, np.array([parse_utc('2018-09-23T05:52:30Z')]))
    assert np.degrees(el[0]) == pytest.approx(0, abs=0.1)
    assert np.degrees(az[0]) == pytest.approx(90, abs=0.2)


def test_the_shadow_is_behind_the_earth():
    t_ns = np.array([parse_utc('2018-09-23T12:00:00Z')] * 4)
    places = 6.9e6 * np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=float)
    assert sunlit(places, t_ns).tolist() == [True, False, True, True]  # the Sun stands over longitude -2 deg
    high = places.copy()
    high[1] = [-42e6, 0, 8e6]  # a geostationary height, off the shadow's axis
    assert sunlit(high, t_ns)[1]
