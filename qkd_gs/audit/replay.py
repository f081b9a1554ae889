"""Replay of a run from its transcript: order, counts and charges, and what is not as it should be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from qkd_gs.audit import decoding, formulas, public_pulses
from qkd_gs.audit.chained_file import Transcript
from qkd_gs.audit.decoding import Undecodable

_OF_THE_GROUND = set('hlsdepvokmxjgq')
_TAG_BYTES = 16
_SIFTED, _CLAIMED = 'hwlgLb*zsd*ga*ze', 'hwjgJz'  # of a session, and of a run that joins some
_RECONCILED = '(?:(?:pP)*|y)vVo(?:qQ)?km*'
_STORED = '(?:xg(?:Xz)?)?'


@dataclass
class Run:
    """What a run said and disclosed.

    Attributes
    ----------
    payloads : dict
        Of the messages, by name.
    differences : list of str
        What is not as it should be.
    hello, welcome, report : dict
        Of the first two messages, and of the one that begins reconciliation.
    announced : list of bytes
        Spans and detections, as they were said.
    sifted : (2, 3) array
        Sifted bits by basis and intensity.
    pulses : int
        Of locked time.
    parities : int
        Bits of parities, or of syndromes in whole bytes.
    asked, answered : dict
        Bits that the ground asked for and that the satellite gave, by a hash of all that was said before.
    hashes : (int, int)
        Bits of hashes that they are charged for.
    repeated : list of int
        Bits of earlier runs that ground and satellite do not charge, since they said them again.
    """

    payloads: dict[str, list[bytes]]
    differences: list[str] = field(default_factory=list)
    hello: dict[str, Any] = field(default_factory=dict)
    welcome: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    announced: list[bytes] = field(default_factory=list)
    sifted: Any = None
    pulses: int = 0
    parities: int = 0
    asked: dict[bytes, int] = field(default_factory=dict)
    answered: dict[bytes, int] = field(default_factory=dict)
    hashes: tuple[int, int] = (0, 0)
    repeated: list[int] = field(default_factory=lambda: [0, 0])
    agreed: list[bool] = field(default_factory=list)
    requested: tuple[int, int] | None = None
    key_id: str = ''

    def check(self, holds: bool, otherwise: str) -> None:
        """Note what is not as it should be."""
        if not holds:
            self.differences.append(otherwise)

    def said(self, name: str) -> list[bytes]:
        """Payloads of the messages of a name."""
        return self.payloads.get(name, [])

    def first(self, name: str) -> dict[str, Any]:
        """Fields of the first message of a name; none if there is no such message."""
        return decoding.fields(self.said(name)[0]) if self.said(name) else {}

    @property
    def blocks(self) -> list[int]:
        """Sizes of the blocks that are verified one by one: about 100,000 bits each, as equal as possible."""
        total = int(self.sifted[:, 0].sum())
        number = max(1, round(total / 100_000))
        return [b - a for a, b in pairwise(total * k // number for k in range(number + 1))]

    @property
    def dropped(self) -> int:
        """Bits of the blocks whose hashes differed."""
        return sum(size for size, good in zip(self.blocks, self.agreed, strict=True) if not good)

    def counts(self) -> formulas.Counts:
        """Counts that the bounds start from."""
        shares = [self.hello['terms'][name] for name in ('p_signal', 'p_decoy', 'p_vacuum')]
        errors = [[0, *of_basis] for of_basis in self.report['errors']]
        sent = [[round(self.pulses * share / 4) for share in shares]] * 2
        return formulas.Counts(np.array(sent, float), self.sifted.astype(float), np.array(errors, float))

    def earlier(self) -> int:
        """Bits of earlier runs that are charged."""
        both = int(self.hello['disclosed_before']) + int(self.welcome['disclosed_before'])
        return both - sum(self.repeated)


def replay(transcript: Transcript, members: Sequence[Run] = (), whole: bool = True) -> Run:
    """Go through a run.

    Parameters
    ----------
    transcript : Transcript
    members : sequence of Run
        Of a run that makes one key of several sessions: the runs in which these were sifted.
    whole : bool
        True: the run made the key; False: it broke, and counts only for what it disclosed.
    """
    payloads: dict[str, list[bytes]] = {}
    for message in transcript.messages:
        payloads.setdefault(message.name, []).append(message.payload)
    run = Run(payloads)
    run.check(not transcript.broken, transcript.broken)
    _order(run, transcript, bool(members), whole)
    try:
        run.hello, run.welcome = run.first('HELLO'), run.first('WELCOME')
        if members:
            run.report = run.first('JOIN')
            run.sifted = np.sum([one.sifted for one in members], axis=0)
        else:
            run.report = run.first('ERROR_COUNTS')
            _log(run)
            if run.said('SIFT_HEAD'):
                _announcement(run)
                _answers(run)
        _disclosures(run)
        _key(run)
    except Undecodable as error:
        run.differences.append(f'a message {error}')
    except (KeyError, TypeError, ValueError, IndexError) as error:
        run.differences.append(f'a message does not hold what it must: {error!r}')
    return run


def _order(run: Run, transcript: Transcript, joins: bool, whole: bool) -> None:
    """Order, senders and tags of the messages, and the name that they give to the key."""
    order = ''.join(message.letter for message in transcript.messages)
    start, often = (_CLAIMED, '') if joins else (_SIFTED, '?')
    until_key = re.match(f'{start}(?:{_RECONCILED}){often}', order)
    due = f'{start}(?:(?:{_RECONCILED}){often}gKz){often}{_STORED}'
    place = until_key.end() if until_key else 0
    run.check(
        not whole or re.fullmatch(due, order) is not None,
        f'the order of the messages is not that of a run, from message {place + 1} on',
    )
    right = all((message.letter in _OF_THE_GROUND) == message.ground for message in transcript.messages)
    run.check(right, 'a message is said by the wrong side')
    run.check(all(len(tag) == _TAG_BYTES for tag in run.said('TAG')), 'a tag has another length than 16 bytes')
    run.key_id = transcript.digest(place) if place else ''


def _log(run: Run) -> None:
    """Length of the beacon's log."""
    head, rule = run.first('LOG_HEAD'), _rule(run)
    blocks = run.said('LOG_BLOCK')
    pulses = sum(
        len(decoding.intensities(one, rule['block'])) if rule else decoding.train_length(one) for one in blocks
    )
    run.check(
        not head or pulses == head['pulses'], f'the beacon log has {pulses} pulses, {head.get("pulses")} are said'
    )


def _announcement(run: Run) -> None:
    """Locked time, and detections within it."""
    head, request, log, rule = run.first('SIFT_HEAD'), run.first('LOG_REQUEST'), run.first('LOG_HEAD'), _rule(run)
    spans = np.array(head['locked'], np.int64).reshape(-1, 2)
    run.announced = run.said('SIFT_HEAD') + run.said('DETECTIONS')
    run.pulses = int((spans[:, 1] - spans[:, 0] + 1).sum()) - (public_pulses.number(rule, spans) if rule else 0)
    sound = len(spans) and (spans[:, 1] >= spans[:, 0]).all() and (spans[1:, 0] > spans[:-1, 1]).all()
    run.check(bool(sound), 'the spans of locked time are empty, unordered or overlapping')
    period_ns = Fraction(10**9) / Fraction(run.hello['terms']['pulse_rate_hz'])
    first_ns, last_ns = (log['epoch_utc_ns'] + int(pulse) * period_ns for pulse in (spans[0, 0], spans[-1, 1]))
    inside = first_ns >= request['first_utc_ns'] - 1 and last_ns <= request['last_utc_ns'] + 1
    run.check(inside, 'locked time lies outside the beacon log that was asked for')
    last, total = -1, 0
    for payload in run.said('DETECTIONS'):
        pulses, _ = decoding.detections(payload)
        span = np.searchsorted(spans[:, 0], pulses, side='right') - 1
        inside = pulses[0] > last and (span >= 0).all() and (pulses <= spans[span, 1]).all()
        run.check(bool(inside), 'detections are out of order or outside locked time')
        run.check(not (rule and public_pulses.among(rule, pulses).any()), 'public pulses are announced')
        last, total = int(pulses[-1]), total + len(pulses)
    run.check(total == head['detections'], f'{total} detections are announced, {head["detections"]} are said')


def _answers(run: Run) -> None:
    """Sifted bits by basis and intensity, as the satellite's answers tell."""
    run.sifted = np.zeros((2, 3), np.int64)
    announced, answers = run.said('DETECTIONS'), run.said('SIFT_ANSWER')
    run.check(len(answers) in (0, len(announced)), 'not every block of detections has one answer')
    for block, answer in zip(announced, answers, strict=False):
        _, basis = decoding.detections(block)
        match, intensity = decoding.sift_answer(answer, len(basis))
        np.add.at(run.sifted, (basis[match.astype(bool)], intensity), 1)


def _disclosures(run: Run) -> None:
    """Bits of the key that were asked for, and that were given."""
    queries, answers, syndromes = run.said('PARITY_REQUEST'), run.said('PARITY_ANSWER'), run.said('SYNDROMES')
    name = sha256(b''.join(run.said('ERROR_COUNTS') + run.said('JOIN'))).digest()
    if run.report and run.hello['terms']['reconciliation'] == 'ldpc' and not run.report.get('reason'):
        run.asked[name] = 8 * sum(map(len, syndromes))
        run.answered = dict(run.asked)
    for query, answer in zip_longest(queries, answers):
        name = sha256(name + query).digest()
        run.asked[name] = number = decoding.queries(query)
        if answer is not None:
            fits = len(answer) == -(-number // 8)
            run.check(fits, 'an answer has another number of parities than were asked for')
            run.answered[name] = number if fits else 0  # what the satellite was asked for is not known
            name = sha256(name + answer).digest()
    run.parities = sum(run.asked.values())
    if run.said('VERIFY_REQUEST'):
        size, blocks = run.hello['terms']['verification_bits'], len(run.blocks)
        bits = blocks * (size + 1)
        run.hashes = bits, bits if run.said('VERIFY_ANSWER') else 0
        right = all(len(digests) == blocks * -(-size // 8) for digests in run.said('VERIFY_ANSWER'))
        run.check(right, f'the hashes are not those of {blocks} blocks')
        for outcome in run.said('VERIFY_OUTCOME'):
            run.agreed = decoding.bits(outcome, blocks).astype(bool).tolist()
    for side, payload in enumerate(run.said('REPEATED')):
        run.repeated[side] = decoding.fields(payload)['bits']


def _key(run: Run) -> None:
    """Pre-shared bits, and the request of the key."""
    offered = not run.welcome or run.welcome['pre_shared_slot'] in run.hello['pre_shared_slots']
    run.check(offered, 'the pre-shared bits that are used were not offered')
    if run.said('AMPLIFY'):
        secret, disclosed, matrix = decoding.key_request(run.said('AMPLIFY')[0])
        matrix += sum(map(len, run.said('MATRIX')))
        run.requested = secret, disclosed
        kept = sum(run.blocks) - run.dropped
        due = -(-(kept + secret + formulas.TAG_KEY_BITS - 1) // 8) if secret else 0
        run.check(matrix == due, f'the matrix of privacy amplification has {matrix} bytes, not {due}')
    for name in ('AMPLIFIED', 'STORED', 'CONFIRMED'):
        named = run.first(name).get('key_id', run.key_id)
        run.check(named == run.key_id, f'{name} names another key than the messages before it make')


def _rule(run: Run) -> dict[str, Any] | None:
    """Rule of the public pulses of a source without a beacon."""
    rule: dict[str, Any] | None = run.hello.get('terms', {}).get('public_pulses')
    return rule
