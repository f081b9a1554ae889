"""Files of key delivery in a key folder, and the certificate of the KME."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from qkd_gs.errors import StationError
from qkd_gs.keys.credentials import new_server_certificate
from qkd_gs.keys.delivery.users import Users
from qkd_gs.keys.files import check_private, sync_folder, write_secret
from qkd_gs.keys.folder import KeyFolder

_USERS = 'users.json'


def has_users(key_folder: Path, simulated: bool) -> bool:
    """True if applications were registered in a key folder."""
    return (_path(key_folder, simulated) / _USERS).exists()


class DeliveryPlace:
    """The part of a key folder that belongs to key delivery; simulated keys have one of their own.

    Parameters
    ----------
    keys : KeyFolder
    simulated : bool
        Its users and its certificate are others than those for real keys.
    """

    def __init__(self, keys: KeyFolder, simulated: bool) -> None:
        self.keys, self.simulated = keys, simulated
        self.path = _path(keys.path, simulated)
        if not self.path.exists():
            self.path.mkdir(mode=0o700)
            sync_folder(keys.path)
        check_private(self.path)
        self.users = Users(self.path / _USERS)

    @property
    def certificate(self) -> Path:
        """Certificate of this KME, PEM."""
        return self.path / 'kme.crt'

    @property
    def private_key(self) -> Path:
        """Private key of this KME, PEM."""
        return self.path / 'kme.key'

    def make_certificate(self, kme_id: str, hostnames: Sequence[str], now: datetime) -> None:
        """Draw key pair and certificate, unless there are any; a certificate for another KME ID is refused.

        Raises
        ------
        StationError
            The certificate names another KME, or cannot be written.
        """
        if not self.certificate.exists():
            self.private_key.unlink(missing_ok=True)  # left over from a crash
            key_pem, certificate_pem = new_server_certificate(self._common_name(kme_id), hostnames, now)
            write_secret(self.private_key, key_pem)
            write_secret(self.certificate, certificate_pem)
        check_private(self.private_key)
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if name.value != self._common_name(kme_id):
            raise StationError(
                f'is the certificate of {name.value!s}, not of {self._common_name(kme_id)}',
                where=self.certificate,
                hint='delete it and its key to have a new one',
            )

    def _common_name(self, kme_id: str) -> str:
        return f'{kme_id} (simulated keys)' if self.simulated else kme_id


def _path(key_folder: Path, simulated: bool) -> Path:
    return key_folder / ('delivery-simulated' if simulated else 'delivery')
