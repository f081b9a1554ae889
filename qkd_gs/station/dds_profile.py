"""DDS profile that keeps ROS traffic on this machine, unless the environment sets another one."""

from __future__ import annotations

import os

from qkd_gs.share import share_path

_RANGE, _PROFILE = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE'


def loopback_environment() -> dict[str, str]:
    """Environment variables of a process of the station: sockets on loopback only.

    The profile's interface white list does it.  With LOCALHOST, rmw would open its own sockets on every interface.
    """
    profile = str(share_path('config', 'fastdds.xml'))
    chosen, reach = os.environ.get(_PROFILE, profile), os.environ.get(_RANGE, 'LOCALHOST')
    if chosen == profile and reach == 'LOCALHOST':
        reach = 'SUBNET'
    return {_RANGE: reach, _PROFILE: chosen}


def use_loopback_profile() -> None:
    """Set these variables in this process; to be called before ROS is initialized."""
    os.environ.update(loopback_environment())
