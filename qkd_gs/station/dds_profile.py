"""Keep ROS traffic on this machine, unless the environment says otherwise."""

from __future__ import annotations

import os

from qkd_gs.share import share_path

_RANGE, _PROFILE = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE'


def local_environment() -> dict[str, str]:
    """Environment of a process of the station: sockets on loopback alone.

    The profile's white list does it.  Asked for LOCALHOST, rmw would open sockets of its own on every interface.
    """
    profile = str(share_path('config', 'fastdds.xml'))
    chosen, reach = os.environ.get(_PROFILE, profile), os.environ.get(_RANGE, 'LOCALHOST')
    if chosen == profile and reach == 'LOCALHOST':
        reach = 'SUBNET'
    return {_RANGE: reach, _PROFILE: chosen}


def local_only() -> None:
    """The same for this process; before ROS is started in it."""
    os.environ.update(local_environment())
