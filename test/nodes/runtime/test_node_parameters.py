"""Settings as ROS parameters, on a node of its own in no graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from qkd_gs.errors import StationError
from qkd_gs.nodes.runtime import parameters
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import HwpSettings, MountSettings, StationSettings
from qkd_gs.share import share_path


@pytest.fixture(scope='module')
def station() -> StationSettings:
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@contextmanager
def node_with(**overrides: object) -> Iterator[Node]:
    """A node started with parameters on its command line (`__` in a name is a dot)."""
    context = Context()
    rclpy.init(args=[], context=context)
    given = [Parameter(name.replace('__', '.'), value=value) for name, value in overrides.items()]
    try:
        node = Node(
            'mount', context=context, enable_rosout=False, start_parameter_services=False, parameter_overrides=given
        )
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        context.try_shutdown()


def test_every_value_of_a_model_is_a_described_parameter(station):
    with node_with() as node:
        parameters.declare(node, station.mount, 'mount')
        read = parameters.read(node, MountSettings, station.mount, 'mount')
        assert read == station.mount
        watchdog = node.describe_parameter('mount.watchdog_s')
        assert watchdog.description == 'brake after this long without a command [s]'
        (span,) = watchdog.floating_point_range
        assert span.from_value == 0  # an open end: that 0 itself is refused, the model says
        assert span.to_value == 1.0
        rate = node.describe_parameter('mount.azimuth.max_rate_deg_s')
        assert rate.description.endswith('[deg/s]')
        assert rate.floating_point_range[0].to_value == 120
        assert node.describe_parameter('mount.azimuth.max_acc_deg_s2').description.endswith('[deg/s^2]')
        assert not node.describe_parameter('mount.park_az_deg').floating_point_range


def test_a_whole_number_has_a_range_of_whole_numbers(station):
    with node_with() as node:
        parameters.declare(node, station.tracking_camera, 'camera')
        (span,) = node.describe_parameter('camera.width_px').integer_range
        assert (span.from_value, span.to_value) == (16, 8192)
        assert node.describe_parameter('camera.scale_urad_px').description.endswith('[urad/px]')


def test_every_parameter_of_the_station_can_be_declared_and_read_back(station):
    """Dictionaries and texts included."""
    with node_with() as node:
        parameters.declare(node, station)
        assert parameters.read(node, StationSettings, station) == station
        names = [name for name in node._parameters if name != 'use_sim_time']
        assert 'detectors.delay_ns.H' in names
        assert all(node.describe_parameter(name).description for name in names)


def test_a_value_given_from_outside_replaces_the_files(station):
    with node_with(mount__watchdog_s=0.2) as node:
        parameters.declare(node, station.mount, 'mount')
        assert parameters.read(node, MountSettings, station.mount, 'mount').watchdog_s == 0.2


def test_an_integer_is_good_enough_for_a_number(station):
    with node_with(mount__park_az_deg=5) as node:
        parameters.declare(node, station.mount, 'mount')
        value = parameters.read(node, MountSettings, station.mount, 'mount').park_az_deg
        assert value == 5.0
        assert isinstance(value, float)


@pytest.mark.parametrize('value', [-1.0, 1.5, 'soon', True, [0.1]])
def test_a_bad_value_at_the_start_names_node_and_key(station, value):
    with node_with(mount__watchdog_s=value) as node:
        with pytest.raises(StationError) as error:
            parameters.declare(node, station.mount, 'mount')
        assert str(error.value).startswith('node mount: mount.watchdog_s = ')
        assert '\n' not in str(error.value)
        assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ('name', 'value', 'why'),
    [('mount.park_az_deg', float('nan'), 'finite'), ('mount.watchdog_s', 0.0, 'greater than 0')],
)
def test_a_value_that_only_the_model_refuses_is_refused_when_it_is_read(station, name, value, why):
    """Not a number is in no range, and an open end of a range is in it."""
    with node_with(**{name: value}) as node:
        parameters.declare(node, station.mount, 'mount')
        with pytest.raises(StationError, match=f'^node mount: {name}: .*{why}'):
            parameters.read(node, MountSettings, station.mount, 'mount')


def test_a_single_parameter_with_a_bad_value_names_node_and_key():
    with node_with(speed='fast') as node, pytest.raises(StationError, match=r"^node mount: speed = 'fast': "):
        parameters.declare_one(node, 'speed', 1.0, ParameterDescriptor(description='x'))


class Judged:
    """A node that judges changes as the device nodes do."""

    def __init__(self, node: Node, settings: HwpSettings):
        self.node, self.active = node, False
        parameters.declare(node, settings, 'hwp')
        node.add_on_set_parameters_callback(
            lambda changed: parameters.judge(node, HwpSettings, settings, 'hwp', changed, self.active)
        )

    def set(self, name: str, value: object) -> tuple[bool, str]:
        (result,) = self.node.set_parameters([Parameter(name, value=value)])
        return result.successful, result.reason


def test_a_change_while_running(station):
    with node_with() as node:
        judged = Judged(node, station.hwp)
        assert judged.set('hwp.zero_deg', 30.0) == (True, '')
        assert parameters.read(node, HwpSettings, station.hwp, 'hwp').zero_deg == 30.0
        for name, value, reason in (
            ('hwp.delay_s', 2.0, 'hwp.delay_s'),  # out of its range
            ('hwp.delay_s', 'x', 'Wrong parameter type'),  # rclpy's own words
            ('hwp.zero_deg', float('inf'), 'hwp.zero_deg'),  # only the model knows
            ('hwp.parity', 3, 'hwp.parity'),
        ):
            good, said = judged.set(name, value)
            assert not good
            assert reason in said
        assert parameters.read(node, HwpSettings, station.hwp, 'hwp').delay_s == station.hwp.delay_s


def test_no_change_while_the_device_is_active(station):
    with node_with() as node:
        judged = Judged(node, station.hwp)
        judged.active = True
        assert judged.set('hwp.zero_deg', 30.0) == (False, 'hwp.zero_deg can be changed while mount is not active')
        judged.active = False
        assert judged.set('hwp.zero_deg', 30.0) == (True, '')


def test_other_parameters_are_not_judged_by_a_model(station):
    with node_with() as node:
        judged = Judged(node, station.hwp)
        judged.active = True
        node.declare_parameter('image_rate_hz', 5.0)
        assert judged.set('image_rate_hz', 20.0) == (True, '')
