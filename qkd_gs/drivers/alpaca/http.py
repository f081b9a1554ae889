"""Answers of an HTTP/1.1 server, as far as Alpaca needs them: a body with a length, in chunks, or until the end."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 1 << 26


@dataclass(frozen=True)
class Answer:
    """A complete answer, and whether the server closes the connection after it."""

    status: int
    body: bytes
    closes: bool
    content_type: str = ''


def parse_answer(data: bytes, closed: bool) -> Answer | None:
    """Answer at the beginning of `data`; None: it is not complete yet.

    Parameters
    ----------
    closed : bool
        The server has closed the connection: nothing more comes.

    Raises
    ------
    ValueError
        No HTTP, or an answer without an end.
    """
    head, separator, rest = data.partition(b'\r\n\r\n')
    if not separator:
        if len(data) > _LONGEST:
            raise ValueError('an answer without an end')
        return None
    first, *lines = head.decode('latin-1').split('\r\n')
    words = first.split()
    if len(words) < 2 or not words[0].startswith('HTTP/1.') or not words[1].isdecimal():
        raise ValueError(f'no HTTP: {first[:40]}')
    pairs = (line.partition(':') for line in lines)
    headers = {name.strip().lower(): value.strip().lower() for name, _, value in pairs}
    closes = closed or headers.get('connection') == 'close' or words[0] == 'HTTP/1.0'
    if headers.get('transfer-encoding') == 'chunked':
        body = _chunked(rest)
    elif (length := headers.get('content-length', '')).isdecimal():
        body = rest[: int(length)] if len(rest) >= int(length) else None
    else:
        body = rest if closed else None
    return None if body is None else Answer(int(words[1]), body, closes, headers.get('content-type', ''))


def _chunked(data: bytes) -> bytes | None:
    """Body made of chunks; None: not complete."""
    parts: list[bytes] = []
    at = 0
    while (end := data.find(b'\r\n', at)) >= 0:
        size, begin = int(data[at:end].split(b';')[0], 16), end + 2
        if size < 0:
            raise ValueError(f'a chunk of {size} bytes')
        at = begin + size + 2
        if len(data) < at:
            return None
        if size == 0:
            return b''.join(parts)
        parts.append(data[begin : begin + size])
    return None
