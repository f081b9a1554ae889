"""Audit of a key that joins several sessions: each of them, and the run in which the key was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qkd_gs.audit import formulas
from qkd_gs.audit.chained_file import Transcript, read_transcript
from qkd_gs.audit.decoding import Undecodable
from qkd_gs.audit.earlier_runs import earlier_runs
from qkd_gs.audit.figures import figures_of
from qkd_gs.audit.replay import Run, replay
from qkd_gs.audit.session_audit import NOT_SEEN, Audit, audit_session, other_side, seal
from qkd_gs.errors import StationError
from qkd_gs.session.manifest import load_manifest

_NOT_SEEN_HERE = 'how many passes both sides announced within the time for which bits are kept: ask both key stores'


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
    found, runs = list[str](), dict[str, Run]()
    for folder in paths:
        found += [f'{folder.name}: {line}' for line in audit_session(folder).differences]
        manifest = load_manifest(folder)
        about = (manifest.result or {})['key']['transcript']
        runs[manifest.session_id] = replay(read_transcript(folder / Path(about['file']).name))
    keys = [(load_manifest(folder).result or {}).get('joined') for folder in paths]
    key = keys[0]
    if not key:
        raise StationError('is not joined with others', where=paths[0])
    if any(one != key for one in keys):
        found.append('the sessions have different joined keys')
    file = Path(key['transcript']['file']).name
    holders = [folder for folder in paths if (folder / file).exists()]
    if not holders:
        raise StationError(f'none of the sessions has {file}', where=paths[0])
    not_seen = [*NOT_SEEN, _NOT_SEEN_HERE]
    if sorted(key['sessions']) != sorted(runs):
        found.append(f'the key joins {len(key["sessions"])} other sessions than these {len(runs)}')
        return Audit(False, 0, found, {}, not_seen)
    found += [f'session {name} does not keep its bits' for name, one in runs.items() if not one.report.get('keep')]
    found += [f'session {name} disclosed parities before' for name, one in runs.items() if one.earlier()]
    members, transcript = [runs[name] for name in key['sessions']], read_transcript(holders[0] / file)
    secret, checked, more = _key(transcript, members, key)
    found += more + seal(transcript, key['transcript']) + other_side(transcript, other)
    return Audit(not found, secret, found, checked, not_seen)


def _key(transcript: Transcript, members: list[Run], key: dict[str, Any]) -> tuple[int, dict[str, Any], list[str]]:
    """Every charge and the length, from the members' counts."""
    run = replay(transcript, members)
    try:
        run.check(run.hello['joins'] == key['sessions'], 'the first message joins other sessions')
        same = all(one.hello['terms'] == run.hello['terms'] for one in members)
        run.check(same, 'the sessions have other terms than the run that joined them')
        choices = run.report['choices']
        run.check(choices >= len(members), f'{choices} passes to choose from are fewer than {len(members)}')
        parts = [one.counts() for one in members]
        counts = formulas.Counts(*(sum(getattr(one, name) for one in parts) for name in ('sent', 'sifted', 'errors')))
        joined = formulas.Joined(choices, [one.report.get('receiver') for one in members])
        secret, checked, more = figures_of(run, counts, key, joined)
        more += earlier_runs(transcript, run, key['simulated'], members)
    except (KeyError, TypeError, ValueError, Undecodable) as error:
        return 0, {}, [*run.differences, f'the figures cannot be computed: {error!r}']
    return secret, checked, run.differences + more
