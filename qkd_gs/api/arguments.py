"""Arguments as a notebook has them: times as text, `datetime` or integer nanoseconds, a site by its name."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from typing import SupportsIndex

from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.site import Site, load_site

UtcTime = SupportsIndex | str | datetime
"""UTC: integer ns since the Unix epoch, ISO 8601 text, or a `datetime` with a time zone."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_ns(time: UtcTime, name: str) -> int:
    """UTC in ns since the Unix epoch.

    Parameters
    ----------
    time : int, str or datetime
        See `UtcTime`.
    name : str
        Of the argument, for the error message.

    Raises
    ------
    StationError
        Text that is no ISO 8601 time, a `datetime` without a time zone, or another type.
    """
    if isinstance(time, str):
        return parse_utc(time, name)
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise StationError(f'{time.isoformat()} has no time zone', where=name, hint='for UTC add tzinfo=UTC')
        return (time - _UNIX_EPOCH) // timedelta(microseconds=1) * 1000
    try:
        return operator.index(time)
    except TypeError as error:
        raise StationError(
            f'{time!r} is not a time', where=name, hint='integer ns since the Unix epoch, ISO 8601 text or a datetime'
        ) from error


def site_of(site: Site | str) -> Site:
    """A site as it is, or looked up by `qkd_gs.load_site`."""
    return load_site(site) if isinstance(site, str) else site
