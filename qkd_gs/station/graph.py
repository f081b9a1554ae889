"""Declaration of the station's graph: its nodes with their names and parameters.

`launch/station.launch.py` and `qkd-gs up` both read it; no ROS is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qkd_gs.devices.devices_file import load_devices, load_options
from qkd_gs.errors import StationError
from qkd_gs.station.options import OF_THE_GRAPH, OPTIONS, Value, chosen
from qkd_gs.station.topics import publishers_of


@dataclass(frozen=True)
class NodeSpec:
    """One process of the station.

    Attributes
    ----------
    name : str
        Of the node, and of its executable (`ros2 run qkd_gs NAME`, module ``qkd_gs.nodes.NAME_node``).
    purpose : str
        One line for people.
    lifecycle : bool
        It owns hardware: the monitor activates it, also after a crash.
    simulated : bool
        It exists only with simulated devices.
    """

    name: str
    purpose: str
    lifecycle: bool = False
    simulated: bool = False

    @property
    def module(self) -> str:
        """Python module with its `main`."""
        return f'qkd_gs.nodes.{self.name}_node'


NODES = (
    NodeSpec('world', 'physical state of the digital twin', simulated=True),
    NodeSpec('mount', 'drives both axes of the telescope', lifecycle=True),
    NodeSpec('guiding_camera', 'finds the beacon in the wide field', lifecycle=True),
    NodeSpec('tracking_camera', 'measures the beacon in the narrow field', lifecycle=True),
    NodeSpec('beacon', 'switches the 671 nm beacon laser', lifecycle=True),
    NodeSpec('hwp', 'turns the half-wave plate', lifecycle=True),
    NodeSpec('gps', 'position and time', lifecycle=True),
    NodeSpec('detector', 'seals the time tags, publishes the counts', lifecycle=True),
    NodeSpec('planner', 'predicts the next pass and the position of the satellite'),
    NodeSpec('tracker', 'tracks a pass'),
    NodeSpec('calibrator', 'fits the pointing model to stars'),
    NodeSpec('evening', 'does the work of an evening, by the actions of the others'),
    NodeSpec('post_processor', 'makes the key of a finished session'),
    NodeSpec('recorder', 'writes every public topic of a pass into a bag'),
    NodeSpec('monitor', 'supervises the station: lifecycles, readiness, safety'),
    NodeSpec('scene', 'publishes station and sky for rviz'),
)


_UNKNOWN = '_NODE_NAME_UNKNOWN_'  # of a publisher that was discovered before its node, or after that has died


def strangers(namespace: str, publishers: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    """Nodes that publish on topics of commands without being declared for it, in words; empty: none.

    Parameters
    ----------
    namespace : str
        Of the station, ``'/'`` or ``'/NAME'``.
    publishers : mapping
        Namespace and name of each publisher of a topic, as discovered.
    """
    return '; '.join(
        f'{place.rstrip("/")}/{name} publishes {topic} and is no node of this station'
        for topic, found in publishers.items()
        for place, name in sorted(set(found))
        if name != _UNKNOWN and (place != namespace or name not in publishers_of(topic))
    )


@dataclass(frozen=True)
class Process:
    """Node with its parameters and start options."""

    spec: NodeSpec
    parameters: Mapping[str, Value]
    namespace: str
    log_level: str

    def ros_arguments(self) -> list[str]:
        """Command line arguments after the executable."""
        arguments = ['--ros-args', '-r', f'__node:={self.spec.name}', '--log-level', self.log_level]
        if self.namespace:
            arguments += ['-r', f'__ns:=/{self.namespace.strip("/")}']
        for name, value in self.parameters.items():
            arguments += ['-p', f'{name}:={yaml_scalar(value)}']
        return arguments


def station_graph(given: Mapping[str, Value]) -> list[Process]:
    """Every process of a station with these options.

    Raises
    ------
    StationError
        An option that does not exist, or a devices file or an option of a driver that does not fit.
    """
    known = {option.name for option in OPTIONS}
    for name in given:
        if name not in known:
            raise StationError(f'there is no option {name!r}', hint=f'one of {", ".join(sorted(known))}')
    values = chosen(given)
    devices = load_devices(str(values['devices']))
    load_options(str(values['devices']))  # refused here, before any process is started
    if devices.in_the_loop and values['speed'] != 1.0:
        raise StationError(
            f'speed {values["speed"]:g}: real drivers know real time only', hint='with devices in the loop: speed 1'
        )
    parameters = {name: value for name, value in values.items() if name not in OF_THE_GRAPH}
    return [
        Process(spec, parameters, str(values['namespace']), str(values['log_level']))
        for spec in nodes_of(devices.simulated, bool(values['record']))
    ]


def nodes_of(simulated: bool, record: bool) -> list[NodeSpec]:
    """Nodes of a station with simulated or real devices, with a recorder or without."""
    return [spec for spec in NODES if (simulated or not spec.simulated) and (record or spec.name != 'recorder')]


def yaml_scalar(value: Value) -> str:
    """A value as ROS reads it from a command line: text stays text, even if it looks like a number."""
    if isinstance(value, bool):
        return str(value).lower()
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else repr(value)
