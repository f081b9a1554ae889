"""Serial devices of the twin: laser, half-wave plate, GPS receiver."""

from __future__ import annotations

from math import tau

import pytest
from world_link import WorldLink

from qkd_gs.devices.conformance.rig import START_NS
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.settings.site import load_site
from qkd_gs.sim.hil import nmea
from qkd_gs.sim.hil.cobolt import TwinCobolt
from qkd_gs.sim.hil.ell14 import COUNTS, TwinEll14


@pytest.fixture
def world():
    return WorldLink(START_NS)


def test_light_of_the_laser_is_that_of_the_twin_and_an_open_interlock_ends_it(world):
    laser = TwinCobolt(world)
    world.advance(START_NS)
    laser.receive(b'l1\r')
    laser.advance(START_NS)
    assert world.sent == [('beacon/on', True)]
    world.open_interlock()
    world.advance(START_NS + 10**7)
    laser.advance(START_NS + 10**7)
    assert world.sent[-1] == ('beacon/on', False)
    laser.receive(b'l1\r')
    laser.advance(START_NS + 2 * 10**7)
    assert not laser.lit
    assert world.sent[-1] == ('beacon/on', False)


def test_a_move_of_the_stage_ends_when_the_plate_stands_there(world):
    stage = TwinEll14(world)
    see = world._takers[HwpReading]
    see(HwpReading(START_NS, 0.0, False))
    stage.advance(START_NS)
    goal = COUNTS // 8
    stage.receive(f'0ma{goal:08X}'.encode())
    assert world.sent == [('hwp/move', goal * tau / COUNTS)]
    see(HwpReading(START_NS + 10**7, 0.3, True))
    stage.advance(START_NS + 10**7)
    assert not stage.sent
    see(HwpReading(START_NS + 2 * 10**7, goal * tau / COUNTS, False))
    stage.advance(START_NS + 2 * 10**7)
    assert stage.sent == f'0PO{goal:08X}\r\n'.encode()


def test_sentences_of_the_receiver_have_their_checksums_and_the_time_of_the_twin():
    said = nmea.messages(load_site('shanghai'), 1_538_582_202 * 10**9).decode()
    for line in said.split():
        body, _, checksum = line[1:].partition('*')
        value = 0
        for character in body:
            value ^= ord(character)
        assert f'{value:02X}' == checksum
    assert 'GPRMC,155642.00,A,3107.5780,N,12132.5440,E' in said
    assert ',031018,' in said
    assert 'GPRMC,155642.00,V,,,,,' in nmea.messages(load_site('shanghai'), 1_538_582_202 * 10**9, False).decode()
