"""Read a file of orbit data of any known format."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.ephemeris import Ephemeris, join
from qkd_gs.orbit.files import cpf, messages, oem, tle, trajectory
from qkd_gs.orbit.propagate import MeanElements, Orbit, source

log = logging.getLogger(__name__)

_MOST_WARNINGS = 5
_LARGEST_BYTES = 1 << 30
_KNOWN = 'OMM, TLE, OEM, CPF or a trajectory file'
_BYTE_ORDER_MARKS = {b'\xff\xfe': 'utf-16', b'\xfe\xff': 'utf-16', b'\xef\xbb\xbf': 'utf-8-sig'}
_CONTROL = re.compile(r'[\x00-\x08\x0e-\x19\x1b-\x1f\x7f-\x9f]')  # not tab, line ends, form feed, the end mark of DOS

_Entries = Iterable[MeanElements | Ephemeris | StationError]


def read_orbits(path: Path) -> list[Orbit]:
    """Orbits of a file, in its order; entries that cannot be used are left out with a warning.

    Raises
    ------
    StationError
        File unreadable, empty, of no known format, or without an entry that can be used.
    """
    text = _read_text(path)
    if not text.strip():
        raise StationError('is empty', where=path, hint=f'it should hold {_KNOWN}')
    for pattern, read in _FORMATS:
        if pattern.search(text):
            return _usable(path, read(path, text))
    first = next(line.strip() for line in text.splitlines() if line.strip())
    raise StationError(
        f'not a known format of orbit data, it begins with {first[:60]!r}', where=source(path, 1), hint=_KNOWN
    )


def _usable(path: Path, entries: _Entries) -> list[Orbit]:
    orbits: list[Orbit] = []
    refused: list[StationError] = []
    for entry in entries:
        if isinstance(entry, StationError):
            refused.append(entry)
        else:
            orbits.append(entry)
    if not orbits:
        raise refused[0] if refused else StationError('holds no orbit', where=path)
    for error in refused[:_MOST_WARNINGS]:
        log.warning('%s; the entry is left out', error)
    if len(refused) > _MOST_WARNINGS:
        log.warning('%s: %d more entries are left out', path, len(refused) - _MOST_WARNINGS)
    return orbits


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise StationError('has more than a gigabyte', where=path, hint=f'it should hold {_KNOWN}')
        data = path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), 'utf-8')
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        text = data.decode('latin-1')  # names of satellites in an older encoding; it has no byte that is no character
        if _CONTROL.search(text):
            line = data.count(b'\n', 0, error.start) + 1
            raise StationError(f'byte 0x{data[error.start]:02x} is not text', where=source(path, line)) from error
    control = _CONTROL.search(text)
    if control:
        line = text.count('\n', 0, control.start()) + 1
        raise StationError(f'byte 0x{ord(control[0]):02x} is not text', where=source(path, line))
    return re.sub(r'\r\n?|\x1a', '\n', text)


def _read_xml(path: Path, text: str) -> Iterator[MeanElements | Ephemeris | StationError]:
    root = messages.parse_xml(path, text)
    name = root.tag.rpartition('}')[2]
    if name.lower() == 'html':
        _refuse_web_page(path, text)
    if name == 'oem' or root.find('{*}oem') is not None:
        yield from join(oem.read_oem_xml(path, root))
    else:
        yield from messages.read_xml(path, text, root)


def _refuse_web_page(path: Path, text: str) -> Iterator[StationError]:
    """Page that a server sends instead of elements when it refuses: its title says why."""
    title = re.search(r'<title[^>]*>\s*([^<]{1,200})', text, re.IGNORECASE)
    said = f', its title is {" ".join(title[1].split())[:80]!r}' if title else ''
    raise StationError(f'is a web page, not orbit data{said}', where=path, hint='open it in a browser; fetch it again')


def _read_oem(path: Path, text: str) -> _Entries:
    return join(oem.read_oem(path, text))


def _read_trajectory(path: Path, text: str) -> _Entries:
    return join(trajectory.read_trajectory(path, text))


def _read_cpf(path: Path, text: str) -> _Entries:
    return join(cpf.read_cpf(path, text))


_Reader = Callable[[Path, str], _Entries]
_FORMATS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (re.compile(rf'\A{trajectory.MAGIC}\b'), _read_trajectory),
    (re.compile(r'\A\s*[\[{]'), messages.read_json),
    (re.compile(r'\A\s*(<!--.*?-->\s*)*<(!doctype\s+html|html)', re.IGNORECASE | re.DOTALL), _refuse_web_page),
    (re.compile(r'\A\s*<'), _read_xml),
    (re.compile(r'^[ \t]*CCSDS_OEM_VERS\s*=', re.MULTILINE), _read_oem),
    (re.compile(r'^[ \t]*(CCSDS_OMM_VERS|MEAN_MOTION)\s*=', re.MULTILINE), messages.read_kvn),
    (
        re.compile(r'^[ \t]*H1[ \t]+CPF\b', re.IGNORECASE | re.MULTILINE),
        _read_cpf,
    ),
    (re.compile(r'\A(?=[^\n]*,)[^\n]*\b(NORAD_CAT_ID|EPOCH|MEAN_MOTION)\b', re.IGNORECASE), messages.read_csv),
    (re.compile(r'^[ \t]*[12] [ A-Z\d]', re.MULTILINE), tle.read_tle),
)
