"""A session from a tag file: every tag sealed under its channel or counted, and the second named."""

import json

import numpy as np
import pytest
from ptu_files import OVERFLOW, photon, special, write

from qkd_gs.errors import StationError
from qkd_gs.importing.import_session import import_session
from qkd_gs.importing.link import BenchLink, OrbitLink, chosen_link
from qkd_gs.importing.receiver import receiving_station
from qkd_gs.importing.tag_map import load_map
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.session.manifest import load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.timing.sealed import SealedFile

GENERIC, NOW_NS, START_NS = 0x00010207, 1_772_370_000 * 10**9, 1_772_366_400 * 10**9
MAP = """channels: {1: H, 2: V, 3: D, 4: A, 5: BEACON}
pps: sync
start: 2026-03-01T12:00:00Z
"""


def recording(path, seconds=8, extra=()):
    """A click of each input in each second, and a PPS pulse on the sync input 0.3 s after its start."""
    events = [(k * 10**12 + 300 * 10**9, None) for k in range(seconds)]
    events += [(k * 10**12 + code * 10**9, code) for k in range(seconds) for code in range(6)]
    records, turned = [], 0
    for time, code in sorted([*events, *extra], key=lambda event: event[0]):
        if time >> 25 > turned:
            records.append(OVERFLOW | (time >> 25) - turned)
            turned = time >> 25
        records.append(special(0, time % 2**25) if code is None else photon(code, time % 2**25))
    return write(path, GENERIC, records)


@pytest.fixture
def keys(tmp_path):
    return KeyFolder.create(tmp_path / 'keys', bytes(1000))


def station(**source):
    whole = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return whole.model_copy(update={'source': whole.source.model_copy(update=source)})


def imported(tmp_path, keys, tags=None, text=MAP, name='session', link=None, settings=None):
    (tmp_path / 'map.yaml').write_text(text)
    tags = tags or recording(tmp_path / 'x.ptu')
    said = []
    made = import_session(
        tags, load_map(tmp_path / 'map.yaml'), tmp_path / name, keys, settings or station(),
        link or BenchLink(1e-6), NOW_NS, lambda text, _: said.append(text),
    )  # fmt: skip
    return made, tmp_path / name


def test_every_tag_comes_back_from_the_sealed_file(tmp_path, keys):
    made, folder = imported(tmp_path, keys)
    manifest = load_manifest(folder)
    assert made['channels'] == {'H': 8, 'V': 8, 'D': 8, 'A': 8, 'BEACON': 8, 'PPS': 8}
    assert (made['tags'], made['unused'], made['pps']['used']) == (48, {'input 6': 8}, 8)
    sealed = SealedFile(
        tags_paths(folder)[0], keys.session_private_key(manifest.session_id), bytes.fromhex(manifest.session_id)
    )
    blocks = list(sealed.blocks())
    time_ps = np.concatenate([block.time_ps for block in blocks])
    channel = np.concatenate([block.channel for block in blocks])
    assert sorted(zip(time_ps.tolist(), channel.tolist(), strict=True)) == sorted(
        [(k * 10**12 + code * 10**9, code + 1) for k in range(8) for code in range(5)]
        + [(k * 10**12 + 300 * 10**9, 6) for k in range(8)]
    )
    assert sealed.start_ns() == START_NS
    # the marks come 0.3 s late: so does the recorder's zero
    assert manifest.locked[0].start_ns == pytest.approx(START_NS - 300_000_000, abs=1000)
    assert (manifest.simulated, manifest.delay_s, manifest.site) == (False, 1e-6, None)


def test_importing_twice_gives_one_session_and_another_map_another(tmp_path, keys):
    made, _ = imported(tmp_path, keys)
    again, _ = imported(tmp_path, keys, tmp_path / 'x.ptu', name='again')
    assert again['session_id'] == made['session_id']
    with keys.store(simulated=False) as store:
        store.record_leakage(made['session_id'], 1000)
    swapped = MAP.replace('1: H, 2: V', '2: H, 1: V')
    other, _ = imported(tmp_path, keys, tmp_path / 'x.ptu', swapped, 'other')
    assert other['session_id'] != made['session_id']
    with keys.store(simulated=False) as store:
        assert store.disclosed_before(other['session_id']) == 1000
        assert store.disclosed_before(made['session_id']) > 1 << 36  # no key can come of it any more
        store.put(other['session_id'], 'k', PackedBits.of(np.ones(8, np.uint8)), 1e-10, {})
    with pytest.raises(StationError, match='made into a key already'):
        imported(tmp_path, keys, tmp_path / 'x.ptu', MAP, 'third')
    assert not (tmp_path / 'third').exists()


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        (MAP.replace('4: A, ', ''), r'no input is A'),
        (MAP.replace('4: A', '4: H'), r'no input is A'),
        (MAP.replace('5: BEACON', '5: BEACON, 6: H'), r'H is named twice'),
        (MAP.replace('5: BEACON', '5: Beacon'), r'map.yaml:1: channels'),
        (MAP.replace('pps: sync', 'pps: input 5'), r'an input has two meanings'),
        (MAP.replace('pps: sync', 'pps: marker 9'), r"'marker 9' is neither an input"),
        (MAP.replace('pps: sync', 'pps: input'), r"'input' is neither an input"),
        (MAP + 'edge: both\n', r'map.yaml:4: edge'),
        (MAP + 'delays_ns: {Beacon: 3}\n', r'map.yaml:4: delays_ns'),
        (MAP + 'delays_ns: {H: 2.0e+9}\n', r'no cable'),
        (MAP + 'resolution: 4\n', r'map.yaml:4: resolution'),
        (MAP.replace('2026-03-01T12:00:00Z', 'noon'), r'map.yaml:3: start'),
        (MAP.replace('start: 2026-03-01T12:00:00Z\n', ''), r'start: Field required'),
    ],
)
def test_a_map_that_cannot_be_meant(tmp_path, text, why):
    (tmp_path / 'map.yaml').write_text(text)
    with pytest.raises(StationError, match=why):
        load_map(tmp_path / 'map.yaml')


def test_a_time_in_a_map_may_be_a_string_or_a_time_of_yaml(tmp_path):
    for text in ("'2026-03-01T12:00:00Z'", '2026-03-01 12:00:00', '2026-03-01T13:00:00+01:00'):
        (tmp_path / 'map.yaml').write_text(MAP.replace('2026-03-01T12:00:00Z', text))
        assert load_map(tmp_path / 'map.yaml').start_ns == START_NS


def test_a_silent_input_leaves_nothing_behind(tmp_path, keys):
    with pytest.raises(StationError, match='no tags of input 9, which the map says is A'):
        imported(tmp_path, keys, text=MAP.replace('4: A', '9: A'))
    with pytest.raises(StationError, match='only 0 PPS pulses'):
        imported(tmp_path, keys, text=MAP.replace('sync', 'marker 1'))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['keys', 'map.yaml', 'x.ptu']


def test_a_start_between_two_seconds_is_asked_back(tmp_path, keys):
    with pytest.raises(StationError, match='which one is meant'):
        imported(tmp_path, keys, text=MAP.replace('12:00:00Z', '12:00:00.2Z'))
    made, folder = imported(tmp_path, keys, text=MAP.replace('12:00:00Z', '11:59:59.9Z'))
    assert made['pps']['used'] == 8
    assert load_manifest(folder).locked[0].start_ns == pytest.approx(START_NS - 300_000_000, abs=1000)


def test_stray_marks_are_left_out_and_counted(tmp_path, keys):
    tags = recording(tmp_path / 'x.ptu', extra=[(5 * 10**11, None), (3 * 10**12 + 300 * 10**9 + 60_000, None)])
    made, _ = imported(tmp_path, keys, tags)
    assert made['pps']['used'] + made['pps']['left_out'] == 10
    assert made['pps']['used'] >= 7


def test_what_is_lost_is_told(tmp_path, keys):
    tags = recording(tmp_path / 'x.ptu')
    tags.write_bytes(tags.read_bytes()[:-6])
    made, folder = imported(tmp_path, keys, tags)
    assert made['lost'] == {'records': 2, 'overflows': 0}
    assert 'cut short' in made['notes'][0]
    assert json.loads((folder / 'session.json').read_text())['run']['imported']['lost']['records'] == 2


def test_an_existing_folder_is_left_alone(tmp_path, keys):
    (tmp_path / 'session').mkdir()
    (tmp_path / 'session' / 'x').write_text('precious')
    with pytest.raises(StationError, match='exists already'):
        imported(tmp_path, keys)


def test_a_pass_needs_its_satellite_to_be_up(tmp_path, keys):
    elements = share_path('config', 'elements', 'micius.tle')
    link = OrbitLink(elements, load_site('shanghai'), force=True)
    with pytest.raises(StationError, match='lies in no pass of'):
        imported(tmp_path, keys, text=MAP.replace('2026-03-01T12:00:00', '2018-10-03T15:30:00'), link=link)
    made, folder = imported(tmp_path, keys, text=MAP.replace('2026-03-01T12:00:00', '2018-10-03T15:56:40'), link=link)
    manifest = load_manifest(folder)
    assert manifest.elements_file == 'elements.tle'
    assert (folder / 'elements.tle').read_bytes() == elements.read_bytes()
    assert manifest.place == 'Shanghai'
    assert made['session_id'] == manifest.session_id


def test_a_source_that_does_not_fit_the_station_is_told(tmp_path):
    with pytest.raises(StationError, match=r'station.yaml: key.gate_ns 2 is longer than a pulse period .* --station'):
        receiving_station(None, 'jinan1')
    assert receiving_station(None, 'bench').detectors.delay_ns['H'] == 0
    assert receiving_station(share_path('config', 'station.yaml')).detectors.delay_ns['H'] == 31.2


def test_a_link_is_an_orbit_or_a_delay():
    site, elements = load_site('shanghai'), share_path('config', 'elements', 'micius.tle')
    assert chosen_link(0.5, None, None) == BenchLink(0.5)
    assert chosen_link(None, site, elements) == OrbitLink(elements, site)
    for given in ((None, None, None), (0.5, site, None), (None, site, None), (0.5, site, elements)):
        with pytest.raises(StationError, match='give --site and --elements'):
            chosen_link(*given)


def test_a_map_has_a_beacon_if_the_source_has_one(tmp_path, keys):
    without = MAP.replace(', 5: BEACON', '')
    with pytest.raises(StationError, match='no input is BEACON, and the source has one of 10000 Hz'):
        imported(tmp_path, keys, text=without)
    open_source = receiving_station(source='bench_without_beacon')
    with pytest.raises(StationError, match='an input is BEACON, and the source has none'):
        imported(tmp_path, keys, settings=open_source)
    made, _ = imported(tmp_path, keys, text=without, settings=open_source)
    assert made['channels']['BEACON'] == 0
    assert made['unused'] == {'input 5': 8, 'input 6': 8}
