"""The rotctl driver against Hamlib's rotctld with its dummy rotator, and against what a server may send."""

import shutil
import socket
from math import degrees, radians

import pytest
from observatory_servers import Polled, Server, free_port
from pty_peer import soon

from qkd_gs.devices.capability import MountCapability, why_too_coarse
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.mount import MountConformance, MountTraits
from qkd_gs.devices.mount import MountMode
from qkd_gs.drivers.rotctl.link import RotctlLink
from qkd_gs.drivers.rotctl.mount import RotctlOptions, capability_of, rotctl
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture
def dummy(tmp_path):
    if shutil.which('rotctld') is None:
        pytest.skip('rotctld not installed (Debian: libhamlib-utils)')
    port = free_port()
    server = Server(['rotctld', '-m', '1', '-T', '127.0.0.1', '-t', str(port)], tmp_path, port)
    rig = Polled(rotctl, RotctlOptions(port=port, command_rate_hz=10), server)
    server.restart_clock(rig.now_ns)
    yield rig
    rig.close()
    server.kill()


class TestRotctl(MountConformance):
    traits = MountTraits(silent_s=1.5, age_s=0.5, stop_s=3.0, following_rad=0.02, rate_rad_s=0.15)

    @pytest.fixture
    def rig(self, dummy):
        return dummy


def test_a_server_that_is_killed_is_told_and_serves_again(dummy):
    rig, device = dummy, dummy.open()
    rig.counterpart.kill()
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'mount.silent', 2.0)
    device.close()
    rig.counterpart.start()
    rig.counterpart.restart_clock(rig.now_ns)
    device.open()
    assert device.read(rig.now_ns).mode is MountMode.OFF


def test_what_is_no_rotctld_is_told():
    server = socket.create_server(('127.0.0.1', 0))
    link = RotctlLink('127.0.0.1', server.getsockname()[1], 1.0)
    link.begin()
    end, _ = server.accept()
    assert soon(lambda: link.step(1) or link._waiting)
    end.sendall(b'220 mail ready\n250 ok\n')
    assert soon(lambda: fault_of(lambda: link.step(1)) == 'mount.silent')
    link.close()
    end.close()
    server.close()


def test_a_rotator_of_a_tenth_of_a_degree_is_too_coarse_for_the_tracking_camera():
    told = why_too_coarse(capability_of(RotctlOptions()), radians(1.0), STATION)
    assert told.startswith(
        'the mount is too coarse for the tracking camera: steps of 0.1 deg and 2 set-points a second'
    )


def test_a_mount_with_timed_set_points_is_judged_by_its_steps():
    fine = MountCapability(100, 0.01, radians(0.001))
    assert why_too_coarse(fine, radians(25), STATION) == ''
    assert why_too_coarse(MountCapability(100, 0.01, radians(0.05)), 0.0, STATION)
    assert degrees(fine.error_rad(1.0)) == pytest.approx(0.001)
