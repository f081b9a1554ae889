"""The key folder: everything secret that outlives a pass, in one place that only its owner can reach."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.credentials import certificate_fingerprint, new_certificate
from qkd_gs.keys.entries import Side
from qkd_gs.keys.files import check_private, read_secret, write_secret
from qkd_gs.keys.preshared import PreSharedKey
from qkd_gs.keys.process_memory import protect_memory
from qkd_gs.keys.random_tape import RandomTape
from qkd_gs.keys.sealed_database import stored_side
from qkd_gs.keys.sealing import SealingKeys
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.link.tls import TlsIdentity
from qkd_gs.timing.sealed.hybrid import SealingKey

VARIABLE = 'QKD_GS_KEYS'
COUNTERS_VARIABLE = 'QKD_GS_COUNTERS'  # folder on another disk that is not part of the backup of the keys
_SEALING, _VERSION = 'sealing', 'version'
VERSION = 2  # version 1 had one sealing key for all sessions, and no file of this name
_MASTER_KEY, _PRE_SHARED = 'store-master.key', 'pre-shared.key'
_STORE, _SATELLITE_STORE, _RELAYED = 'keys', 'satellite-keys', 'relayed-'
_GROUND, _SATELLITE, _SIMULATED_SATELLITE = 'ground', 'satellite', 'simulated-satellite'


class KeyFolder:
    """A key folder that exists.

    Parameters
    ----------
    path : Path
        The folder; mode 0700 and ours, as is every secret file in it.

    Raises
    ------
    StationError
        Not there, somebody else's, open to others, or a part is missing; says what to do.
    """

    def __init__(self, path: Path):
        protect_memory()
        self.path = Path(path)
        if not self.path.is_dir():
            raise StationError('is not a key folder', where=self.path, hint=f'give --keys DIR or set ${VARIABLE}')
        check_private(self.path)
        for name in (_MASTER_KEY, f'{_GROUND}.tls.key'):
            check_private(self.path / name)
        self._sealing = SealingKeys(self.path / _SEALING)
        self._check_version()

    @classmethod
    def create(cls, path: Path, pre_shared: bytes | None = None) -> KeyFolder:
        """Create a new key folder atomically; an existing one is never replaced.

        Parameters
        ----------
        path : Path
            Must not exist, or be an empty folder.
        pre_shared : bytes, optional
            The key shared with the satellite, if there is one yet; simulated work needs none.

        Raises
        ------
        StationError
            The folder is not empty, or cannot be written.
        """
        protect_memory()
        path = Path(path)
        if path.is_dir() and any(path.iterdir()):
            raise StationError('is not empty; a key folder needs a new or an empty folder', where=path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=f'.{path.name}-', dir=path.parent))  # mode 0700
        except OSError as error:
            raise StationError(f'cannot be created: {error.strerror}', where=path) from error
        try:
            _fill(draft)
            if pre_shared is not None:
                PreSharedKey.create(draft / _PRE_SHARED, pre_shared)
            os.rename(draft, path)  # onto nothing or an empty folder; anything else is refused
        except OSError as error:
            raise StationError(f'cannot be created: {error.strerror}', where=path) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return cls(path)

    def session_public_key(self, session_id: str) -> bytes:
        """Public key that the tags of a session are sealed to."""
        return self._sealing.public_key(session_id)

    def session_private_key(self, session_id: str) -> SealingKey:
        """Private key that opens the tags of a session.

        Raises
        ------
        StationError
            The session was not taken with this folder, or its key was destroyed.
        """
        return self._sealing.private_key(session_id)

    def session_random_tape(self, session_id: str) -> RandomTape:
        """Random bits of a session, the same in every run; gone with its private key."""
        return self._sealing.random_tape(session_id)

    def destroy_session_key(self, session_id: str) -> None:
        """Destroy the private key of a session: its tags cannot be opened any more."""
        self._sealing.destroy(session_id)

    def pre_shared_key(self) -> PreSharedKey:
        """Key shared with the real satellite; a simulated pass does not use it.

        Raises
        ------
        StationError
            None has been imported.
        """
        if not (self.path / _PRE_SHARED).exists():
            raise StationError(
                'there is no key shared with the satellite',
                where=self.path / _PRE_SHARED,
                hint='bring it here: qkd-gs keys import-preshared',
            )
        return PreSharedKey(self.path / _PRE_SHARED)

    def import_pre_shared(self, material: bytes) -> None:
        """Import the key shared with the satellite; an existing one is never replaced."""
        PreSharedKey.create(self.path / _PRE_SHARED, material)

    def store(self, simulated: bool, side: Side = Side.GROUND) -> KeyStore:
        """Store of finished keys; simulated ones have a file of their own, and so has the twin's satellite.

        The counter against restored copies (`RootFile`) lies in ``$QKD_GS_COUNTERS`` if that is set.
        """
        name = {Side.GROUND: _STORE, Side.SATELLITE: _SATELLITE_STORE}[side]
        return self._store(name, simulated, side)

    def relayed_store(self, station: str, peer: str, simulated: bool) -> KeyStore:
        """Store of keys that the satellite relayed between this station and another one.

        Parameters
        ----------
        station, peer : str
            Names of both.  The first in the alphabet has the place of the ground in the partitions of a key.
        simulated : bool
        """
        side = Side.GROUND if station < peer else Side.SATELLITE
        return self._store(f'{_RELAYED}{peer}', simulated, side)

    def all_stores(self, simulated: bool) -> Iterator[tuple[str, KeyStore]]:
        """Stores that exist, by name, opened one after the other."""
        for side in self.sides(simulated):
            yield str(side), self.store(simulated, side)
        ending = '-simulated.db' if simulated else '.db'
        for path in sorted(self.path.glob(f'{_RELAYED}*{ending}')):
            if simulated or not path.name.endswith('-simulated.db'):
                name = path.name.removesuffix(ending)
                yield name, self._store(name, simulated, stored_side(path))

    def _store(self, name: str, simulated: bool, side: Side) -> KeyStore:
        path = self.path / (f'{name}-simulated.db' if simulated else f'{name}.db')
        counters = os.environ.get(COUNTERS_VARIABLE)
        root = Path(counters) / f'{path.name}.root' if counters and not simulated else None
        return KeyStore(path, read_secret(self.path / _MASTER_KEY), simulated, side, root)

    def tls_ground(self, simulated: bool) -> TlsIdentity:
        """Identity of the ground on the link to the satellite, or to the twin's.

        Raises
        ------
        StationError
            The real satellite's certificate has not been pinned.
        """
        peer = _SIMULATED_SATELLITE if simulated else _SATELLITE
        path = self.path / f'{peer}.tls.crt'
        if not path.exists():
            raise StationError(
                'the certificate of the other side is not pinned', where=path, hint='pin it: qkd-gs keys pin'
            )
        return self._identity(_GROUND, path)

    def tls_own(self) -> TlsIdentity:
        """Identity of this folder's side, and the pinned certificate of the other one; at both ends of a real link."""
        return self.tls_ground(simulated=False)

    def tls_simulated_satellite(self) -> TlsIdentity:
        """Identity of the twin's satellite."""
        return self._identity(_SIMULATED_SATELLITE, self.path / f'{_GROUND}.tls.crt')

    def own_certificate(self) -> bytes:
        """Certificate of this side (PEM), public; the other side pins it."""
        return (self.path / f'{_GROUND}.tls.crt').read_bytes()

    def pinned_certificate(self) -> bytes | None:
        """Certificate of the other side (PEM) that is trusted here; None if there is none yet."""
        path = self.path / f'{_SATELLITE}.tls.crt'
        return path.read_bytes() if path.exists() else None

    def has_pre_shared_key(self) -> bool:
        """True if a pre-shared key was brought here."""
        return (self.path / _PRE_SHARED).exists()

    def sides(self, simulated: bool) -> list[Side]:
        """Sides of the link whose key store there is."""
        names = {Side.GROUND: _STORE, Side.SATELLITE: _SATELLITE_STORE}
        ending = '-simulated.db' if simulated else '.db'
        return [side for side, name in names.items() if (self.path / f'{name}{ending}').exists()]

    def pin_satellite(self, certificate_pem: bytes) -> None:
        """Trust this certificate, and no other, as the other side's.

        Raises
        ------
        StationError
            Not a certificate, this folder's own, or another one is pinned already.
        """
        fingerprint = certificate_fingerprint(certificate_pem)
        if fingerprint == certificate_fingerprint(self.own_certificate()):
            raise StationError(
                "is this folder's own certificate", where='certificate', hint='bring the one of the other side'
            )
        write_secret(self.path / f'{_SATELLITE}.tls.crt', certificate_pem)

    def __repr__(self) -> str:
        return f'<KeyFolder {self.path}>'

    def _check_version(self) -> None:
        """Bring a folder of version 1 to this one: it gets keys of sessions, and keeps what it has."""
        path = self.path / _VERSION
        if not path.exists():
            self._sealing.fill()
            write_secret(path, f'{VERSION}\n'.encode(), replace=True)
        found = read_secret(path).decode('ascii', 'replace').strip()
        if found != str(VERSION):
            raise StationError(f'has version {found[:20]}, not {VERSION}', where=self.path, hint='use its software')

    def _identity(self, name: str, peer: Path) -> TlsIdentity:
        key = self.path / f'{name}.tls.key'
        check_private(key)
        return TlsIdentity(self.path / f'{name}.tls.crt', key, peer.read_text(encoding='ascii'))


def find_key_folder(explicit: Path | None = None, *, simulated: bool) -> KeyFolder:
    """Key folder of this user: `explicit`, else ``$QKD_GS_KEYS``, else the platform's data folder.

    For simulated sessions it is created on first use; for real ones that would hide a mistake, so it is refused.

    Raises
    ------
    StationError
        There is none and the sessions are real, or others can reach it.
    """
    path = Path(explicit or os.environ.get(VARIABLE) or default_path())
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        if not simulated:
            raise StationError(
                'there is no key folder',
                where=path,
                hint=f'give --keys DIR or set ${VARIABLE} to the folder that holds the pre-shared key',
            )
        try:
            return KeyFolder.create(path)
        except StationError:
            if not path.is_dir() or not any(path.iterdir()):
                raise
            # another process has just created it; it is checked below
    return KeyFolder(path)


def default_path() -> Path:
    """``$XDG_DATA_HOME/qkd_gs/keys``, usually ``~/.local/share/qkd_gs/keys``."""
    data = os.environ.get('XDG_DATA_HOME')
    return (Path(data) if data else Path.home() / '.local' / 'share') / 'qkd_gs' / 'keys'


def _fill(folder: Path) -> None:
    SealingKeys(folder / _SEALING).fill()
    write_secret(folder / _VERSION, f'{VERSION}\n'.encode())
    write_secret(folder / _MASTER_KEY, secrets.token_bytes(32))
    for name in (_GROUND, _SIMULATED_SATELLITE):
        key_pem, certificate_pem = new_certificate(f'qkd_gs {name}')
        write_secret(folder / f'{name}.tls.key', key_pem)
        write_secret(folder / f'{name}.tls.crt', certificate_pem)
