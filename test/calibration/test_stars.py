"""Stars appear where an independent almanac puts them, and the ones chosen cover the sky."""

from math import pi, radians

import numpy as np
import pytest

from qkd_gs.calibration.stars import StarTrack, load_stars, select_stars, star_azel
from qkd_gs.errors import StationError
from qkd_gs.orbit.refraction import site_refraction
from qkd_gs.orbit.timescale import parse_utc, to_time
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.settings.site import Site

SITE = Site(name='test', latitude_deg=31.1, longitude_deg=121.2, altitude_m=20, humidity=0)
NIGHT = parse_utc('2018-10-03T15:56:00Z')
MAS = radians(1 / 3600e3)
erfa = pytest.importorskip('erfa')


def erfa_azel(star, t_ns):
    """The same by the IAU's own library (SOFA as ERFA), without refraction."""
    time = to_time(t_ns)
    utc = t_ns / 86400e9 + 2440587.5
    _, x_arcsec, y_arcsec = time.polar_motion_angles()
    az, zenith, *_ = erfa.atco13(
        radians(star.ra_deg),
        radians(star.dec_deg),
        star.pm_ra_mas_yr * MAS / np.cos(radians(star.dec_deg)),
        star.pm_dec_mas_yr * MAS,
        star.parallax_mas / 1000,
        0.0,
        np.floor(utc),
        t_ns / 86400e9 + 2440587.5 - np.floor(utc),
        float(time.dut1),
        radians(SITE.longitude_deg),
        radians(SITE.latitude_deg),
        SITE.altitude_m,
        radians(x_arcsec / 3600),
        radians(y_arcsec / 3600),
        0.0,  # no air
        0.0,
        0.0,
        0.55,
    )
    return az, pi / 2 - zenith


def test_stars_appear_where_the_iau_library_puts_them():
    """Skyfield and SOFA share the models but no code; 0.1 urad is far below the seeing."""
    stars = load_stars()[::20]
    az, el = star_azel(stars, SITE, NIGHT)
    for star, star_az, star_el in zip(stars, az, site_refraction(SITE).unrefract(el), strict=True):
        if star_el > 0.1:
            assert separation(float(star_az), float(star_el), *erfa_azel(star, NIGHT)) < 0.2e-6, star.name


def test_a_track_reads_like_the_almanac():
    star = load_stars()[2]
    track = StarTrack(star, SITE, NIGHT, NIGHT + 300_000_000_000)
    for t_ns in (NIGHT, NIGHT + 123_456_789_012, NIGHT + 300_000_000_000):
        seen = track.at(t_ns)
        az, el = star_azel([star], SITE, t_ns)
        assert separation(seen.az_rad, seen.el_rad, float(az[0]), float(el[0])) < 1e-9
    later = track.at(NIGHT + 124_456_789_012)
    before = track.at(NIGHT + 122_456_789_012)
    assert track.at(NIGHT + 123_456_789_012).az_rate_rad_s == pytest.approx(
        (later.az_rad - before.az_rad) / 2, abs=1e-9
    )


def test_the_catalogue_is_what_it_says():
    stars = load_stars()
    assert len(stars) > 200
    sirius_like = {star.name: star for star in stars}
    # SIMBAD, ICRS J2000: Polaris 02 31 49.09 +89 15 50.8, Altair 19 50 47.00 +08 52 05.96
    assert sirius_like['Altair'].ra_deg == pytest.approx(297.69583, abs=1e-4)
    assert sirius_like['Altair'].dec_deg == pytest.approx(8.86832, abs=1e-4)
    assert sirius_like['Polaris'].dec_deg == pytest.approx(89.26411, abs=1e-4)
    vectors = np.radians([(star.ra_deg, star.dec_deg) for star in stars])
    for i in range(len(stars)):
        others = np.delete(vectors, i, axis=0)
        close = separation(*vectors[i], *others.T) < radians(0.7)
        fainter = np.array([star.mag for k, star in enumerate(stars) if k != i])[close] - stars[i].mag
        assert (fainter > 2.4).all()


def test_chosen_stars_cover_the_sky_and_keep_clear():
    stars = load_stars()
    moon = (radians(200), radians(45), radians(20))
    chosen = select_stars(stars, SITE, NIGHT, 24, first=(1.0, 0.8), avoid=[moon])
    az, el = star_azel(chosen, SITE, NIGHT)
    assert len({star.hip for star in chosen}) == 24
    assert el.min() > radians(20)
    assert separation(az, el, np.array(moon[0]), np.array(moon[1])).min() > moon[2]
    assert separation(float(az[0]), float(el[0]), 1.0, 0.8) < radians(12)  # close to where the operator aligned
    everywhere_az, everywhere_el = np.meshgrid(np.radians(np.arange(0, 360, 10)), np.radians([30, 45, 60, 75]))
    away = separation(everywhere_az[..., None], everywhere_el[..., None], az, el).min(axis=-1)
    clear = separation(everywhere_az, everywhere_el, np.array(moon[0]), np.array(moon[1])) > moon[2]
    assert away[clear].max() < radians(27)
    way = np.maximum(np.abs(np.diff(az)), np.abs(np.diff(el))).sum()
    rng = np.random.default_rng(1)
    shuffled = [rng.permutation(24) for _ in range(50)]
    assert way < 0.4 * np.mean([np.maximum(np.abs(np.diff(az[s])), np.abs(np.diff(el[s]))).sum() for s in shuffled])


def test_no_star_is_said():
    with pytest.raises(StationError, match='none of'):
        select_stars(load_stars(), SITE, NIGHT, 5, avoid=[(0.0, pi / 2, pi / 2)])
    with pytest.raises(StationError, match='there is no star to choose from'):
        select_stars([], SITE, NIGHT, 5)


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('', 'csv:1: column hip is missing'),
        ('hip,name,ra_deg,dec_deg,pm_ra_mas_yr,pm_dec_mas_yr,parallax_mas,mag\n', 'csv: holds no star'),
        ('hip,name,ra_deg,dec_deg,pm_ra_mas_yr,pm_dec_mas_yr,parallax_mas,mag\n1,a,0,91,0,0,0,0', 'csv:2: dec_deg'),
        ('hip,name,ra_deg,dec_deg,pm_ra_mas_yr,pm_dec_mas_yr,parallax_mas,mag\n1,a,0,x,0,0,0,0', 'not a number'),
        ('hip,name,ra_deg,dec_deg,pm_ra_mas_yr,pm_dec_mas_yr,parallax_mas,mag\n1,a,0,0', 'csv:2: 4 values'),
        (
            'hip,name,ra_deg,dec_deg,pm_ra_mas_yr,pm_dec_mas_yr,parallax_mas,mag\n1,a,0,0,0,0,0,0\n1,b,0,0,0,0,0,0',
            'csv:3: HIP 1 is given twice',
        ),
    ],
)
def test_a_bad_catalogue_is_refused_with_its_line(tmp_path, text, complaint):
    path = tmp_path / 'stars.csv'
    path.write_text(text)
    with pytest.raises(StationError, match=complaint):
        load_stars(path)
