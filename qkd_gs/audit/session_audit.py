"""Audit of a session: its transcripts replayed, every figure of its key computed again, and compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor, isclose
from pathlib import Path
from typing import Any

from qkd_gs.audit import formulas
from qkd_gs.audit.chained_file import Transcript, read_transcript
from qkd_gs.audit.replay import Replayed, replay
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
_ROUNDING = 1e-6  # bits: that two computations of one formula may differ by


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
    run = replay(transcript, whole=True)
    found = list(run.differences)
    found += seal(transcript, about) + _settings(folder, manifest, run)
    found += _earlier(folder, transcript, run, manifest.simulated) + other_side(folder, transcript, other)
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


def _settings(folder: Path, manifest: Manifest, run: Replayed) -> list[str]:
    """Whether the terms are the settings of the session, which the tag files seal."""
    found = []
    source, settings = manifest.station.source, manifest.station.key
    due: dict[str, Any] = {name: getattr(source, name) for name in _OF_THE_SOURCE}
    due |= {name: getattr(settings, name) for name in _OF_THE_KEY}
    due['intensities'] = {'signal': source.mu_signal, 'decoy': source.mu_decoy, 'vacuum': source.mu_vacuum}
    due['public_pulses'] = source.public_pulses.model_dump() if source.public_pulses else None
    due['tolerance'] = {'intensity': source.mu_tolerance, 'probability': source.p_tolerance}
    terms = run.hello.get('terms', {})
    for name, value in due.items():
        if terms.get(name) != value:
            found.append(f'the terms have {name} {terms.get(name)}, the settings {value}')
    if run.hello and run.hello.get('session_id') != manifest.session_id:
        found.append('the transcript is of another session')
    for path in tags_paths(folder):
        try:
            check_header(path, bytes.fromhex(manifest.session_id), manifest.station.frozen_digest)
        except StationError as error:
            found.append(f'{path.name}: {error.what}')
    return found


def _earlier(folder: Path, transcript: Transcript, run: Replayed, simulated: bool) -> list[str]:
    """Whether earlier runs announced the same, used other pre-shared bits, and disclosed no more than is charged.

    Those of a simulated session are public, and used again.
    """
    found, asked, answered = [], 0, 0
    slots = {run.welcome.get('pre_shared_slot')}
    for path in sorted(folder.glob('transcript-*.qgt')):
        if path == transcript.path:
            continue
        one = replay(read_transcript(path), whole=False)
        if one.hello.get('stored_key'):
            continue
        asked, answered = asked + one.asked, answered + one.answered
        if one.announced and run.announced and one.announced != run.announced:
            found.append(f'{path.name} announces other detections, bases or locked time')
        slot = one.welcome.get('pre_shared_slot')
        if slot is not None and slot in slots and not simulated:
            found.append(f'{path.name} uses the same pre-shared bits as another run')
        slots.add(slot)
    for who, bits, said in (('ground', asked, run.hello), ('satellite', answered, run.welcome)):
        if said and said['disclosed_before'] < bits:
            found.append(f'earlier runs disclosed {bits} bits, the {who} charges {said["disclosed_before"]}')
    return found


def other_side(folder: Path, transcript: Transcript, other: Path | None) -> list[str]:
    """Whether the satellite has heard and said the same; the last messages may be missing at one side."""
    paths = [other] if other else sorted(folder.glob('satellite-transcript-*.qgt'))
    if not paths:
        return []
    sides = [read_transcript(path) for path in paths]
    made = transcript.names().index('AMPLIFIED') if 'AMPLIFIED' in transcript.names() else len(transcript.chain)
    if any(one.chain[:made] == transcript.chain[:made] and not one.broken for one in sides):
        return []
    return ["no transcript of the satellite's side has the same messages"]


def figures_of(
    run: Replayed, counts: formulas.Counts, key: dict[str, Any], joined: formulas.Joined | None = None
) -> tuple[int, dict[str, Any], list[str]]:
    """Every count, charge and length of the key, against those of the session."""
    terms, given_up = run.hello['terms'], bool(run.report.get('reason'))
    blocks = [] if given_up else run.blocks
    one_way = terms['reconciliation'] == 'ldpc'
    disclosed = key['disclosed_bits'] if one_way else run.parities  # syndromes are told in whole bytes
    dropped = 0 if given_up else run.dropped
    length, epsilon = formulas.key_bits(
        counts, terms, run.report.get('receiver'), blocks, disclosed + dropped + run.earlier(), joined
    )
    secret = 0 if given_up else floor(max(0.0, length) + _ROUNDING)
    qber = counts.expected_error(terms['intensities']['signal'], terms['intensities']['decoy'])
    figures = {
        'sifted_bits': int(run.sifted[:, 0].sum()),
        'disclosed_bits': disclosed,
        'disclosed_before': run.earlier(),
        'blocks': len(blocks),
        'failed_blocks': 0 if given_up else run.agreed.count(False),
        'pre_shared_bits': formulas.TAG_KEY_BITS,
        'key_id': run.key_id,
        'epsilon': epsilon,
        'secret_bits': secret,
    } | ({} if joined else {'kept': bool(run.report.get('keep'))})
    if figures.get('kept') and (terms['keep'] == 'never' or run.earlier()):
        figures['kept'] = False  # parities were disclosed, or nobody wants it
    found = [
        f'{name} is {key.get(name)} in the session, {value} by the transcript'
        for name, value in figures.items()
        if not _same(key.get(name), value)
    ]
    near_border = length > 0 and abs(length - round(length)) < _ROUNDING
    if not given_up and run.requested is not None and run.requested[0] != secret and not near_border:
        found.append(f'{run.requested[0]} bits were requested, the counts allow {secret}')
    if run.requested is not None and run.requested[1] != disclosed:
        found.append(f'{disclosed} bits were disclosed, the request says {run.requested[1]}')
    if one_way and not given_up and -(-disclosed // 8) * 8 != run.parities:
        found.append(f'{run.parities} bits of syndromes do not hold {disclosed}')
    if not isclose(run.report['qber'], qber, rel_tol=1e-9, abs_tol=1e-12):
        found.append(f'the error rate is said to be {run.report["qber"]}, the decoys tell {qber}')
    if not given_up and qber > terms['max_qber']:
        found.append(f'the error rate {qber:.3f} is over the limit of {terms["max_qber"]}')
    return secret, figures, found + _tables(counts, key)


def _tables(counts: formulas.Counts, key: dict[str, Any]) -> list[str]:
    """The tables of counts and of failure probabilities."""
    found = []
    for b, basis in enumerate(('hv', 'da')):
        for k, name in enumerate(('signal', 'decoy', 'vacuum')):
            said = key['counts'][basis][name]
            due = {'sent': counts.sent[b, k], 'sifted': counts.sifted[b, k]} | (
                {'errors': counts.errors[b, k]} if k else {}
            )
            found += [
                f'counts of {basis} {name}: {part} is {said[part]} in the session, {value:.0f} by the transcript'
                for part, value in due.items()
                if said[part] != value
            ]
    total = sum(key['epsilon_ledger'].values())
    if not isclose(total, key['epsilon'], rel_tol=1e-9):
        found.append(f'the ledger adds up to {total}, the session says {key["epsilon"]}')
    cost = dict(key['cost'])
    secret = cost.pop('secret_bits')
    if abs(sum(cost.values()) - secret) > 1e-3 or secret != key['secret_bits']:
        found.append(f'the costs add up to {sum(cost.values()):.3f} bits, the session says {key["secret_bits"]}')
    return found


def _same(said: Any, due: Any) -> bool:
    if isinstance(due, float):
        return isinstance(said, (int, float)) and isclose(said, due, rel_tol=1e-6)
    return bool(said == due)
