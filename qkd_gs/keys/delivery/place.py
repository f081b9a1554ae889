"""Where a key folder keeps what key delivery needs, and the certificate of the KME."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.users import Users
from qkd_gs.keys.files import check_private, sync_folder, write_secret
from qkd_gs.keys.folder import KeyFolder

_VALID = timedelta(days=3650)  # registered by hand at the clients, so replaced by hand too


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
        self.path = keys.path / ('delivery-simulated' if simulated else 'delivery')
        if not self.path.exists():
            self.path.mkdir(mode=0o700)
            sync_folder(keys.path)
        check_private(self.path)
        self.users = Users(self.path / 'users.json')

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
            key_pem, certificate_pem = _new_certificate(self._common_name(kme_id), hostnames, now)
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


def _new_certificate(name: str, hostnames: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """Private key and self-signed certificate (PEM) for the server and the link to other KMEs."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now.astimezone(UTC) + _VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in hostnames]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(authority, critical=False)
        .sign(key, hashes.SHA256())
    )
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private_pem, certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
