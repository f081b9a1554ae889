"""On which sockets a process of the station would speak, by its environment."""

import xml.etree.ElementTree as ET

import pytest

from qkd_gs.share import share_path
from qkd_gs.station.dds_profile import loopback_environment

RANGE, PROFILE = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
OURS = str(share_path('config', 'fastdds.xml'))


@pytest.mark.parametrize(
    ('given', 'wanted'),
    [
        ({}, {RANGE: 'SUBNET', PROFILE: OURS}),
        ({RANGE: 'LOCALHOST'}, {RANGE: 'SUBNET', PROFILE: OURS}),  # our profile says it better
        ({RANGE: 'SUBNET', PROFILE: OURS}, {RANGE: 'SUBNET', PROFILE: OURS}),
        ({RANGE: 'OFF'}, {RANGE: 'OFF', PROFILE: OURS}),
        ({PROFILE: '/mine.xml'}, {RANGE: 'LOCALHOST', PROFILE: '/mine.xml'}),
        ({RANGE: 'SUBNET', PROFILE: '/mine.xml'}, {RANGE: 'SUBNET', PROFILE: '/mine.xml'}),
    ],
)
def test_the_environment_is_kept_unless_ours_is_narrower(monkeypatch, given, wanted):
    for name in (RANGE, PROFILE):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert loopback_environment() == wanted


def test_the_profile_has_one_transport_and_that_on_loopback():
    """Shared memory is left out on purpose: see the profile's own words."""
    root = ET.parse(OURS).getroot()
    name = '{http://www.eprosima.com}'
    transports = root.findall(f'.//{name}transport_descriptor')
    assert [one.findtext(f'{name}type') for one in transports] == ['UDPv4']
    assert [one.text for one in root.findall(f'.//{name}interfaceWhiteList/{name}address')] == ['127.0.0.1']
    assert root.findtext(f'.//{name}useBuiltinTransports') == 'false'
    used = [one.text for one in root.findall(f'.//{name}userTransports/{name}transport_id')]
    assert used == [one.findtext(f'{name}transport_id') for one in transports]
