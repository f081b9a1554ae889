"""Audit of a key that joins several sessions: each of them, and the run in which the key was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qkd_gs.audit import formulas
from qkd_gs.audit.chained_file import Transcript, read_transcript
from qkd_gs.audit.decoding import Undecodable
from qkd_gs.audit.replay import Replayed, read_joined, replay
from qkd_gs.audit.session_audit import NOT_SEEN, Audit, audit_session, figures_of, other_side, seal
from qkd_gs.errors import StationError
from qkd_gs.session.manifest import load_manifest

_NOT_SEEN_HERE = 'how many passes both sides announced within the time for which bits are kept: ask both key stores'
_STEM = 'joined-transcript'


def audit_joined(folders: Sequence[str | Path], other: Path | None = None) -> Audit:
    """Audit sessions that were joined, and their key.

    Parameters
    ----------
    folders : sequence of str or Path
        All sessions that the key joins.
    other : Path, optional
        Transcript of the satellite's side of the run that joined them.

    Raises
    ------
    StationError
        A session cannot be audited, or they were not joined.
    """
    paths = [Path(folder) for folder in folders]
    found, runs = list[str](), dict[str, Replayed]()
    for folder in paths:
        found += [f'{folder.name}: {line}' for line in audit_session(folder).differences]
        manifest = load_manifest(folder)
        about = (manifest.result or {})['key']['transcript']
        runs[manifest.session_id] = replay(read_transcript(folder / Path(about['file']).name), whole=True)
    keys = [(load_manifest(folder).result or {}).get('joined') for folder in paths]
    key = keys[0]
    if not key:
        raise StationError('is not joined with others', where=paths[0])
    if any(one != key for one in keys):
        found.append('the sessions have different joined keys')
    path = next((folder / Path(key['transcript']['file']).name for folder in paths if _has(folder, key)), None)
    if path is None:
        raise StationError(f'none of the sessions has {key["transcript"]["file"]}', where=paths[0])
    transcript = read_transcript(path)
    if sorted(key['sessions']) != sorted(runs):
        found.append(f'the key joins {len(key["sessions"])} other sessions than these {len(runs)}')
        return Audit(False, 0, found, {}, [*NOT_SEEN, _NOT_SEEN_HERE])
    members = [runs[name] for name in key['sessions']]
    found += [f'session {name} does not keep its bits' for name, one in runs.items() if not one.report.get('keep')]
    found += [f'session {name} disclosed parities before' for name, one in runs.items() if one.earlier()]
    secret, checked, more = _key(transcript, members, key)
    found += more + seal(transcript, key['transcript']) + _earlier(path, transcript, members, key)
    found += other_side(path.parent, transcript, other)
    return Audit(not found, secret, found, checked, [*NOT_SEEN, _NOT_SEEN_HERE])


def _has(folder: Path, key: dict[str, Any]) -> bool:
    return (folder / Path(key['transcript']['file']).name).exists()


def _key(transcript: Transcript, members: list[Replayed], key: dict[str, Any]) -> tuple[int, dict[str, Any], list[str]]:
    """Every charge and the length, from the members' counts."""
    found = list[str]()
    try:
        run = read_joined(transcript, members, whole=True)
        found += run.differences
        if run.hello.get('joins') != key['sessions']:
            found.append('the first message joins other sessions')
        if any(one.hello['terms'] != run.hello['terms'] for one in members):
            found.append('the sessions have other terms than the run that joined them')
        if run.report['choices'] < len(members):
            found.append(f'{run.report["choices"]} passes to choose from are fewer than {len(members)}')
        parts = [one.counts() for one in members]
        counts = formulas.Counts(*(sum(getattr(one, name) for one in parts) for name in ('sent', 'sifted', 'errors')))
        joined = formulas.Joined(run.report['choices'], [one.report.get('receiver') for one in members])
        secret, checked, more = figures_of(run, counts, key, joined)
    except (KeyError, TypeError, ValueError, Undecodable) as error:
        return 0, {}, [*found, f'the figures cannot be computed: {error!r}']
    return secret, checked, found + more


def _earlier(path: Path, transcript: Transcript, members: list[Replayed], key: dict[str, Any]) -> list[str]:
    """Whether earlier runs that joined the same disclosed no more than is charged, and used other pre-shared bits."""
    found, asked, answered = list[str](), 0, 0
    run = read_joined(transcript, members, whole=False)
    slots = [one.welcome.get('pre_shared_slot') for one in (*members, run)]
    for other in sorted(path.parent.glob(f'{_STEM}-*.qgt')):
        if other == path:
            continue
        one = read_joined(read_transcript(other), members, whole=False)
        if not one.hello.get('stored_key'):
            asked, answered = asked + one.asked, answered + one.answered
            slots.append(one.welcome.get('pre_shared_slot'))
    used = [slot for slot in slots if slot is not None]
    if len(set(used)) < len(used) and not key['simulated']:
        found.append('two runs use the same pre-shared bits')
    for who, bits, said in (('ground', asked, run.hello), ('satellite', answered, run.welcome)):
        if said and said['disclosed_before'] < bits:
            found.append(f'earlier runs disclosed {bits} bits, the {who} charges {said["disclosed_before"]}')
    return found
