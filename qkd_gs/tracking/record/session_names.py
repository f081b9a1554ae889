"""Names of sessions' folders."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from qkd_gs.orbit.timescale import basic_utc

_LONGEST = 60  # characters of the site, which may have four bytes each; a name has 255 bytes


def session_name(at_ns: int, site: str) -> str:
    """Name after culmination (UTC ns) and site, e.g. ``20181003T155642Z-shanghai``.

    Characters that a folder's name must not have, or that a shell takes for something else, are ``_`` in it.
    """
    plain = re.sub(r'[^\w.+-]', '_', site.lower())
    return f'{basic_utc(at_ns)}-{plain[:_LONGEST]}'


def unused_name(sessions_dir: Path, name: str) -> str:
    """A name like this that no session has: a pass that was aborted may be taken again."""
    names = (name if number == 1 else f'{name}-{number}' for number in count(1))
    return next(one for one in names if not (sessions_dir / one).exists())
