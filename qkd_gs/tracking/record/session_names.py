"""Names of sessions' folders."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from qkd_gs.orbit.timescale import format_utc


def session_name(at_ns: int, site: str) -> str:
    """Name after culmination (UTC ns) and site, e.g. ``20181003T155642Z-shanghai``."""
    return f'{format_utc(at_ns, 0).replace(":", "").replace("-", "")}-{site.lower().replace(",", "_")}'


def unused_name(sessions_dir: Path, name: str) -> str:
    """A name like this that no session has: a pass that was aborted may be taken again."""
    names = (name if number == 1 else f'{name}-{number}' for number in count(1))
    return next(one for one in names if not (sessions_dir / one).exists())
