"""Instance lock: a second station of the same namespace in the same ROS domain is refused."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import IO

from qkd_gs.errors import StationError


def acquire_instance_lock(namespace: str, domain: str | None = None) -> IO[str]:
    """Acquire the lock of a namespace in a ROS domain; it is held until the returned file is closed.

    Parameters
    ----------
    domain : str, optional
        ROS domain; that of the environment unless given.

    Raises
    ------
    StationError
        Another station runs.
    """
    domain = domain or os.environ.get('ROS_DOMAIN_ID') or '0'
    name = re.sub(r'\W', '-', f'qkd_gs-{os.getuid()}-{domain}/{namespace.strip("/")}')
    file = open(Path(tempfile.gettempdir()) / f'{name}.lock', 'a+', encoding='utf-8')  # noqa: SIM115  open as long as the station
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or 'unknown'
        file.close()
        raise StationError(
            f'another station runs in ROS domain {domain} (process {holder})',
            hint='stop it, or choose another ROS_DOMAIN_ID or namespace',
        ) from error
    file.truncate(0)
    file.write(f'{os.getpid()}\n')
    file.flush()
    return file
