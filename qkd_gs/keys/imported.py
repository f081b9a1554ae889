"""Record of the tag file of each imported session: the same photons make one key, whatever is said about them."""

from __future__ import annotations

import json
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.files import read_secret, write_secret
from qkd_gs.keys.store import KeyStore

_FILE = 'imported.json'
_ALL_BITS = 1 << 40  # more than any session has


def register_import(folder: Path, store: KeyStore, digest: str, session_id: str) -> None:
    """Record that a session comes from a tag file, before its tags are sealed.

    A session that was imported from the same file with another map can make no key any more, and what it has
    disclosed counts for this one.

    Parameters
    ----------
    folder : Path
        The key folder.
    digest : str
        SHA-256 of the tag file.

    Raises
    ------
    StationError
        The photons of this file were made into a key already.
    """
    path = folder / _FILE
    known: dict[str, list[str]] = json.loads(read_secret(path)) if path.exists() else {}
    before = [one for one in known.get(digest, []) if one != session_id]
    for one in before:
        entry = store.entry(one)
        if entry is not None and entry.length_bits:
            raise StationError(
                f'was made into a key already, as session {one}', where='tags', hint='the key store has that key'
            )
    disclosed = [bits for one in before if (bits := store.disclosed_before(one)) < _ALL_BITS]
    if disclosed:
        store.record_leakage(session_id, max(sum(disclosed), store.disclosed_before(session_id)))
    for one in before:
        store.record_leakage(one, _ALL_BITS)
    known[digest] = [*before, session_id]
    write_secret(path, json.dumps(known, indent=1).encode(), replace=True)
