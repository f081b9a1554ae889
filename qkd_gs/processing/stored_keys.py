"""The key of a session that is in the store already: confirmed again, and what was needed to make it destroyed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.entries import KeyEntry, Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.store import KeyStore
from qkd_gs.processing.agreement import agreed_terms, pre_shared_of
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.confirmation import confirm_again
from qkd_gs.session.manifest import Manifest

_log = logging.getLogger(__name__)

Link = Callable[[], AbstractContextManager[Channel]]


def check_never_simulated(keys: KeyFolder, manifest: Manifest) -> None:
    """Refuse a real session that a run took for a simulated one: what that disclosed is in no real account."""
    if manifest.simulated or Side.GROUND not in keys.sides(simulated=True):
        return
    with keys.store(simulated=True) as store:
        if store.has_announced(manifest.session_id):
            raise StationError('was processed as a simulated session', where=f'session {manifest.session_id}')


def confirm_stored(
    store: KeyStore, stored: KeyEntry, manifest: Manifest, keys: KeyFolder, link: Link, folder: Path
) -> None:
    """Confirm a key whose confirmation was lost when it was made."""
    with confirming(manifest), TranscriptFile(folder) as transcript, link() as channel:
        pre_shared = pre_shared_of(keys, manifest, store)
        confirm_again(channel, agreed_terms(manifest), stored.session_id, stored.key_id, pre_shared, transcript)
        store.confirm(stored.session_id, stored.key_id)


def destroy_session_key(keys: KeyFolder, manifest: Manifest, secret_bits: int, kept: bool) -> None:
    """Destroy the key to the tags of a real session once they are made into a key, or its sifted bits are kept.

    The tags of a simulated session are no secret.
    """
    if (secret_bits or kept) and not manifest.simulated:
        keys.destroy_session_key(manifest.session_id)


@contextmanager
def confirming(manifest: Manifest) -> Iterator[None]:
    """Context in which a failed confirmation is a warning: the key is stored, and waits for the next processing."""
    try:
        yield
    except DeviceFault as fault:
        _log.warning(
            'session %s: the satellite has not confirmed the key (%s); it is not handed out until the session is'
            ' processed again',
            manifest.session_id,
            fault,
        )
