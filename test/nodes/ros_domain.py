"""What tests of the graph share on a machine: ROS domains, of which each has its own, and the machine itself."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qkd_gs.station.dds_profile import use_loopback_profile
from qkd_gs.station.instance_lock import Held

DOMAINS = range(101, 233)  # of those that ROS 2 has; people at work on this machine take the lower ones


@contextmanager
def own_domain() -> Iterator[int]:
    """A ROS domain that no other test process of this machine uses meanwhile, set in the environment."""
    with Held() as held, pytest.MonkeyPatch.context() as patch:
        domain = next(number for number in DOMAINS if held.take(f'qkd_gs-tests/domain/{number}'))
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        use_loopback_profile()
        yield domain
        left = re.findall(rf'@(qkd_gs/{domain}/\S+/{os.getpid()})$', Path('/proc/net/unix').read_text(), re.MULTILINE)
        assert not left, f'a node of a test is still there, and the next test would hear it: {left}'


@contextmanager
def whole_machine() -> Iterator[None]:
    """One station of all nodes at a time: several would take each other's processors."""
    with open(Path(tempfile.gettempdir()) / f'qkd_gs-tests-{os.getuid()}.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
