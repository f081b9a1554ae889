"""Replay of a run from its transcript: order, counts and charges, and what is not as it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.audit import decoding, public_pulses
from qkd_gs.audit.chained_file import Transcript
from qkd_gs.audit.decoding import Undecodable

_TAG_BYTES = 16
_PART = 'lgLb*zsd*ga*z'
_SIFTED, _CLAIMED = f'hw{_PART}(?:c(?:pP)*{_PART})*e', 'hwjgJz'  # of a session, and of a run that joins some
_RECONCILED = '(?:(?:pP)*|y)vVo(?:qQ)?km*'
_STORED = '(?:xg(?:Xz)?)?'


@dataclass
class Run:
    """Messages and leakage of a run."""

    transcript: Transcript
    members: Sequence[Run] = ()  # runs that sifted the sessions which this one joins
    differences: list[str] = field(default_factory=list)  # what is not as it should be
    hello: dict[str, Any] = field(default_factory=dict)
    welcome: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)  # the message that begins reconciliation
    sifted: Any = None  # bits (2, 3) by basis and intensity
    pulses: int = 0  # of locked time
    parts: int = 1  # in which a pass may be sifted
    expected: int = 0  # sifted bits, as said before the first answer to several parts
    slots: Sequence[str] = ()  # of pre-shared bits
    order: str = ''  # of the messages, a letter each
    # of ground and satellite: bits of parities or syndromes, asked and given, by a hash of all that was said before;
    # bits of hashes; and bits of earlier runs that they said again and do not charge
    named: tuple[dict[bytes, int], dict[bytes, int]] = field(default_factory=lambda: ({}, {}))
    hashes: tuple[int, int] = (0, 0)
    repeated: list[int] = field(default_factory=lambda: [0, 0])
    agreed: list[bool] = field(default_factory=list)  # whether the hashes of a block do
    key_id: str = ''

    def check(self, holds: Any, otherwise: str) -> None:
        """Note what is not as it should be."""
        if not holds:
            self.differences.append(otherwise)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what cannot be read or computed in this context."""
        try:
            yield
        except Undecodable as error:
            self.differences.append(f'a message {error}')
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            self.differences.append(f'session or transcript does not hold what it must: {error!r}')

    def said(self, *names: str) -> list[bytes]:
        """Payloads of the messages of some kinds, in their order."""
        return [one.payload for one in self.transcript.messages if one.name in names]

    def first(self, name: str) -> dict[str, Any]:
        """Fields of the first message of a name; none if there is no such message."""
        return next((decoding.fields(payload) for payload in self.said(name)), {})

    @property
    def blocks(self) -> list[int]:
        """Sizes of the blocks that are verified one by one: about 100,000 bits each, as equal as possible."""
        total = int(self.sifted[:, 0].sum())
        number = max(1, round(total / 100_000))
        return [b - a for a, b in pairwise(total * k // number for k in range(number + 1))]

    def counts(self) -> FloatArray:
        """Counts that the bounds start from, as in `formulas`."""
        if self.members:
            return sum((one.counts() for one in self.members), np.zeros((3, 2, 3)))
        shares = np.array([self.hello['terms'][name] for name in ('p_signal', 'p_decoy', 'p_vacuum')])
        sent, errors = [np.round(self.pulses * shares / 4)] * 2, [[0, *basis] for basis in self.report['errors']]
        return np.array([sent, self.sifted, errors], float)

    @property
    def earlier(self) -> int:
        """Bits of earlier runs that are charged."""
        return int(self.hello['disclosed_before']) + int(self.welcome['disclosed_before']) - sum(self.repeated)


def replay(transcript: Transcript, members: Sequence[Run] = ()) -> Run:
    """Go through a run; one that joins sessions needs the runs (`members`) in which these were sifted."""
    run = Run(transcript, members)
    run.check(not transcript.broken, transcript.broken)
    _order(run)
    with run.noting():
        run.hello, run.welcome = run.first('HELLO'), run.first('WELCOME')
        run.parts = int(run.hello.get('parts', 1))
        run.slots = [one for one in map(run.welcome.get, ('pre_shared_slot', 'second_slot')) if one]
        run.report = run.first('JOIN' if members else 'ERROR_COUNTS')
        (_joining if members else _sifting)(run)
        _disclosures(run)
        _key(run)
    return run


def _order(run: Run) -> None:
    """Order, senders and tags of the messages, and the name that they give to the key."""
    run.order = order = ''.join(message.letter for message in run.transcript.messages)
    start, often = (_CLAIMED, '') if run.members else (_SIFTED, '?')
    until_key = re.match(f'{start}(?:{_RECONCILED}){often}', order)
    place = until_key.end() if until_key else 0
    right = re.fullmatch(f'{start}(?:(?:{_RECONCILED}){often}gKz){often}{_STORED}', order)
    run.check(right, f'the order of the messages is not that of a run, from message {place + 1} on')
    run.check('-' not in order, 'a message is said by the wrong side')
    run.check(all(len(tag) == _TAG_BYTES for tag in run.said('TAG')), 'a tag has another length than 16 bytes')
    run.key_id = run.transcript.digest(place) if place else ''


def _sifting(run: Run) -> None:
    """Length of the log; locked time and detections within it; sifted bits, as the satellite's answers tell."""
    heads, requests, logs = ([*map(decoding.fields, run.said(x))] for x in ('SIFT_HEAD', 'LOG_REQUEST', 'LOG_HEAD'))
    rule = run.hello.get('terms', {}).get('public_pulses')  # of a source without a beacon
    logged = run.said('LOG_BLOCK')
    long = sum(len(decoding.intensities(x, rule['block']) if rule else decoding.integers(x[24:])) for x in logged)
    run.check(long == sum(log['pulses'] for log in logs), f'the beacon log has {long} pulses, others are said')
    if not heads:
        return
    run.expected, *others = [head.get('expected') or 0 for head in heads]
    right = len(heads) <= run.parts <= 3 and (run.expected > 0) == (run.parts > 1) and not any(others)
    run.check(right, 'the parts are not as was said at first')
    spans = np.array([span for head in heads for span in head['locked']], np.int64).reshape(-1, 2)
    run.pulses = int((spans[:, 1] - spans[:, 0] + 1).sum()) - (public_pulses.number(rule, spans) if rule else 0)
    sound = len(spans) and (spans[:, 1] >= spans[:, 0]).all() and (spans[1:, 0] > spans[:-1, 1]).all()
    run.check(sound, 'the spans of locked time are empty, unordered or overlapping')
    period_ns = Fraction(10**9) / Fraction(run.hello['terms']['pulse_rate_hz'])
    for head, request, log in zip(heads, requests, logs, strict=False):
        first_ns, last_ns = (log['epoch_utc_ns'] + int(one) * period_ns for one in np.ravel(head['locked'])[[0, -1]])
        inside = first_ns >= request['first_utc_ns'] - 1 and last_ns <= request['last_utc_ns'] + 1
        run.check(inside, 'locked time lies outside the beacon log that was asked for')
    announced, answers = run.said('DETECTIONS'), run.said('SIFT_ANSWER')
    *earlier, last_part = re.findall('s(d*)g?(a*)', run.order)
    answered = all(len(d) == len(a) for d, a in earlier) and len(last_part[1]) in (0, len(last_part[0]))
    run.check(answered, 'not every block of detections has one answer')
    run.sifted = np.zeros((2, 3), np.int64)
    last, total = -1, 0
    for block, answer in zip_longest(announced, answers):
        pulses, basis = decoding.detections(block)
        span = np.searchsorted(spans[:, 0], pulses, side='right') - 1
        inside = pulses[0] > last and (span >= 0).all() and (pulses <= spans[span, 1]).all()
        run.check(inside, 'detections are out of order or outside locked time')
        run.check(not (rule and public_pulses.among(rule, pulses).any()), 'public pulses are announced')
        last, total = int(pulses[-1]), total + len(pulses)
        if answer is not None:
            match, intensity = decoding.sift_answer(answer, len(basis))
            np.add.at(run.sifted, (basis[match.astype(bool)], intensity), 1)
    run.check(total == sum(head['detections'] for head in heads), f'{total} detections are announced, others are said')


def _joining(run: Run) -> None:
    """Counts of the sessions that are joined, and whether they may be."""
    run.sifted = np.sum([one.sifted for one in run.members], axis=0)
    for one in run.members:
        run.check(one.report.get('keep'), f'session {one.hello["session_id"]} does not keep its bits')
        run.check(not one.earlier, f'session {one.hello["session_id"]} disclosed parities before')
        same = one.hello['terms'] == run.hello['terms']
        run.check(same, 'the sessions have other terms than the run that joined them')
    same = run.hello['joins'] == [one.hello['session_id'] for one in run.members]
    run.check(same, 'the first message joins other sessions')
    choices = run.report.get('choices', len(run.members))  # a broken run may not have come so far
    run.check(choices >= len(run.members), f'{choices} passes to choose from are fewer than {len(run.members)}')


def _disclosures(run: Run) -> None:
    """Bits of the key that were asked for, and that were given."""
    name, number = sha256(b''.join(run.said('ERROR_COUNTS', 'JOIN'))).digest(), 0
    if run.report and run.hello['terms']['reconciliation'] == 'ldpc' and not run.report.get('reason'):
        run.named[0][name] = run.named[1][name] = 8 * sum(map(len, run.said('SYNDROMES')))
    name = b''
    for one in run.transcript.messages:
        if one.name == 'PARITY_ANSWER':
            fits = len(one.payload) == -(-number // 8)
            run.check(fits, 'an answer has another number of parities than were asked for')
            run.named[1][name] = number if fits else 0  # what the satellite was asked for is not known
        if one.name in ('CORRECT', 'ERROR_COUNTS', 'JOIN', 'PARITY_REQUEST', 'PARITY_ANSWER'):
            name = sha256(name + one.payload).digest()
        if one.name == 'PARITY_REQUEST':
            run.named[0][name] = number = len(decoding.integers(one.payload[4:]))
    if run.said('VERIFY_REQUEST'):
        size, blocks, given = run.hello['terms']['verification_bits'], len(run.blocks), run.said('VERIFY_ANSWER')
        run.hashes = blocks * (size + 1), blocks * (size + 1) if given else 0
        right = all(len(digests) == blocks * -(-size // 8) for digests in given)
        run.check(right, f'the hashes are not those of {blocks} blocks')
        for outcome in run.said('VERIFY_OUTCOME'):
            run.agreed = decoding.bits(outcome, blocks).astype(bool).tolist()
    for side, payload in enumerate(run.said('REPEATED')):
        run.repeated[side] = decoding.fields(payload)['bits']


def _key(run: Run) -> None:
    """Pre-shared bits and name of the key."""
    right = len({*run.slots} & {*run.hello['pre_shared_slots']}) == min(run.parts, 2) * bool(run.welcome)
    run.check(right, 'the pre-shared bits that are used were not offered, or are too few')
    for name in ('AMPLIFIED', 'STORED', 'CONFIRMED'):
        same = run.first(name).get('key_id', run.key_id) == run.key_id
        run.check(same, f'{name} names another key than the messages before it make')
