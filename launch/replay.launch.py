"""Play a recorded pass: `ros2 launch qkd_gs replay.launch.py bag:=SESSION`, `--show-args` for all arguments.

The bag's topics come on the bag's own clock; the node `replay` compares its tracking metrics with those
of the live pass at the end.
"""

from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from qkd_gs.share import share_path
from qkd_gs.station.dds_profile import loopback_environment
from qkd_gs.station.library_threads import one_thread_environment


def arguments():
    """Launch arguments."""
    return [
        DeclareLaunchArgument('bag', description='folder of a bag, or of a session with one in it'),
        DeclareLaunchArgument('speed', default_value='1.0', description='seconds of the bag a second, above 0'),
        DeclareLaunchArgument(
            'namespace', default_value='', description="prefix of the recorded station's names; empty: none"
        ),
        DeclareLaunchArgument('log_level', default_value='info', choices=['debug', 'info', 'warn', 'error'],
                              description='log level of the node'),
        DeclareLaunchArgument(
            'gui', default_value='false', description='open rviz2 (of a full ROS), too', choices=['true', 'false']
        ),
    ]  # fmt: skip


def generate_launch_description():
    """The replay, and rviz if wanted; ROS traffic stays on this machine unless the environment sets another profile."""
    variables = loopback_environment() | one_thread_environment()
    environment = [SetEnvironmentVariable(name, value) for name, value in variables.items()]
    namespace = LaunchConfiguration('namespace')
    replay = Node(
        package='qkd_gs',
        executable='replay',
        name='replay',
        namespace=namespace,
        parameters=[
            {
                'bag': ParameterValue(LaunchConfiguration('bag'), value_type=str),
                'speed': ParameterValue(LaunchConfiguration('speed'), value_type=float),
            }
        ],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
        emulate_tty=True,
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        namespace=namespace,
        arguments=['-d', str(share_path('config', 'station.rviz'))],
        parameters=[{'use_sim_time': True}],
        condition=IfCondition(LaunchConfiguration('gui')),
    )
    end = RegisterEventHandler(OnProcessExit(target_action=replay, on_exit=[EmitEvent(event=Shutdown())]))
    return LaunchDescription([*environment, *arguments(), replay, rviz, end])
