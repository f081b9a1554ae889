"""The sealed tag file: the detector process can write it and not read it back.

Layout (little-endian)::

    header   8s magic 'QKDGSTAG' | u16 version | 16s session id | i64 UTC of the run's start, ns
             | 32s ephemeral X25519 public key | 1088s ciphertext of ML-KEM-768 | 8s recipient
             | 32s digest of the frozen settings
    chunk    u32 length | u8 last | ciphertext with its 16-byte tag      ... repeated, about two a second

A file holds one run of the TDC: its tags count from a start of their own.  A fresh secret is shared
with the session's public key for each file (`qkd_gs.timing.sealed.hybrid`); it gives the first chunk
key (HKDF-SHA256), and each chunk's key is hashed into the next and forgotten, so that even the memory of the
writing process opens nothing that is already on disk.  A chunk is AES-256-GCM; its number, the header and the
mark of the last chunk are authenticated with it, so calibration, gate and source cannot be changed behind the tags
(`StationSettings.frozen_digest`).  Inside is one unsigned 64-bit word a tag:
``time_ps << 3 | channel``.
"""

from qkd_gs.timing.sealed.layout import fingerprint
from qkd_gs.timing.sealed.reader import SealedFile, check_header, has_end
from qkd_gs.timing.sealed.writer import SealedWriter

__all__ = ['SealedFile', 'SealedWriter', 'check_header', 'fingerprint', 'has_end']
