"""DDS profile that keeps ROS traffic on this machine, unless the environment sets another one."""

from __future__ import annotations

import os

from qkd_gs.share import share_path

_RANGE, _PROFILE = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
_CONFINED = ('LOCALHOST', 'OFF')


def loopback_environment() -> dict[str, str]:
    """Environment variables of a process of the station: sockets on loopback only.

    The profile's interface white list does it.  With LOCALHOST, rmw would open its own sockets on every interface.
    """
    profile = str(share_path('config', 'fastdds.xml'))
    chosen, reach = os.environ.get(_PROFILE, profile), os.environ.get(_RANGE, 'LOCALHOST')
    if chosen == profile and reach == 'LOCALHOST':
        reach = 'SUBNET'
    return {_RANGE: reach, _PROFILE: chosen}


def on_this_machine_alone() -> bool:
    """Whether ROS as started from here reaches no other machine: then a station that does not run here is none."""
    return uses_own_profile() or loopback_environment()[_RANGE] in _CONFINED


def uses_own_profile() -> bool:
    """Whether processes as started from here use the profile of the station, and no other one."""
    return loopback_environment()[_PROFILE] == str(share_path('config', 'fastdds.xml'))


def use_loopback_profile() -> None:
    """The same for this process; before ROS is started in it."""
    os.environ.update(loopback_environment())
