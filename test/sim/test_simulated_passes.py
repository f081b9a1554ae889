"""The simulated sky has every pass that the station announces, each with its own light."""

from math import degrees
from types import SimpleNamespace

import numpy as np
import pytest

from qkd_gs.devices.mount import MountCommand
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.vectors import sky_offset
from qkd_gs.pointing.pass_window import next_pass_window, pass_window_nearest
from qkd_gs.settings.site import load_site
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.receiver import true_delays_ps
from qkd_gs.sim.remote.actuators import Drive
from qkd_gs.sim.remote.realtime_world import RealtimeWorld
from qkd_gs.sim.remote.sensors import RemoteTdc
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.timing.tags import Channel

SECOND_NS = 10**9
MS = 10**6
AT_NS = parse_utc('2018-10-04T15:28:36Z')  # over Mohe; the next one comes 94 minutes later


@pytest.fixture(scope='module')
def elements():
    return load_elements(share_path('config', 'elements', 'micius.tle'))


@pytest.fixture(scope='module')
def mohe():
    return load_site('mohe')


def sky(elements, mohe, station, lead_s=30.0, seed=3):
    return SimulationSetup(
        load_twin(), station, mohe, pass_window_nearest(elements, mohe, AT_NS, station), lead_s, seed
    )


def test_it_has_every_pass_that_the_station_announces(elements, mohe, station):
    simulated = sky(elements, mohe, station)
    now_ns, announced = simulated.begin_ns, []
    for _ in range(4):
        window = next_pass_window(elements, mohe, now_ns, station)
        if window is None:
            break
        announced.append(window)
        now_ns = window.end_ns + SECOND_NS
    assert len(announced) >= 3
    for window in announced:
        for t_ns in (window.start_ns, window.found.culmination_ns, window.end_ns):
            one = simulated.pass_at(t_ns)
            assert abs(one.found.culmination_ns - window.found.culmination_ns) < SECOND_NS
            seen, expected = one.truth.at(t_ns), window.predicted.at(t_ns)
            away = np.hypot(*sky_offset(seen.az_rad, seen.el_rad, expected.az_rad, expected.el_rad))
            assert 0 < degrees(away) < 1.0  # the error of the orbit that the seed has drawn
    first, second = (simulated.pass_at(window.start_ns) for window in announced[:2])
    assert (first.number, second.number) == (0, 1)
    assert first is simulated.passes[0]
    assert simulated.truth is first.truth


def test_the_world_shows_the_second_pass_and_nothing_in_between(elements, mohe, station):
    first = sky(elements, mohe, station)
    second = first.passes[1]
    culmination_ns = second.found.culmination_ns
    for at_ns, seen in ((culmination_ns, True), (culmination_ns - 2400 * SECOND_NS, False)):
        simulated = sky(elements, mohe, station, (first.window.start_ns - at_ns) * 1e-9)
        world = RealtimeWorld(simulated, lambda block: None)
        world.step(simulated.begin_ns + SECOND_NS)
        el_rad = world.interval().target_el_rad
        assert np.isfinite(el_rad).all() == seen
        if seen:
            assert degrees(el_rad[-1]) == pytest.approx(second.found.max_elevation_deg, abs=0.5)


def test_each_pass_has_its_own_light_and_the_same_receiver(elements, mohe, station):
    """A TDC that has run in the first pass is started in the second one, as its process is."""
    first = sky(elements, mohe, station)
    at_ns = first.passes[1].found.culmination_ns
    simulated = sky(elements, mohe, station, (first.window.start_ns - at_ns) * 1e-9)
    takers = []
    link = SimpleNamespace(poll=lambda: None, listen=lambda channel, kind, take: takers.append(take))
    tdc = RemoteTdc(simulated, link)
    tdc.open()
    tdc.start(first.begin_ns)
    records = [tdc.record]
    tdc.stop(first.begin_ns)
    world = RealtimeWorld(simulated, takers[0])
    world.drive(simulated.begin_ns, Drive.ENABLE)
    world.step(simulated.begin_ns + MS)
    tdc.start(simulated.begin_ns)
    records.append(tdc.record)
    now_ns, channels = simulated.begin_ns, []
    for _ in range(200):
        now_ns += 10 * MS
        place = simulated.pass_at(now_ns).truth.at(now_ns)
        world.set_point(now_ns, MountCommand(now_ns, *world.axes_at(place.az_rad, place.el_rad)))
        world.shine(now_ns, on=True)
        world.step(now_ns)
        channels.append(tdc.poll(now_ns).channel)
    counts = np.bincount(np.concatenate(channels), minlength=len(Channel) + 1)
    assert counts[Channel.PPS] in (1, 2, 3)
    assert min(counts[Channel.H], counts[Channel.V], counts[Channel.D], counts[Channel.A]) > 50
    assert records[0].seed != records[1].seed
    assert records[0].epoch_utc_ns != records[1].epoch_utc_ns
    assert records[0].clock_rate == records[1].clock_rate
    one, other = (simulated.receiver_at(t_ns)[1] for t_ns in (first.begin_ns, at_ns))
    delays = true_delays_ps(simulated.settings.photonics, station, simulated.seed)
    for receiver in (one, other):
        assert np.array_equal(receiver._source._delay_ps, delays)


def test_an_orbit_that_is_known_for_one_pass_has_one(elements, mohe, station):
    """The rows of an ephemeris end soon after it."""
    window = pass_window_nearest(elements, mohe, AT_NS, station)
    short = window._replace(found=window.found._replace(orbit=Ephemeris(window.found)))
    simulated = SimulationSetup(load_twin(), station, mohe, short, 30.0, 3)
    assert [one.number for one in simulated.passes] == [0]
    assert simulated.pass_at(window.end_ns + 86400 * SECOND_NS).number == 0


class Ephemeris:
    """An orbit that is known until ten minutes after a pass."""

    def __init__(self, found):
        self._orbit, self._last_ns = found.orbit, found.set_ns + 600 * SECOND_NS

    def reach_ns(self, start_ns, end_ns):
        return start_ns, min(end_ns, self._last_ns)

    def __getattr__(self, name):
        return getattr(self._orbit, name)
