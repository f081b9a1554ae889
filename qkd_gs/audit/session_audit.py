"""Audit of a session: its transcripts replayed, every figure of its key computed again, and compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qkd_gs.audit.chained_file import Transcript, read_transcript
from qkd_gs.audit.earlier_runs import earlier_runs
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
_OF_THE_SOURCE = ('pulse_rate_hz', 'p_signal', 'p_decoy', 'p_vacuum')
_OF_THE_KEY = ('epsilon_total', 'verification_bits', 'max_qber', 'reconciliation', 'keep', 'keep_days')


@dataclass(frozen=True)
class Audit:
    """Result of an audit.

    Attributes
    ----------
    agrees : bool
    secret_bits : int
        Length of the key as the auditor computes it.
    differences : list of str
        Where the session is not what its transcript says; empty if it agrees.
    checked : dict
        Figures that the auditor has computed.
    not_seen : list of str
        What cannot be told from public data.
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
    folder = Path(folder)
    manifest = load_manifest(folder)
    key = (manifest.result or {}).get('key')
    if not key:
        raise StationError('is not processed: there is no key to audit', where=folder)
    about = key.get('transcript')
    if not about:
        raise StationError('has no transcript: it was processed by an older version', where=folder)
    transcript = read_transcript(folder / Path(about['file']).name)
    run = replay(transcript)
    found = run.differences + seal(transcript, about) + _settings(folder, manifest, run)
    found += earlier_runs(transcript, run, manifest.simulated) + other_side(transcript, other)
    secret_bits, checked = 0, dict[str, Any]()
    if run.report and run.sifted is not None:
        try:
            secret_bits, checked, more = figures_of(run, run.counts(), key)
        except (KeyError, TypeError, ValueError) as error:
            more = [f'the figures cannot be computed: {error!r}']
        found += more
    elif not found:
        found.append('the transcript ends before the errors are told')
    return Audit(not found, secret_bits, found, checked, list(NOT_SEEN))


def seal(transcript: Transcript, about: dict[str, Any]) -> list[str]:
    """Whether the transcript is the one that the session names."""
    number = about['messages']
    if not 1 <= number <= len(transcript.chain) or transcript.chain[number - 1] != about['sha256']:
        return [f'the hash after message {number} of {about["file"]} is not the one in {FILE_NAME}']
    return []


def _settings(folder: Path, manifest: Manifest, run: Run) -> list[str]:
    """Whether the terms are the settings of the session, which the tag files seal."""
    source, settings = manifest.station.source, manifest.station.key
    due: dict[str, Any] = {name: getattr(source, name) for name in _OF_THE_SOURCE}
    due |= {name: getattr(settings, name) for name in _OF_THE_KEY}
    due['intensities'] = {'signal': source.mu_signal, 'decoy': source.mu_decoy, 'vacuum': source.mu_vacuum}
    due['public_pulses'] = source.public_pulses.model_dump() if source.public_pulses else None
    due['tolerance'] = {'intensity': source.mu_tolerance, 'probability': source.p_tolerance}
    terms = run.hello.get('terms', {})
    found = [
        f'the terms have {name} {terms.get(name)}, the settings {value}'
        for name, value in due.items()
        if terms.get(name) != value
    ]
    if run.hello and run.hello.get('session_id') != manifest.session_id:
        found.append('the transcript is of another session')
    for path in tags_paths(folder):
        try:
            check_header(path, bytes.fromhex(manifest.session_id), manifest.station.frozen_digest)
        except StationError as error:
            found.append(f'{path.name}: {error.what}')
    return found


def other_side(transcript: Transcript, other: Path | None) -> list[str]:
    """Whether the satellite has heard and said the same; the last messages may be missing at one side."""
    paths = [other] if other else sorted(transcript.path.parent.glob('satellite-transcript-*.qgt'))
    names = [message.name for message in transcript.messages]
    made = names.index('AMPLIFIED') if 'AMPLIFIED' in names else len(names)
    sides = [read_transcript(path) for path in paths]
    if not sides or any(one.chain[:made] == transcript.chain[:made] and not one.broken for one in sides):
        return []
    return ["no transcript of the satellite's side has the same messages"]
