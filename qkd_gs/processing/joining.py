"""Several sessions whose sifted bits are kept, made into one key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyStateName
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.store import KeyStore
from qkd_gs.processing.agreement import agreed_terms, pre_shared_of, public_random
from qkd_gs.processing.session_run import Progress
from qkd_gs.processing.stored_keys import Link, confirm_stored, confirming
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.ground_join import GroundJoin, check_gain, counts_together
from qkd_gs.qkd.protocol.kept_bits import KeptPass, joined_session, not_kept
from qkd_gs.session.manifest import Manifest, load_manifest, update_manifest

TRANSCRIPT = 'joined-transcript'
_OF_ONE_PASS = ('window_bits', 'bin_s', 'error_bins', 'kept')


def join_sessions(folders: Sequence[Path], keys: KeyFolder, link: Link, progress: Progress) -> dict[str, Any]:
    """Make one key of the kept bits of sessions and store it; doing so again returns what is stored.

    Parameters
    ----------
    folders : sequence of Path
        The sessions; the transcript is written into the first.
    keys : KeyFolder
    link : callable
        Opens a channel to the satellite's side, of the first session if they are simulated.
    progress : callable
        Told the name of each step and how much of it is done.

    Returns
    -------
    dict
        The part ``joined`` of the result of each session.

    Raises
    ------
    StationError
        The sessions do not fit together, are not kept, or give no more together than each alone; nothing was disclosed.
    DeviceFault
        The link to the satellite failed; the same sessions can be joined again.
    """
    manifests = _that_fit([load_manifest(folder) for folder in folders])
    terms, folder, first = agreed_terms(manifests[0]), folders[0], manifests[0]
    session_id = joined_session([one.session_id for one in manifests])
    with keys.store(first.simulated) as store:
        stored = store.entry(session_id)
        if stored is not None:
            if stored.state is KeyStateName.PENDING:
                confirm_stored(store, stored, first, keys, link, folder)
            return _finished(folders, dict(stored.result))
        store.drop_old_kept(terms.keep_ns)
        passes = [_kept(store, one) for one in manifests]
        check_gain(terms, passes, counts_together(terms, store, passes))  # before anything is said
        pre_shared = pre_shared_of(keys, first, store)
        with TranscriptFile(folder, TRANSCRIPT) as transcript, link() as channel:
            session = GroundJoin(
                channel,
                terms,
                passes,
                pre_shared,
                store,
                random_bytes=public_random(first),
                progress=progress,
                transcript=transcript,
            )
            made = session.make_joined_key()
            result = {name: value for name, value in made.figures().items() if name not in _OF_ONE_PASS} | {
                'sessions': [one.session_id for one in sorted(passes, key=lambda one: one.last_ns)],
                'simulated': first.simulated,
                'transcript': transcript.seal(),
            }
            store.put(session_id, made.key_id, made.key, made.epsilon, result, made.refill)
            made.key.wipe()
            made.refill.wipe()
            with confirming(first):
                session.confirm()
                store.confirm(session_id, made.key_id)
    return _finished(folders, result)


def _that_fit(manifests: list[Manifest]) -> list[Manifest]:
    first = manifests[0]
    if len({one.session_id for one in manifests}) < len(manifests):
        raise StationError('a session is given twice', where='--join')
    for one in manifests[1:]:
        for name in ('satellite', 'place', 'simulated'):
            if getattr(one, name) != getattr(first, name):
                raise StationError(
                    f'is of another {name} than session {first.session_id}', where=f'session {one.session_id}'
                )
        if agreed_terms(one) != agreed_terms(first):
            raise StationError(
                f'was taken with other settings than session {first.session_id}', where=f'session {one.session_id}'
            )
    return manifests


def _kept(store: KeyStore, manifest: Manifest) -> KeptPass:
    """Record of a session at both sides."""
    found, entry = store.kept(manifest.session_id), store.entry(manifest.session_id)
    if found is None or entry is None:
        raise not_kept(manifest.session_id)
    if entry.state is KeyStateName.PENDING:
        raise StationError(
            'the satellite has not said that it keeps its bits, too',
            where=f'session {manifest.session_id}',
            hint='process the session again',
        )
    return found


def _finished(folders: Sequence[Path], joined: dict[str, Any]) -> dict[str, Any]:
    """Put the result into the manifest of each session."""
    for folder in folders:
        update_manifest(folder, lambda manifest: {'result': (manifest.result or {}) | {'joined': joined}})
    return joined
