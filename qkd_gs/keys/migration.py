"""Keys from a store of version 1, which knew neither states nor directions and gave all bits from the front."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyRow, KeyStateName

_NONCE_BYTES = 12


def keys_of_version_1(
    sql: sqlite3.Connection, master_key: bytes, simulated: bool, path: Path
) -> list[tuple[KeyRow, bytes]]:
    """Rows and packed bits of all keys; bits that were handed out are zeros, and marked as given in both directions.

    Raises
    ------
    StationError
        Another master key, or a row that was changed.
    """
    info = b'qkd_gs key store ' + (b'simulated' if simulated else b'real')
    cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=info).derive(master_key))
    columns = 'key_id, session_id, created_utc, length_bits, given_bits, epsilon, result, sealed'
    found = []
    for key_id, session_id, created, length, given, epsilon, result, sealed in sql.execute(
        f'SELECT {columns} FROM keys ORDER BY rowid'
    ):
        head = json.dumps([key_id, session_id, length, epsilon, simulated]).encode()
        try:
            plain = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], head)
        except InvalidTag as error:
            raise StationError(
                'does not open with the master key of this folder, or was changed', where=path
            ) from error
        bits = np.unpackbits(np.frombuffer(plain, np.uint8))
        bits[:given] = 0
        state = KeyStateName.GIVEN if given == length else KeyStateName.CONFIRMED
        row = KeyRow(key_id, session_id, created, length, epsilon, result, state, given, given)
        found.append((row, np.packbits(bits).tobytes()))
    return found
