"""Sealing keys: one for each session, destroyed once the key of the session is stored."""

from __future__ import annotations

import os
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.files import check_private, erase_secret, read_secret, sync_folder, write_secret
from qkd_gs.keys.random_tape import RandomTape
from qkd_gs.timing.sealed import fingerprint
from qkd_gs.timing.sealed.hybrid import PRIVATE_BYTES, SealingKey

_READY = 4  # pairs that wait for a session, so that the process that seals tags does not draw its own


class SealingKeys:
    """A folder of sealing keys.

    A pair waits as ``ready-FINGERPRINT.pub`` and ``FINGERPRINT.key``.  A session takes it by renaming the public part,
    which no two sessions can do.

    Parameters
    ----------
    folder : Path
        Of mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self) -> None:
        """Create the folder and draw pairs until enough of them wait."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        check_private(self._folder)
        for _ in range(_READY - len(self._ready())):
            self._draw()

    def public_key(self, session_id: str) -> bytes:
        """Public key of a session; its first call takes one of those that wait.

        Raises
        ------
        StationError
            The folder cannot be written.
        """
        check_private(self._folder)
        mine = self._public_path(session_id)
        try:
            while not mine.exists():
                waiting = next(iter(self._ready()), None) or self._draw()
                try:
                    os.rename(waiting, mine)
                except FileNotFoundError:  # another session was faster
                    continue
                sync_folder(self._folder)
            return mine.read_bytes()
        except OSError as error:
            raise StationError(f'cannot be written: {error.strerror}', where=mine) from error

    def private_key(self, session_id: str) -> SealingKey:
        """Private key of a session.

        Raises
        ------
        StationError
            The session took none here, or it was destroyed.
        """
        path = self._public_path(session_id)
        if not path.exists():
            raise StationError(
                f'there is no key to the tags of session {session_id}',
                where=self._folder,
                hint='give the key folder of the station that took it; it is destroyed once the key is stored',
            )
        raw = read_secret(self._private_path(path.read_bytes()))
        if len(raw) != PRIVATE_BYTES:
            raise StationError('is damaged', where=self._private_path(path.read_bytes()))
        return SealingKey(raw)

    def random_tape(self, session_id: str) -> RandomTape:
        """Random bits that every run of a session reads alike; destroyed with its private key."""
        return RandomTape(self._tape_path(session_id))

    def destroy(self, session_id: str) -> None:
        """Destroy the private key and the random bits of a session: nobody can open its tags any more.

        Raises
        ------
        StationError
            It cannot be deleted.
        """
        path = self._public_path(session_id)
        erase_secret(self._tape_path(session_id))
        if path.exists():
            erase_secret(self._private_path(path.read_bytes()))
            erase_secret(path)
        self.fill()

    def _ready(self) -> list[Path]:
        return sorted(self._folder.glob('ready-*.pub'))

    def _draw(self) -> Path:
        pair = SealingKey.generate()
        public = pair.public_bytes()
        write_secret(self._private_path(public), pair.private_bytes())
        path = self._folder / f'ready-{fingerprint(public).hex()}.pub'
        write_secret(path, public)  # last: a pair that waits has both parts
        return path

    def _public_path(self, session_id: str) -> Path:
        return self._folder / f'session-{session_id}.pub'

    def _tape_path(self, session_id: str) -> Path:
        return self._folder / f'session-{session_id}.random'

    def _private_path(self, public: bytes) -> Path:
        return self._folder / f'{fingerprint(public).hex()}.key'
