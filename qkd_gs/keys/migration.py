"""Contents of stores of older versions.

Version 1 knew neither states nor directions and gave all bits from the front.  Version 2 encrypted each key as a whole.
"""

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
from qkd_gs.keys.entries import KeyRow, KeyStateName, key_head
from qkd_gs.keys.sealed_items import decrypted

_NONCE_BYTES = 12


def keys_of_version_1(
    sql: sqlite3.Connection, master_key: bytes, simulated: bool, path: Path
) -> list[tuple[KeyRow, bytes | None]]:
    """Rows and packed bits of all keys; bits that were handed out are zeros, and marked as given in both directions.

    Raises
    ------
    StationError
        Another master key, or a row that was changed.
    """
    info = b'qkd_gs key store ' + (b'simulated' if simulated else b'real')
    cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=info).derive(master_key))
    columns = 'key_id, session_id, created_utc, length_bits, given_bits, epsilon, result, sealed'
    found: list[tuple[KeyRow, bytes | None]] = []
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


def secrets_of_version_2(
    sql: sqlite3.Connection, wrapping_key: bytes, simulated: bool, path: Path
) -> tuple[list[tuple[KeyRow, bytes | None]], list[tuple[str, bytes]], list[tuple[str, str, bytes]]]:
    """Keys (bits None if they were destroyed), pre-shared bits by key, and held bits by name and source.

    Raises
    ------
    StationError
        Another master key, or a row that was changed.
    """

    def opened(wrapped: bytes, sealed: bytes, head: bytes) -> bytes:
        return decrypted(decrypted(wrapping_key, wrapped, b'row key', path), sealed, head, path)

    keys: list[tuple[KeyRow, bytes | None]] = []
    for *public, wrapped, sealed in sql.execute(
        f'SELECT {", ".join(KeyRow._fields)}, wrapped, sealed FROM keys ORDER BY rowid'
    ):
        row = KeyRow(*public)
        keys.append((row, None if wrapped is None else opened(wrapped, sealed, key_head(row, simulated))))
    tables = {name for (name,) in sql.execute('SELECT name FROM sqlite_master')}
    refills = sql.execute('SELECT key_id, wrapped, sealed FROM refills') if 'refills' in tables else ()
    held = sql.execute('SELECT key_id, source, wrapped, sealed FROM held') if 'held' in tables else ()
    return (
        keys,
        [(key_id, opened(wrapped, sealed, f'refill {key_id}'.encode())) for key_id, wrapped, sealed in refills],
        [
            (key_id, source, opened(wrapped, sealed, f'held {key_id}'.encode()))
            for key_id, source, wrapped, sealed in held
        ],
    )
