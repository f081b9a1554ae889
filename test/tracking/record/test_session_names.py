"""A session has a folder of its own, whatever the site is called."""

from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.session.manifest import session_path
from qkd_gs.tracking.record.session_names import session_name, unused_name

AT_NS = parse_utc('2018-10-03T15:56:42.4Z')


@given(site=st.text(max_size=300))
def test_every_name_of_a_site_gives_the_name_of_one_folder(site, tmp_path_factory):
    name = session_name(AT_NS, site)
    folder = session_path(tmp_path_factory.getbasetemp(), name)
    folder.mkdir(exist_ok=True)  # the file system takes it
    assert unused_name(folder.parent, name) == f'{name}-2'


def test_names_tell_time_and_site():
    assert session_name(AT_NS, 'Shanghai') == '20181003T155642Z-shanghai'
    assert session_name(AT_NS, '31.2,121.5,10') == '20181003T155642Z-31.2_121.5_10'
    assert session_name(AT_NS, '33 52 07.7 S, 151 12 33.5 E') == '20181003T155642Z-33_52_07.7_s__151_12_33.5_e'
    assert session_name(AT_NS, 'TU Wien/Dach') == '20181003T155642Z-tu_wien_dach'
    assert session_name(AT_NS, 'Genève') == '20181003T155642Z-genève'
