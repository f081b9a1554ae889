"""Orbit elements from a server, fetched no more often than courtesy allows.

A copy is kept for every address.  While it is younger than the server's own interval nothing is asked; afterwards the
server is asked whether it has something newer.  A server that has refused is left alone for the same interval.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from qkd_gs import __version__
from qkd_gs.errors import StationError
from qkd_gs.orbit.files.loading import read_orbits
from qkd_gs.orbit.timescale import format_utc

log = logging.getLogger(__name__)

CELESTRAK = 'https://celestrak.org/NORAD/elements/gp.php'
INTERVAL_S = 7200  # CelesTrak renews its elements every two hours and asks not to fetch the same twice in between
_LARGEST_BYTES = 64 << 20
_TIMEOUT_S = 30.0
_NOT_MODIFIED = 304
_QUERIES = {'number': 'CATNR', 'designator': 'INTDES', 'name': 'NAME', 'group': 'GROUP'}


@dataclass(frozen=True)
class Fetched:
    """A copy of a server's elements."""

    path: Path
    address: str
    fetched_ns: int  # UTC of the server's last answer
    asked: bool  # whether the server was asked this time
    satellites: int


def address_of(url: str, kind: str, value: str, form: str) -> str:
    """Address of a query in CelesTrak's form.

    Parameters
    ----------
    kind : str
        ``number``, ``designator``, ``name`` or ``group``.
    form : str
        ``json``, ``xml``, ``kvn``, ``csv`` or ``tle``.
    """
    if urlsplit(url).scheme not in ('http', 'https'):
        raise StationError(f'{url!r} is not an address', where='--url', hint='http:// or https://')
    return f'{url}?{urlencode({_QUERIES[kind]: value, "FORMAT": form.upper()})}'


def fetch(address: str, cache: Path, now_ns: int, interval_s: float = INTERVAL_S) -> Fetched:
    """The elements at an address, from the copy or from the server.

    Parameters
    ----------
    cache : Path
        Folder of the copies; made if it is missing.
    now_ns : int
        UTC.
    interval_s : float
        The server is not asked twice within it.

    Raises
    ------
    StationError
        The server cannot be reached, refuses, or sends something else than elements, and there is no copy.
    """
    cache.mkdir(parents=True, exist_ok=True)
    name = sha256(address.encode()).hexdigest()[:16]
    path, notes_path = cache / f'{name}.elements', cache / f'{name}.json'
    notes = _read_notes(notes_path)
    waits_s = interval_s - (now_ns - int(notes.get('asked_ns', 0))) * 1e-9
    if 0 < waits_s <= interval_s:
        if path.exists():
            return _result(path, address, notes, asked=False)
        raise StationError(
            f'{notes.get("error", "the server had no elements")}; it is not asked again before '
            f'{format_utc(now_ns + int(waits_s * 1e9), 0)}',
            where=address,
        )
    notes['asked_ns'] = now_ns
    try:
        data, headers = _ask(address, notes if path.exists() else {})
        if data is not None:
            _replace(path, data)
            notes |= {'etag': headers.get('ETag', ''), 'modified': headers.get('Last-Modified', '')}
        notes |= {'fetched_ns': now_ns, 'error': ''}
    except StationError as error:
        notes['error'] = error.what
        _write(notes_path, json.dumps(notes).encode())
        if not path.exists():
            raise
        log.warning('%s; the copy of %s is used', error, format_utc(int(notes.get('fetched_ns', 0)), 0))
        return _result(path, address, notes, asked=True)
    _write(notes_path, json.dumps(notes).encode())
    return _result(path, address, notes, asked=True)


def _ask(address: str, notes: dict[str, str | int]) -> tuple[bytes | None, dict[str, str]]:
    """Answer of the server, and its headers; None: the copy is still what it has."""
    headers = {'User-Agent': f'qkd_gs/{__version__}'}
    if notes.get('etag'):
        headers['If-None-Match'] = str(notes['etag'])
    if notes.get('modified'):
        headers['If-Modified-Since'] = str(notes['modified'])
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            data = answer.read(_LARGEST_BYTES + 1)
            if len(data) > _LARGEST_BYTES:
                raise StationError('the server sends more than 64 MB', where=address)
            return data, dict(answer.headers)
    except urllib.error.HTTPError as error:
        if error.code == _NOT_MODIFIED:
            return None, {}
        raise StationError(f'the server answers {error.code} {error.reason}', where=address) from error
    except (OSError, ValueError) as error:  # no connection, a time-out, a broken answer
        raise StationError(f'the server cannot be reached: {str(error)[:120]}', where=address) from error


def _replace(path: Path, data: bytes) -> None:
    """Put the answer in the place of the copy, once it has been read as elements."""
    fresh = path.with_suffix('.new')
    _write(fresh, data)
    try:
        read_orbits(fresh)
    except StationError as error:
        raise StationError(f'the server sent no elements: it {error.what}', where=str(path)) from error
    os.replace(fresh, path)


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(path.suffix + '.part')
    partial.write_bytes(data)
    os.replace(partial, path)


def _read_notes(path: Path) -> dict[str, str | int]:
    try:
        notes = json.loads(path.read_bytes())
    except (OSError, ValueError):  # no notes, or broken ones: as if nothing had been asked
        return {}
    return notes if isinstance(notes, dict) and isinstance(notes.get('asked_ns'), int) else {}


def _result(path: Path, address: str, notes: dict[str, str | int], asked: bool) -> Fetched:
    satellites = len({orbit.satellite_id for orbit in read_orbits(path)})
    return Fetched(path, address, int(notes.get('fetched_ns', 0)), asked, satellites)
