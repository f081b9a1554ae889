"""Keep ROS traffic on this machine, unless the environment says otherwise."""

from __future__ import annotations

import os

from qkd_gs.share import share_path


def local_environment() -> dict[str, str]:
    """Environment of a process of the station: discovery on this machine, sockets on loopback, room for images."""
    wanted = {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(share_path('config', 'fastdds.xml')),
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def local_only() -> None:
    """The same for this process; before ROS is started in it."""
    os.environ.update(local_environment())
