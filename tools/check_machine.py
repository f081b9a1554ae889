"""Can this machine build the station?  One sentence if not.  Runs on any Python 3, before anything is installed."""

import platform
import shutil
import sys
import sysconfig
from pathlib import Path

APT = 'sudo apt install build-essential python3-dev python3-venv git'


def complaint():
    """What is missing, or None."""
    version = '.'.join(map(str, sys.version_info[:2]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return (
            f'Python {version} will not do: 3.11 to 3.13 is needed; name another with `make setup PYTHON=python3.12`.'
        )
    if (sys.platform, platform.machine()) != ('linux', 'x86_64'):
        return f'There are no ROS 2 wheels for {sys.platform} on {platform.machine()}: Linux on x86_64 is needed.'
    try:
        import ensurepip  # noqa: F401  Debian and Ubuntu leave it out without python3-venv
        import venv  # noqa: F401
    except ImportError:
        return f'Python {version} cannot make virtual environments: run `{APT}`.'
    if not Path(sysconfig.get_path('include'), 'Python.h').exists():
        return f'The headers of Python {version} (Python.h) are missing: run `{APT}`.'
    for tool in ('cc', 'c++'):
        if shutil.which(tool) is None:
            return f'There is no compiler (`{tool}`): run `{APT}`.'
    return None


if __name__ == '__main__':
    MISSING = complaint()
    if MISSING:
        sys.exit('make setup: ' + MISSING)
