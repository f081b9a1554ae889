"""Self-signed certificates for the link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qkd_gs.errors import StationError

_VALID = timedelta(days=3650)  # pinned by hand on both sides, so replaced by hand too


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
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = now or datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private_pem, certificate.public_bytes(serialization.Encoding.PEM)


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
