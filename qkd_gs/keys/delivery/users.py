"""Registered applications (SAEs): their certificates, and with whom each may share keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pydantic import Field, ValidationError

from qkd_gs.errors import StationError
from qkd_gs.keys.files import read_secret, write_secret
from qkd_gs.settings.loader import Section

NAME = re.compile(r'[0-9A-Za-z][0-9A-Za-z._~@+:-]{0,63}')
_VERSION = 1


class Share(Section):
    """Rights of a pair of SAEs, seen from one of them.

    Attributes
    ----------
    kme : str, optional
        KME of the other SAE; None: this one if the other is registered here, else the only peer.
    bits_per_day : int, optional
        Bits of key that the pair may get here in a day of UTC; no limit if not given.
    reserve_bits : int
        The pair gets no key that would leave less in the store; kept for authentication.
    """

    kme: str | None = None
    bits_per_day: int | None = Field(default=None, ge=0)
    reserve_bits: int = Field(default=0, ge=0)


class User(Section):
    """A registered SAE."""

    certificate: str
    added_utc: str
    shares: dict[str, Share]


class _File(Section):
    version: int
    users: dict[str, User]


class Users:
    """The registry, in a file of its own that is read again when it has changed.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._users: dict[str, User] = {}
        self._by_fingerprint: dict[bytes, str] = {}

    def all(self) -> dict[str, User]:
        """Users by SAE ID.

        Raises
        ------
        StationError
            The file is damaged, or open to others.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._users, self._by_fingerprint = None, {}, {}
            return self._users
        seen = found.st_mtime_ns, found.st_ino
        if seen != self._seen:
            try:
                self._users = self._read()
            except StationError:  # replaced while it was read, and then overwritten
                self._users = self._read()
            self._by_fingerprint = {fingerprint(user.certificate): name for name, user in self._users.items()}
            self._seen = seen
        return self._users

    def named(self, certificate_fingerprint: bytes) -> str | None:
        """SAE ID of a certificate, by the SHA-256 of its DER form; None if it is not registered."""
        self.all()
        return self._by_fingerprint.get(certificate_fingerprint)

    def share(self, name: str, other: str) -> Share | None:
        """Rights of `name` with `other`; None if there are none."""
        user = self.all().get(name)
        return None if user is None else user.shares.get(other)

    def add(self, name: str, certificate_pem: str | None, other: str, share: Share, now: datetime) -> None:
        """Register an SAE, or another SAE that it may share keys with.

        Parameters
        ----------
        name, other : str
            SAE IDs.
        certificate_pem : str, optional
            Certificate of `name`; not needed if it is registered already.
        share : Share
        now : datetime

        Raises
        ------
        StationError
            Not an ID, not a certificate, another SAE's certificate, or another one than was registered.
        """
        users = dict(self.all())
        for one in (name, other):
            check_name(one)
        if name == other:
            raise StationError('an SAE does not share keys with itself', where=name)
        known = users.get(name)
        if certificate_pem is None and known is None:
            raise StationError('is not registered yet', where=name, hint='give its certificate: --certificate FILE')
        certificate = certificate_pem if certificate_pem is not None else known.certificate if known else ''
        mark = fingerprint(certificate)
        if known is not None and fingerprint(known.certificate) != mark:
            raise StationError('is registered with another certificate', where=name, hint='remove it first')
        taken = next(
            (one for one, user in users.items() if one != name and fingerprint(user.certificate) == mark), None
        )
        if taken is not None:
            raise StationError(f'has the certificate of {taken}', where=name, hint='each SAE needs a certificate')
        shares = {**(known.shares if known else {}), other: share}
        added = known.added_utc if known else now.astimezone(UTC).isoformat(timespec='seconds')
        users[name] = User(certificate=certificate, added_utc=added, shares=shares)
        self._write(users)

    def remove(self, name: str) -> None:
        """Remove an SAE: its certificate is not accepted any more.

        Raises
        ------
        StationError
            There is none of this ID.
        """
        users = dict(self.all())
        if name not in users:
            raise StationError('is not registered', where=name)
        del users[name]
        self._write(users)

    def _read(self) -> dict[str, User]:
        try:
            found = _File.model_validate_json(read_secret(self._path))
        except ValidationError as error:
            raise StationError('is not a list of users, or damaged', where=self._path) from error
        if found.version != _VERSION:
            raise StationError(f'has version {found.version}, not {_VERSION}', where=self._path)
        return found.users

    def _write(self, users: dict[str, User]) -> None:
        content = _File(version=_VERSION, users=users).model_dump_json(indent=1).encode() + b'\n'
        write_secret(self._path, content, replace=True)


def check_name(name: str) -> None:
    """Refuse what cannot be an SAE ID or KME ID.

    Raises
    ------
    StationError
        It is none.
    """
    if NAME.fullmatch(name) is None:
        raise StationError(
            f'{name[:70]!r} cannot be an ID', hint='up to 64 letters, digits and . _ ~ @ + : -, the first no sign'
        )


def fingerprint(certificate_pem: str) -> bytes:
    """SHA-256 of a certificate's DER form.

    Raises
    ------
    StationError
        Not a certificate in PEM.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError as error:
        raise StationError('is not a certificate in PEM', where='certificate') from error
    return certificate.fingerprint(hashes.SHA256())


def normalized(certificate_pem: bytes) -> str:
    """The first certificate of a file, and nothing else of it.

    Raises
    ------
    StationError
        There is none, or the file has a private key.
    """
    if b'PRIVATE KEY' in certificate_pem:
        raise StationError('has a private key, which belongs to its owner alone', where='certificate')
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise StationError('is not a certificate in PEM', where='certificate') from error
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
