"""The key shared with the satellite in advance, in slots of one run each; each slot is used once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from qkd_gs.errors import StationError
from qkd_gs.keys.files import check_private, read_secret, write_secret
from qkd_gs.keys.secret import Secret
from qkd_gs.qkd.link.authenticated_channel import FIRST_TAGS, SECRET_BITS
from qkd_gs.settings.loader import Section

SLOT_BYTES = SECRET_BITS // 8
MAX_ATTEMPTS = FIRST_TAGS  # runs in a row that may end without an accepted tag
OFFERED = 16  # slots named in a greeting: the other side may have used some in runs that broke
_OLD_COUNTER = 21  # digits and newline: version 1 counted bits


class _State(Section):
    """The file beside the bits: which slots were used."""

    version: int
    first: int = Field(ge=0, description='slots before this one are used or given up')
    used: list[int] = Field(description='used slots from there on')
    attempts: int = Field(ge=0, description='runs since the last accepted tag')


class PreSharedKey:
    """A pre-shared key in two files: the bits, and which of their slots are used.

    A slot is the pre-shared bits of one run.  It is marked as used on the disk (fsync) before a bit of it leaves this
    object, so a crash can waste a slot but not repeat it; a lock excludes a second process; used bytes are overwritten
    with zeros.  Both files belong together: an old copy of them would repeat bits.

    Parameters
    ----------
    path : Path
        File of the bits; the state is beside it with the suffix ``.used``.
    """

    def __init__(self, path: Path):
        self._path = path
        self._state_path = path.with_suffix('.used')

    @classmethod
    def create(cls, path: Path, material: bytes) -> PreSharedKey:
        """Store a new pre-shared key, unused.

        Raises
        ------
        StationError
            The key or its state exists already.
        """
        write_secret(path.with_suffix('.used'), _written(_State(version=2, first=0, used=[], attempts=0)))
        write_secret(path, material)
        return cls(path)

    @property
    def runs_left(self) -> int:
        """Number of unused slots."""
        check_private(self._path)
        return len(self._unused(self._state()))

    @property
    def left_bits(self) -> int:
        """Bits of the unused slots."""
        return self.runs_left * SECRET_BITS

    def offers(self) -> list[str]:
        """Names of the next unused slots; not secret.

        Raises
        ------
        StationError
            None is left, or too many runs failed in a row.
        """
        state = self._state()
        unused = self._unused(state)
        if not unused:
            raise StationError('is used up', where=self._path, hint='bring a new pre-shared key to both sides')
        self._check_attempts(state)
        return [str(slot) for slot in unused[:OFFERED]]

    def choose(self, offered: Sequence[str]) -> str:
        """First of the offered slots that is unused here, too.

        Raises
        ------
        StationError
            There is none, or too many runs failed in a row.
        """
        state = self._state()
        self._check_attempts(state)
        return chosen(offered, [str(slot) for slot in self._unused(state)], str(self._path))

    def take(self, slot: str) -> Secret:
        """Use a slot for tags to be sent; it counts as a failed run until `accept`.

        Raises
        ------
        StationError
            No such slot, used already, or too many runs failed in a row.
        """
        with self._locked():
            state, number = self._found(slot)
            attempts = state.attempts + 1
            self._write(state.model_copy(update={'used': sorted([*state.used, number]), 'attempts': attempts}))
            secret = self._read(number)
            self._wipe(number, number + 1)
        return secret

    def attempt(self, slot: str) -> Secret:
        """Bits of a slot to verify the other side's first tag with; the slot stays unused until `accept`.

        Raises
        ------
        StationError
            As `take`.
        """
        with self._locked():
            state, number = self._found(slot)
            self._write(state.model_copy(update={'attempts': state.attempts + 1}))
            return self._read(number)

    def accept(self, slot: str, offered: Sequence[str] = ()) -> None:
        """The other side's first tag was right: use up the slot, and what the tagged greeting skipped.

        Parameters
        ----------
        slot : str
        offered : sequence of str
            Slots that the greeting offered, on the side that received it; unused ones before the first are given up.
        """
        with self._locked():
            state, size = self._state(), self._size()
            numbers = [number for number in map(_number, offered) if number is not None]
            first = max(state.first, min(numbers, default=0))
            used = {*state.used, int(slot)}
            while first in used:
                first += 1
            kept = sorted(number for number in used if number >= first)
            self._write(_State(version=2, first=min(first, size), used=kept, attempts=0))
            self._wipe(state.first, min(first, size))
            self._wipe(int(slot), int(slot) + 1)

    def count_attempt(self) -> None:
        """Count a run that uses no slot of this key.

        Raises
        ------
        StationError
            Too many runs failed in a row.
        """
        with self._locked():
            state = self._state()
            self._check_attempts(state)
            self._write(state.model_copy(update={'attempts': state.attempts + 1}))

    def reset_attempts(self) -> None:
        """Allow runs again, after one that succeeded, or after the cause of `MAX_ATTEMPTS` failed ones is known."""
        with self._locked():
            self._write(self._state().model_copy(update={'attempts': 0}))

    def __repr__(self) -> str:
        return f'<PreSharedKey {self._path.name}>'

    def _size(self) -> int:
        return self._path.stat().st_size // SLOT_BYTES

    def _state(self) -> _State:
        text = read_secret(self._state_path)
        if len(text) == _OLD_COUNTER and text[:-1].isdigit():
            text = _written(_State(version=2, first=-(-int(text) // SECRET_BITS), used=[], attempts=0))
        try:
            state = _State.model_validate_json(text)
        except ValidationError as error:
            raise StationError('is not the state of a pre-shared key', where=self._state_path) from error
        if state.version != 2:
            raise StationError(f'has version {state.version}, not 2', where=self._state_path)
        if state.first > self._size() + 1:
            raise StationError('is not the state of this pre-shared key', where=self._state_path)
        return state

    def _unused(self, state: _State) -> list[int]:
        return [number for number in range(state.first, self._size()) if number not in state.used]

    def _found(self, slot: str) -> tuple[_State, int]:
        state, number = self._state(), _number(slot)
        self._check_attempts(state)
        if number is None or number not in self._unused(state):
            raise StationError(f'slot {slot[:20]} is used here, or there is no such slot', where=self._path)
        return state, number

    def _check_attempts(self, state: _State) -> None:
        if state.attempts >= MAX_ATTEMPTS:
            raise StationError(
                f'{state.attempts} runs in a row ended without a right tag: somebody meddles with the link, or both'
                ' sides hold different keys',
                where=self._path,
                hint='look for the cause, then call PreSharedKey.reset_attempts',
            )

    def _write(self, state: _State) -> None:
        write_secret(self._state_path, _written(state), replace=True)

    def _read(self, number: int) -> Secret:
        with open(self._path, 'rb') as file:
            file.seek(number * SLOT_BYTES)
            return Secret(file.read(SLOT_BYTES))

    def _wipe(self, first: int, end: int) -> None:
        if end <= first:
            return
        with open(self._path, 'r+b') as file:
            file.seek(first * SLOT_BYTES)
            file.write(bytes((end - first) * SLOT_BYTES))
            file.flush()
            os.fsync(file.fileno())

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

    runs_left = 1_000_000

    def __init__(self, seed: int, session_id: str):
        self._label = f'qkd_gs simulated pre-shared key {seed} {session_id} '
        self._first = 0
        self.used: list[str] = []

    def offers(self) -> list[str]:
        """As `PreSharedKey.offers`, without an end."""
        return [str(number) for number in range(self._first, self._first + OFFERED)]

    def choose(self, offered: Sequence[str]) -> str:
        """As `PreSharedKey.choose`."""
        return chosen(offered, self.offers(), 'the simulated pre-shared key')

    def take(self, slot: str) -> Secret:
        """As `PreSharedKey.take`."""
        self.accept(slot)
        return self.attempt(slot)

    def attempt(self, slot: str) -> Secret:
        """As `PreSharedKey.attempt`, without counting."""
        return Secret(hashlib.shake_256((self._label + slot).encode()).digest(SLOT_BYTES))

    def count_attempt(self) -> None:
        """As `PreSharedKey.count_attempt`, without a limit."""

    def reset_attempts(self) -> None:
        """As `PreSharedKey.reset_attempts`."""

    def accept(self, slot: str, offered: Sequence[str] = ()) -> None:
        """As `PreSharedKey.accept`."""
        if slot not in self.used:
            self.used.append(slot)
        self._first = max(self._first, int(slot) + 1)

    def __repr__(self) -> str:
        return '<SimulatedPreSharedKey>'


def chosen(offered: Sequence[str], unused: Sequence[str], where: str) -> str:
    """First offered slot that is unused.

    Raises
    ------
    StationError
        There is none.
    """
    for slot in offered:
        if slot in unused:
            return slot
    raise StationError(
        'none of the pre-shared bits that the other side offers is unused here',
        where=where,
        hint='both sides must hold the same key; never restore an old copy',
    )


def _number(slot: str) -> int | None:
    return int(slot) if slot.isdecimal() and len(slot) < 12 else None


def _written(state: _State) -> bytes:
    return json.dumps(state.model_dump()).encode() + b'\n'
