"""Audit of a key that joins several sessions: each of them, and the run in which the key was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qkd_gs.audit.chained_file import read_transcript
from qkd_gs.audit.replay import replay
from qkd_gs.audit.session_audit import NOT_SEEN, Audit, audit_session, conclude, replay_session
from qkd_gs.errors import StationError

_HERE = 'how many passes both sides announced within the time for which bits are kept: ask both key stores'


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
    found = [f'{path.name}: {line}' for path in paths for line in audit_session(path).differences]
    sessions = [replay_session(path)[:2] for path in paths]
    runs = {manifest.session_id: run for run, manifest in sessions}
    key, *others = [(manifest.result or {}).get('joined') for _, manifest in sessions]
    if not key:
        raise StationError('is not joined with others', where=paths[0])
    files = [path / Path(key['transcript']['file']).name for path in paths]
    transcript = read_transcript(next((file for file in files if file.exists()), files[0]))
    if sorted(key['sessions']) != sorted(runs):
        found.append(f'the key joins {len(key["sessions"])} other sessions than these {len(runs)}')
        return Audit(False, 0, found, {}, [*NOT_SEEN, _HERE])
    members = [runs[name] for name in key['sessions']]
    run = replay(transcript, members)
    run.differences += found
    run.check(all(one == key for one in others), 'the sessions have different joined keys')
    return conclude(run, key, key['simulated'], other, (*NOT_SEEN, _HERE))
