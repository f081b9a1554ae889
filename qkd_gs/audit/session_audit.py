"""Audit of a session: its transcripts replayed, every figure of its key computed again, and compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qkd_gs.audit.chained_file import Transcript, read_transcript
from qkd_gs.audit.earlier_runs import check_earlier_runs
from qkd_gs.audit.figures import figures_of
from qkd_gs.audit.replay import Run, replay
from qkd_gs.errors import StationError
from qkd_gs.session.manifest import FILE_NAME, Manifest, load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.timing.sealed import check_header

NOT_SEEN = (
    'whether the tags are right, and so who said the messages: that needs the pre-shared bits, which are used up',
    'whether session and transcripts were all replaced together: compare the name of the key with the key stores',
    'whether the error counts, the flaws of the receiver and the error rate of the key are true: that needs the tags',
    'whether the parities, hashes and states are those of the key and of the pulses: that needs the key and the log',
    'a run whose transcript was taken away, if neither side says that it disclosed anything',
)
_TERMS = {  # sections of the settings, and what the terms have of them
    'source': ('pulse_rate_hz', 'p_signal', 'p_decoy', 'p_vacuum'),
    'key': ('epsilon_total', 'verification_bits', 'max_qber', 'reconciliation', 'keep', 'keep_days'),
}


@dataclass(frozen=True)
class Audit:
    """Result of an audit.

    Attributes
    ----------
    agrees : bool
    secret_bits : int
        Length of the key as the auditor computes it.
    differences : list of str
        Differences of the session from its transcript; empty if it agrees.
    checked : dict
        Figures that the auditor has computed.
    not_seen : list of str
        Statements that public data cannot prove.
    """

    agrees: bool
    secret_bits: int
    differences: list[str]
    checked: dict[str, Any]
    not_seen: list[str]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def audit_session(folder: str | Path, other: Path | None = None) -> Audit:
    """Replay the transcripts of a session, and compare what follows from them with what the session says.

    Parameters
    ----------
    folder : str or Path
        The session, processed.
    other : Path, optional
        Transcript of the satellite's side; that of a simulated satellite is found in the session.

    Raises
    ------
    StationError
        Not a session, not processed, or without a transcript.

    Examples
    --------
    >>> import qkd_gs
    >>> qkd_gs.audit_session('config')
    Traceback (most recent call last):
    ...
    qkd_gs.errors.StationError: config: is not a session (it has no session.json)
    """
    run, manifest, key = replay_session(Path(folder))
    with run.noting():
        _settings(run, Path(folder), manifest)
    return conclude(run, key, manifest.simulated, other, NOT_SEEN)


def replay_session(folder: Path) -> tuple[Run, Manifest, dict[str, Any]]:
    """The run that made the key of a session, its manifest, and the key in it."""
    manifest = load_manifest(folder)
    key = (manifest.result or {}).get('key')
    if not key:
        raise StationError('is not processed: there is no key to audit', where=folder)
    if not key.get('transcript'):
        raise StationError('has no transcript: it was processed by an older version', where=folder)
    return replay(read_transcript(folder / Path(key['transcript']['file']).name)), manifest, key


def conclude(run: Run, key: dict[str, Any], simulated: bool, other: Path | None, not_seen: tuple[str, ...]) -> Audit:
    """Compare transcripts and figures of a replayed run with what the session says of its key."""
    about, chain, checked = key['transcript'], run.transcript.chain, dict[str, Any]()
    run.check(_heard(run.transcript, other), "no transcript of the satellite's side has the same messages")
    with run.noting():
        number = about['messages']
        sealed = 1 <= number <= len(chain) and chain[number - 1] == about['sha256']
        run.check(sealed, f'the hash after message {number} of {about["file"]} is not the one in {FILE_NAME}')
        check_earlier_runs(run, simulated)
        run.check(run.report, 'the transcript ends before the errors are told')
        checked = figures_of(run, key) if run.report and run.sifted is not None else {}
    return Audit(not run.differences, checked.get('secret_bits', 0), run.differences, checked, list(not_seen))


def _heard(transcript: Transcript, other: Path | None) -> bool:
    """Whether the satellite has heard and said the same; the last messages may be missing at one side."""
    paths = [other] if other else sorted(transcript.path.parent.glob('satellite-transcript-*.qgt'))
    made = next((k for k, one in enumerate(transcript.messages) if one.name == 'AMPLIFIED'), len(transcript.messages))
    same = (one.chain[:made] == transcript.chain[:made] and not one.broken for one in map(read_transcript, paths))
    return not paths or any(same)


def _settings(run: Run, folder: Path, manifest: Manifest) -> None:
    """Check that the terms are the settings of the session, which the tag files seal."""
    station, source = manifest.station, manifest.station.source
    due = {name: getattr(getattr(station, part), name) for part, names in _TERMS.items() for name in names}
    due['intensities'] = {'signal': source.mu_signal, 'decoy': source.mu_decoy, 'vacuum': source.mu_vacuum}
    due['public_pulses'] = source.public_pulses.model_dump() if source.public_pulses else None
    due['tolerance'] = {'intensity': source.mu_tolerance, 'probability': source.p_tolerance}
    terms = run.hello.get('terms', {})
    for name, value in due.items():
        run.check(terms.get(name) == value, f'the terms have {name} {terms.get(name)}, the settings {value}')
    same = run.hello.get('session_id', manifest.session_id) == manifest.session_id
    run.check(same, 'the transcript is of another session')
    for path in tags_paths(folder):
        try:
            check_header(path, bytes.fromhex(manifest.session_id), station.frozen_digest)
        except StationError as error:
            run.differences.append(f'{path.name}: {error.what}')
