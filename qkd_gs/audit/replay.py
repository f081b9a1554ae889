"""Replay of a run from its transcript: order, counts and charges, and what is not as it should be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from qkd_gs.audit import decoding, formulas, public_pulses
from qkd_gs.audit.chained_file import Message, Transcript
from qkd_gs.audit.decoding import Undecodable

_OF_THE_GROUND = set('hlsdepvokmxgj')  # tags: g by the ground, z by the satellite
_TAG_BYTES = 16
_WHOLE = re.compile(r'hwlgLb*zsd*ga*ze(?:(?:(?:pP)*|y)vVokm*gKz|gKz)?(?:xg(?:Xz)?)?')
_KEY_MADE = re.compile(r'hwlgLb*zsd*ga*ze(?:(?:(?:pP)*|y)vVokm*)?')
_JOINED = re.compile(r'hwjgJz(?:(?:pP)*|y)vVokm*gKz(?:xg(?:Xz)?)?')
_JOINED_KEY_MADE = re.compile(r'hwjgJz(?:(?:pP)*|y)vVokm*')


@dataclass
class Replayed:
    """What a run said and disclosed.

    Attributes
    ----------
    differences : list of str
        What is not as it should be.
    hello, welcome, report : dict
        Of the first two messages, and of the errors.
    announced : bytes
        Spans and detections, as they were said.
    sifted : (2, 3) array
        Sifted bits by basis and intensity.
    pulses : int
        Of locked time.
    asked, answered : int
        Bits that the ground asked for and that the satellite gave: parities or syndromes, and hashes.
    """

    differences: list[str] = field(default_factory=list)
    hello: dict[str, Any] = field(default_factory=dict)
    welcome: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    announced: bytes = b''
    sifted: Any = None
    pulses: int = 0
    parities: int = 0
    asked: int = 0
    answered: int = 0
    agreed: list[bool] = field(default_factory=list)
    requested: tuple[int, int] | None = None
    key_id: str = ''

    @property
    def blocks(self) -> list[int]:
        """Sizes of the blocks that are verified one by one: about 100,000 bits each, as equal as possible."""
        total = int(self.sifted[:, 0].sum())
        number = max(1, round(total / 100_000))
        borders = [total * k // number for k in range(number + 1)]
        return [b - a for a, b in pairwise(borders)]

    @property
    def dropped(self) -> int:
        """Bits of the blocks whose hashes differed."""
        return sum(size for size, good in zip(self.blocks, self.agreed, strict=True) if not good)

    def counts(self) -> formulas.Counts:
        """Counts that the bounds start from."""
        terms = self.hello['terms']
        p = np.array([terms['p_signal'], terms['p_decoy'], terms['p_vacuum']])
        errors = [[0, *of_basis] for of_basis in self.report['errors']]
        sent = [[round(self.pulses * share / 4) for share in p.tolist()]] * 2
        return formulas.Counts(np.array(sent, float), self.sifted.astype(float), np.array(errors, float))

    def earlier(self) -> int:
        """Bits that earlier runs disclosed, as both sides say."""
        return int(self.hello['disclosed_before']) + int(self.welcome['disclosed_before'])


def replay(transcript: Transcript, whole: bool) -> Replayed:
    """Go through a run.

    Parameters
    ----------
    transcript : Transcript
    whole : bool
        True: the run made the key; False: it broke, and counts only for what it disclosed.
    """
    found = _ordered(transcript, _WHOLE if whole else None, _KEY_MADE)
    try:
        _read(transcript.messages, found)
    except Undecodable as error:
        found.differences.append(f'a message {error}')
    except (KeyError, TypeError, ValueError, IndexError) as error:
        found.differences.append(f'a message does not hold what it must: {error!r}')
    return found


def read_joined(transcript: Transcript, members: list[Replayed], whole: bool) -> Replayed:
    """Go through a run that makes one key of the kept bits of several sessions.

    Parameters
    ----------
    transcript : Transcript
    members : list of Replayed
        The runs in which these sessions were sifted.
    whole : bool
        As of `replay`.
    """
    found = _ordered(transcript, _JOINED if whole else None, _JOINED_KEY_MADE)
    found.sifted = np.sum([one.sifted for one in members], axis=0)
    by_name = _by_name(transcript.messages)
    try:
        found.hello, found.welcome = _first(by_name, 'HELLO'), _first(by_name, 'WELCOME')
        found.report = _first(by_name, 'JOIN')
        _of_the_key(by_name, found)
    except Undecodable as error:
        found.differences.append(f'a message {error}')
    except (KeyError, TypeError, ValueError, IndexError) as error:
        found.differences.append(f'a message does not hold what it must: {error!r}')
    return found


def _ordered(transcript: Transcript, due: re.Pattern[str] | None, until_key: re.Pattern[str]) -> Replayed:
    """Order and senders of the messages, and the name that they give to the key."""
    found = Replayed()
    if transcript.broken:
        found.differences.append(transcript.broken)
    order = ''.join(message.letter for message in transcript.messages)
    if any((message.letter in _OF_THE_GROUND) != message.ground for message in transcript.messages):
        found.differences.append('a message is said by the wrong side')
    match = until_key.match(order)
    if due and not due.fullmatch(order):
        place = match.end() if match else 0
        found.differences.append(f'the order of the messages is not that of a run, from message {place + 1} on')
    if any(message.name == 'TAG' and len(message.payload) != _TAG_BYTES for message in transcript.messages):
        found.differences.append('a tag has another length than 16 bytes')
    if match:
        found.key_id = transcript.digest(match.end())
    return found


def _by_name(messages: list[Message]) -> dict[str, list[bytes]]:
    by_name: dict[str, list[bytes]] = {}
    for message in messages:
        by_name.setdefault(message.name, []).append(message.payload)
    return by_name


def _first(by_name: dict[str, list[bytes]], name: str) -> dict[str, Any]:
    return decoding.fields(by_name[name][0]) if name in by_name else {}


def _read(messages: list[Message], found: Replayed) -> None:
    """Take the messages by their kinds, and check each kind."""
    by_name = _by_name(messages)

    def first(name: str) -> dict[str, Any]:
        return _first(by_name, name)

    found.hello, found.welcome, found.report = first('HELLO'), first('WELCOME'), first('ERROR_COUNTS')
    head = first('LOG_HEAD')
    rule = found.hello.get('terms', {}).get('public_pulses')
    blocks = sum(
        len(decoding.intensities(block, rule['block'])) if rule else decoding.train_length(block)
        for block in by_name.get('LOG_BLOCK', [])
    )
    if head and blocks != head['pulses']:
        found.differences.append(f'the beacon log has {blocks} pulses, {head["pulses"]} are said')
    if 'SIFT_HEAD' in by_name:
        _sifting(by_name, found, first('LOG_REQUEST'), head, first('SIFT_HEAD'))
    _of_the_key(by_name, found)


def _of_the_key(by_name: dict[str, list[bytes]], found: Replayed) -> None:
    """Pre-shared bits, disclosures, and the request of the key."""
    if found.welcome and found.welcome['pre_shared_slot'] not in found.hello['pre_shared_slots']:
        found.differences.append('the pre-shared bits that are used were not offered')
    _disclosures(by_name, found)
    if 'AMPLIFY' in by_name:
        secret, disclosed, matrix = decoding.key_request(by_name['AMPLIFY'][0])
        matrix += sum(map(len, by_name.get('MATRIX', [])))
        found.requested = secret, disclosed
        kept = sum(found.blocks) - found.dropped
        due = -(-(kept + secret + formulas.TAG_KEY_BITS - 1) // 8) if secret else 0
        if matrix != due:
            found.differences.append(f'the matrix of privacy amplification has {matrix} bytes, not {due}')
    for name in ('AMPLIFIED', 'STORED', 'CONFIRMED'):
        if name in by_name and _first(by_name, name)['key_id'] != found.key_id:
            found.differences.append(f'{name} names another key than the messages before it make')


def _sifting(
    by_name: dict[str, list[bytes]],
    found: Replayed,
    request: dict[str, Any],
    log: dict[str, Any],
    head: dict[str, Any],
) -> None:
    """Announcement and answers."""
    spans = np.array(head['locked'], np.int64).reshape(-1, 2)
    found.announced = b''.join(
        len(part).to_bytes(8, 'big') + part for part in (by_name['SIFT_HEAD'][0], *by_name.get('DETECTIONS', []))
    )
    rule = found.hello['terms'].get('public_pulses')
    found.pulses = int((spans[:, 1] - spans[:, 0] + 1).sum()) - (public_pulses.number(rule, spans) if rule else 0)
    if not len(spans) or (spans[:, 1] < spans[:, 0]).any() or (spans[1:, 0] <= spans[:-1, 1]).any():
        found.differences.append('the spans of locked time are empty, unordered or overlapping')
    period_ns = Fraction(10**9) / Fraction(found.hello['terms']['pulse_rate_hz'])
    for pulse, low, high in ((spans[0, 0], 1, 0), (spans[-1, 1], 0, 1)):
        sent_ns = log['epoch_utc_ns'] + int(pulse) * period_ns
        if (low and sent_ns < request['first_utc_ns'] - 1) or (high and sent_ns > request['last_utc_ns'] + 1):
            found.differences.append('locked time lies outside the beacon log that was asked for')
    found.sifted, last, total = np.zeros((2, 3), np.int64), -1, 0
    answers = by_name.get('SIFT_ANSWER', [])
    for k, payload in enumerate(by_name.get('DETECTIONS', [])):
        pulses, basis = decoding.detections(payload)
        total += len(pulses)
        span = np.searchsorted(spans[:, 0], pulses, side='right') - 1
        if pulses[0] <= last or (span < 0).any() or (pulses > spans[span, 1]).any():
            found.differences.append('detections are out of order or outside locked time')
        if rule and public_pulses.among(rule, pulses).any():
            found.differences.append('public pulses are announced')
        last = int(pulses[-1])
        if k < len(answers):
            match, intensity, _ = decoding.sift_answer(answers[k], len(pulses))
            for b in range(2):
                of_basis = intensity[basis[match.astype(bool)] == b]
                found.sifted[b] += np.bincount(of_basis, minlength=3)
    if total != head['detections']:
        found.differences.append(f'{total} detections are announced, {head["detections"]} are said')
    if answers and len(answers) != len(by_name.get('DETECTIONS', [])):
        found.differences.append('not every block of detections has one answer')


def _disclosures(by_name: dict[str, list[bytes]], found: Replayed) -> None:
    """Bits of the key that were asked for, and that were given."""
    asked = [decoding.queries(payload) for payload in by_name.get('PARITY_REQUEST', [])]
    answers = by_name.get('PARITY_ANSWER', [])
    if any(len(answer) != -(-number // 8) for number, answer in zip(asked, answers, strict=False)):
        found.differences.append('an answer has another number of parities than were asked for')
    syndromes = 8 * sum(map(len, by_name.get('SYNDROMES', [])))
    found.parities = sum(asked) + syndromes
    found.asked, found.answered = found.parities, sum(asked[: len(answers)]) + syndromes
    if 'VERIFY_REQUEST' not in by_name:
        return
    size, blocks = found.hello['terms']['verification_bits'], len(found.blocks)
    found.asked += blocks * (size + 1)
    if 'VERIFY_ANSWER' in by_name:
        found.answered += blocks * (size + 1)
        if len(by_name['VERIFY_ANSWER'][0]) != blocks * -(-size // 8):
            found.differences.append(f'the hashes are not those of {blocks} blocks')
    if 'VERIFY_OUTCOME' in by_name:
        found.agreed = decoding.bits(by_name['VERIFY_OUTCOME'][0], blocks).astype(bool).tolist()
