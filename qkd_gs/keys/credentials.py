"""Self-signed certificates, for the link and for the server of key delivery."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qkd_gs.errors import StationError

_VALID = timedelta(days=3650)  # pinned by hand at the other sides, so replaced by hand too


def new_certificate(name: str, now: datetime | None = None) -> tuple[bytes, bytes]:
    """Private key and self-signed certificate (PEM) of one side of the link.

    Parameters
    ----------
    name : str
        Common name, for people to read; what counts is the certificate itself, which the other side pins.
    now : datetime, optional
        Start of its validity; the present if not given.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key, now or datetime.now(UTC))
    return _signed(key, builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True))


def new_server_certificate(name: str, hostnames: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """Private key and self-signed certificate (PEM) of a server that is a client of others, too.

    Parameters
    ----------
    name : str
        Common name, cut off after 64 characters.
    hostnames : sequence of str
        Names and addresses under which it is reached.
    now : datetime
    """
    key = ec.generate_private_key(ec.SECP256R1())
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        _builder(name[:64], key, now)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in hostnames]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(authority, critical=False)
    )
    return _signed(key, builder)


def certificate_fingerprint(certificate_pem: bytes) -> str:
    """SHA-256 of a certificate, in pairs of digits for people to compare.

    Raises
    ------
    StationError
        Not a certificate in PEM.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise StationError('is not a certificate in PEM', where='certificate') from error
    return certificate.fingerprint(hashes.SHA256()).hex(':').upper()


def _builder(name: str, key: ec.EllipticCurvePrivateKey, start: datetime) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(start.astimezone(UTC) + _VALID)
    )


def _signed(key: ec.EllipticCurvePrivateKey, builder: x509.CertificateBuilder) -> tuple[bytes, bytes]:
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private_pem, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
