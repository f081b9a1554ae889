"""What a calibration leaves behind, and which pass comes next."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.passes import find_passes
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pass_window import next_pass_window, pass_window_nearest
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

MODEL = MountModel(IA=0.17, IE=-0.05, AN=0.006, AW=-0.005, NPAE=1.5e-4, CA=5e-4, TF=1e-4)
SECOND_NS = 10**9


@pytest.fixture(scope='module')
def station():
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture(scope='module')
def elements():
    return load_elements(share_path('config', 'elements', 'micius.tle'))


def kept(folder, **more):
    stored = StoredPointing.of(MODEL, (640.25, 510.5), '20 stars', '2018-10-03T14:00:00Z', **more)
    stored.save(folder)
    return stored


def test_what_is_kept_comes_back(tmp_path, station):
    stored = kept(tmp_path / 'new' / 'folder')
    read = load_pointing(tmp_path / 'new' / 'folder')
    assert read == stored
    assert read.model.to_dict() == pytest.approx(MODEL.to_dict(), rel=1e-12)
    assert not read.coarse
    refined = read.refine(station)
    assert (refined.guiding_camera.reference_x_px, refined.guiding_camera.reference_y_px) == (640.25, 510.5)
    assert refined.mount == station.mount
    assert [path.name for path in (tmp_path / 'new' / 'folder').iterdir()] == [FILE_NAME]


def test_an_alignment_by_hand_says_so_and_a_calibration_replaces_it(tmp_path):
    kept(tmp_path, coarse=True)
    assert load_pointing(tmp_path).coarse
    kept(tmp_path)
    assert not load_pointing(tmp_path).coarse


def test_without_a_calibration_it_is_said_what_to_do(tmp_path):
    with pytest.raises(StationError, match=r'not calibrated.*qkd-gs calibrate'):
        load_pointing(tmp_path)


def changed(**more):
    def change(text):
        return json.dumps(json.loads(text) | more)

    return change


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (lambda text: text[: len(text) // 2], 'not YAML'),
        (lambda text: '', 'the whole file|fitted_utc'),
        (changed(guide_x_px='left'), 'guide_x_px'),
        (changed(guide_x_px=float('nan')), 'guide_x_px'),
        (changed(terms_urad={'IA': 1.0, 'XX': 2.0}), 'terms_urad'),
        (changed(secret=1), 'secret'),
        (lambda text: text.replace('"summary"', '"sumary"'), 'summary|sumary'),
    ],
)
def test_a_damaged_file_is_told_by_name_and_key(tmp_path, change, told):
    kept(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_text(change(path.read_text()))
    with pytest.raises(StationError, match=told) as error:
        load_pointing(tmp_path)
    assert FILE_NAME in str(error.value)
    assert '\n' not in str(error.value)


@given(st.dictionaries(st.sampled_from(list(MODEL.to_dict())), st.floats(-5e3, 5e3), min_size=1))
def test_any_model_survives(terms_urad):
    stored = StoredPointing(
        fitted_utc='2018-10-03T14:00:00Z', summary='', terms_urad=terms_urad, guide_x_px=1.0, guide_y_px=2.0
    )
    again = StoredPointing.of(stored.model, (1.0, 2.0), '', stored.fitted_utc)
    for name, value in again.terms_urad.items():
        assert value == pytest.approx(terms_urad.get(name, 0.0), abs=1e-6)


# --- the next pass ---


def usable(elements, site, station, from_ns, to_ns):
    found = find_passes(elements, site, from_ns, to_ns, min_elevation_deg=station.tracking.start_el_deg)
    return [one for one in found if one.usable]


def test_passes_come_one_after_the_other_as_they_are_found(elements, station):
    """Against the list of passes: each usable one once, in order, for two days."""
    site = load_site('shanghai')
    begin_ns = parse_utc('2018-10-02T00:00:00Z')
    wanted = usable(elements, site, station, begin_ns, begin_ns + 2 * 86400 * SECOND_NS)
    assert len(wanted) >= 2
    now_ns, met = begin_ns, []
    while len(met) < len(wanted):
        following = next_pass_window(elements, site, now_ns, station)
        if following is None:
            now_ns += 3600 * SECOND_NS
            continue
        assert following.end_ns > now_ns
        met.append(following.found.culmination_ns)
        now_ns = following.end_ns + SECOND_NS
    assert met == pytest.approx([one.culmination_ns for one in wanted], abs=SECOND_NS, rel=0)


def test_a_pass_under_way_is_the_next_one_until_it_is_over(elements, station):
    site, at_ns = load_site('shanghai'), parse_utc('2018-10-03T15:56:42Z')
    whole = pass_window_nearest(elements, site, at_ns, station)
    for now_ns in (whole.start_ns - SECOND_NS, whole.start_ns + SECOND_NS, whole.end_ns - SECOND_NS):
        following = next_pass_window(elements, site, now_ns, station)
        assert following.start_ns == pytest.approx(whole.start_ns, abs=SECOND_NS // 5, rel=0)
        assert following.end_ns == pytest.approx(whole.end_ns, abs=SECOND_NS // 5, rel=0)
    after = next_pass_window(elements, site, whole.end_ns + SECOND_NS, station)
    assert after is None or after.start_ns > whole.end_ns


@pytest.mark.parametrize('start_el_deg', [5, 20, 45])
@pytest.mark.parametrize('end_el_deg', [5, 30])
def test_a_pass_lasts_from_the_start_elevation_to_the_end_elevation(elements, station, start_el_deg, end_el_deg):
    site, at_ns = load_site('shanghai'), parse_utc('2018-10-03T15:56:42Z')
    update = {'start_el_deg': start_el_deg, 'end_el_deg': end_el_deg}
    tracking = station.tracking.model_copy(update=update)
    seen = pass_window_nearest(elements, site, at_ns, station.model_copy(update={'tracking': tracking}))
    for t_ns, el_deg in ((seen.start_ns, start_el_deg), (seen.end_ns, end_el_deg)):
        assert seen.predicted.at(t_ns).el_rad == pytest.approx(el_deg * 0.0174532925, abs=2e-3)
    assert seen.start_ns < seen.found.culmination_ns < seen.end_ns


def test_a_pass_that_stays_below_is_refused_with_its_height(elements, station):
    site = load_site('shanghai')
    begin_ns = parse_utc('2018-10-01T00:00:00Z')
    passes = usable(elements, site, station, begin_ns, begin_ns + 5 * 86400 * SECOND_NS)
    low = next(one for one in passes if one.max_elevation_deg < 40)
    tracking = station.tracking.model_copy(update={'start_el_deg': 44.0})
    with pytest.raises(StationError, match=f'only reaches {low.max_elevation_deg:.1f} deg'):
        pass_window_nearest(elements, site, low.culmination_ns, station.model_copy(update={'tracking': tracking}))
