"""Start the station: `ros2 launch qkd_gs station.launch.py devices:=sim`, `--show-args` for all arguments.

Nodes, names and parameters come from the declaration that `qkd-gs up` also reads (qkd_gs/station/graph.py).
"""

import os
import time

from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchDescription
from qkd_gs.errors import StationError
from qkd_gs.share import share_path
from qkd_gs.station.dds_profile import loopback_environment
from qkd_gs.station.graph import station_graph
from qkd_gs.station.hang_watch import HangWatch
from qkd_gs.station.instance_lock import started
from qkd_gs.station.library_threads import one_thread_environment
from qkd_gs.station.options import OPTIONS
from qkd_gs.station.policies import enclave_of

RESPAWN_S = 0.5
LOOK_S = 0.5
SECURITY = {'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}
_held = []


def arguments():
    """One launch argument for every option of the station, and `gui`."""
    declared = [
        DeclareLaunchArgument(
            option.name,
            default_value=str(option.default).lower() if isinstance(option.default, bool) else str(option.default),
            description=option.description,
            choices=option.choices or (('true', 'false') if isinstance(option.default, bool) else None),
        )
        for option in OPTIONS
    ]
    gui = DeclareLaunchArgument(
        'gui', default_value='false', description='open rviz2 and rqt (of a full ROS), too', choices=('true', 'false')
    )
    secure = DeclareLaunchArgument(
        'secure',
        default_value='false',
        description='DDS Security with the keystore in $ROS_SECURITY_KEYSTORE, see `qkd-gs policies`',
        choices=('true', 'false'),
    )
    return [*declared, gui, secure]


def nodes(context):
    """Every process of the station with the chosen options."""
    try:
        given = {option.name: option.parse(LaunchConfiguration(option.name).perform(context)) for option in OPTIONS}
        graph = station_graph(given)
        secure = LaunchConfiguration('secure').perform(context) == 'true'
        if secure and not os.environ.get('ROS_SECURITY_KEYSTORE'):
            raise StationError('secure:=true, but $ROS_SECURITY_KEYSTORE names no keystore')
        _held.append(started(given['namespace']))  # before a second station starts anything; until this process ends
    except StationError as error:
        raise RuntimeError(str(error)) from None
    made = [
        (LifecycleNode if process.spec.lifecycle else Node)(
            package='qkd_gs',
            executable=process.spec.name,
            name=process.spec.name,
            namespace=process.namespace,
            parameters=[dict(process.parameters)],
            ros_arguments=['--log-level', process.log_level, *enclave(process, secure)],
            additional_env=SECURITY if secure else {},
            output='screen',
            emulate_tty=True,
            respawn=True,  # the monitor configures and activates a respawned node
            respawn_delay=RESPAWN_S,
        )
        for process in graph
    ]
    return [*made, *Hangs({action: process.spec.name for action, process in zip(made, graph, strict=True)}).entities()]


class Hangs:
    """Ends processes that hang, which are then respawned.

    Parameters
    ----------
    names : dict
        Node by its action.
    """

    def __init__(self, names):
        self.names, self.pids, self.said = names, {}, []
        self.watch = HangWatch(lambda name, words: self.said.append(f'[{name}] {words}'))

    def entities(self):
        """What launch has to do for it."""
        return [
            RegisterEventHandler(OnProcessStart(on_start=self.started)),
            RegisterEventHandler(OnProcessExit(on_exit=self.ended)),
            self.again(),
        ]

    def again(self):
        """Look in a moment."""
        return TimerAction(period=LOOK_S, actions=[OpaqueFunction(function=self.look)])

    def started(self, event, context):
        """A process was started, for the first time or again."""
        if event.action in self.names:
            self.pids[self.names[event.action]] = event.pid

    def ended(self, event, context):
        """A process has ended."""
        self.pids.pop(self.names.get(event.action), None)

    def look(self, context):
        """Look at all processes."""
        self.watch.step(time.monotonic(), self.pids)
        said, self.said = self.said, []
        return [*(LogInfo(msg=line) for line in said), self.again()]


def enclave(process, secure):
    """Arguments that choose a node's enclave in the keystore."""
    return ['--enclave', enclave_of(process.namespace, process.spec.name)] if secure else []


def windows():
    """rviz2, rqt and the aggregator of diagnostics, where a full ROS provides them."""
    gui = IfCondition(LaunchConfiguration('gui'))
    namespace = LaunchConfiguration('namespace')
    return [
        Node(
            package='diagnostic_aggregator',
            executable='aggregator_node',
            namespace=namespace,
            parameters=[str(share_path('config', 'diagnostics.yaml'))],
            condition=gui,
        ),
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=namespace,
            arguments=['-d', str(share_path('config', 'station.rviz'))],
            condition=gui,
        ),
        Node(
            package='rqt_gui',
            executable='rqt_gui',
            namespace=namespace,
            arguments=['--perspective-file', str(share_path('config', 'station.perspective'))],
            condition=gui,
        ),
    ]


def generate_launch_description():
    """The whole station; ROS traffic stays on this machine unless the environment sets another profile."""
    variables = loopback_environment() | one_thread_environment()
    environment = [SetEnvironmentVariable(name, value) for name, value in variables.items()]
    return LaunchDescription([*environment, *arguments(), OpaqueFunction(function=nodes), *windows()])
