"""The key shared with the satellite in advance; each bit is used once, from the front."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.files import check_private, read_secret, write_secret
from qkd_gs.keys.secret import Secret

_COUNTER_DIGITS = 20
MAX_SKIP_BITS = 1 << 17  # how far the other side may be ahead: 64 passes that ended badly


class PreSharedKey:
    """A pre-shared key in two files: the bits, and how many of them are used.

    The counter is on the disk (fsync) before a bit leaves this object, so a crash can waste bits but not
    repeat them; a lock excludes a second process; used bytes are overwritten with zeros afterwards.
    Both files belong together: an old counter restored beside the key would repeat bits.

    Parameters
    ----------
    path : Path
        File of the bits; the counter is beside it with the suffix ``.used``.
    """

    def __init__(self, path: Path):
        self._path = path
        self._counter_path = path.with_suffix('.used')

    @classmethod
    def create(cls, path: Path, material: bytes) -> PreSharedKey:
        """Store a new pre-shared key, unused.

        Raises
        ------
        StationError
            The key or its counter exists already.
        """
        write_secret(path.with_suffix('.used'), _counter(0))
        write_secret(path, material)
        return cls(path)

    @property
    def used_bits(self) -> int:
        """Bits used or skipped so far."""
        text = read_secret(self._counter_path)
        total = 8 * self._path.stat().st_size
        if len(text) != _COUNTER_DIGITS + 1 or not text[:-1].isdigit() or int(text) % 8 or int(text) > total:
            raise StationError('is not the counter of a pre-shared key', where=self._counter_path)
        return int(text)

    @property
    def left_bits(self) -> int:
        """Bits never used."""
        check_private(self._path)
        return 8 * self._path.stat().st_size - self.used_bits

    def take(self, bits: int, first: int | None = None) -> Secret:
        """Use the next bits.

        Parameters
        ----------
        bits : int
            How many, a multiple of 8.
        first : int, optional
            Bit to start at, as agreed with the other side; not before the first unused bit, and at most
            `MAX_SKIP_BITS` after it.  What lies between is never used.

        Raises
        ------
        StationError
            Too few bits are left, or `first` is not allowed.
        """
        with self._locked():
            used = self.used_bits
            start = used if first is None else first
            _check_start(used, start, bits)
            with open(self._path, 'r+b') as file:
                size = os.fstat(file.fileno()).st_size
                if start + bits > 8 * size:
                    raise StationError(
                        f'only {8 * size - used} bits are left, {bits} are needed',
                        where=self._path,
                        hint='bring a new pre-shared key to both sides',
                    )
                write_secret(self._counter_path, _counter(start + bits), replace=True)
                file.seek(start // 8)
                taken = Secret(file.read(bits // 8))
                file.seek(used // 8)
                file.write(bytes((start + bits - used) // 8))
                file.flush()
                os.fsync(file.fileno())
        return taken

    def __repr__(self) -> str:
        return f'<PreSharedKey {self._path.name}>'

    @contextmanager
    def _locked(self) -> Iterator[None]:
        check_private(self._path)
        with open(self._path, 'rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class SimulatedPreSharedKey:
    """Pre-shared key of the twin, expanded from a public seed.

    Parameters
    ----------
    seed : int
        Of the twin.
    session_id : str
        So that two sessions of one seed do not share their bits.
    """

    def __init__(self, seed: int, session_id: str):
        self._label = f'qkd_gs simulated pre-shared key {seed} {session_id}'.encode()
        self.used_bits = 0

    def take(self, bits: int, first: int | None = None) -> Secret:
        """Like `PreSharedKey.take`, without an end."""
        start = self.used_bits if first is None else first
        _check_start(self.used_bits, start, bits)
        self.used_bits = start + bits
        return Secret(hashlib.shake_256(self._label).digest((start + bits) // 8)[start // 8 :])

    def __repr__(self) -> str:
        return '<SimulatedPreSharedKey>'


def _check_start(used: int, start: int, bits: int) -> None:
    if bits <= 0 or bits % 8 or start % 8:
        raise StationError('pre-shared bits are taken by whole bytes')
    if not used <= start <= used + MAX_SKIP_BITS:
        raise StationError(
            f'{used} pre-shared bits are used here, the other side wants to start at {start}',
            hint='both sides must hold the same key; never restore an old counter',
        )


def _counter(bits: int) -> bytes:
    return f'{bits:0{_COUNTER_DIGITS}d}\n'.encode()
