"""TLS of a KME: version 1.3, both sides with a certificate, each certificate trusted by itself."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.users import normalized


def tls_context(certificate: Path, private_key: Path, server: bool) -> ssl.SSLContext:
    """TLS settings that trust nobody yet.

    Parameters
    ----------
    certificate, private_key : Path
        Own ones, PEM.
    server : bool
        True for the side that listens.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate itself is compared
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate is trusted without its issuer
    context.load_cert_chain(certificate, private_key)
    return context


def trust(context: ssl.SSLContext, certificates_pem: Iterable[str]) -> None:
    """Accept further certificates."""
    joined = '\n'.join(certificates_pem)
    if joined:
        context.load_verify_locations(cadata=joined)


def shown_fingerprint(connection: ssl.SSLSocket | ssl.SSLObject | None) -> bytes:
    """SHA-256 of the other side's certificate; of nothing if it showed none."""
    shown = None if connection is None else connection.getpeercert(binary_form=True)
    return hashlib.sha256(shown or b'').digest()


def read_certificate(path: Path) -> str:
    """Certificate in a file, PEM.

    Raises
    ------
    StationError
        Unreadable, or not a certificate.
    """
    try:
        return normalized(path.read_bytes())
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    except StationError as error:
        raise StationError(error.what, where=path) from error
