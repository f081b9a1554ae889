"""The environment of the interpreters that this one starts.

Python puts the current folder first on the module path of ``python -m`` and ``python -c``, and the latter is how
`multiprocessing` starts its servers.  A file ``secrets.py`` in a session's folder would be executed beside the keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment, in which Python imports nothing from the current folder.

    The absolute folders of ``PYTHONPATH`` stay, since a package built by colcon is found through them.  An empty or
    relative one means the current folder, or one below it, and is left out.
    """
    safe = {**environment, 'PYTHONSAFEPATH': '1'}
    folders = [folder for folder in safe.pop('PYTHONPATH', '').split(os.pathsep) if os.path.isabs(folder)]
    return safe | ({'PYTHONPATH': os.pathsep.join(folders)} if folders else {})


def protect_children() -> None:
    """Give every interpreter that this process starts from now on such an environment."""
    safe = child_environment(os.environ)
    if 'PYTHONPATH' not in safe:
        os.environ.pop('PYTHONPATH', None)
    os.environ.update(safe)
