"""The satellite's side of the protocol: Alice, who answers; her bits are the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.amplification.key_request import requested_key
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.channel import Channel, Kind, Message
from qkd_gs.qkd.link.codes import unpack_bits
from qkd_gs.qkd.link.conversation import Conversation, PreShared
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages, steps
from qkd_gs.qkd.protocol.exchange_cascade import answer_until
from qkd_gs.qkd.protocol.exchange_ldpc import design_rate, send_syndromes
from qkd_gs.qkd.protocol.ledger import Booking, DisclosureLedger
from qkd_gs.qkd.protocol.result import SatelliteResult
from qkd_gs.qkd.protocol.steps import Progress, silent
from qkd_gs.qkd.sifting import sift
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.states import Intensity, Transmitter
from qkd_gs.qkd.sifting.terms import Terms


@dataclass(frozen=True)
class _Sifted:
    bits: PackedBits  # of the signal state
    pulses: int
    table: IntArray  # sifted bits by basis and intensity


def serve(
    channel: Channel,
    transmitter: Transmitter,
    terms: Terms,
    pre_shared: PreShared,
    ledger: DisclosureLedger,
    progress: Progress = silent,
) -> SatelliteResult:
    """Answer one run of the ground's on this channel, from its greeting to its end.

    Parameters
    ----------
    channel : Channel
        From `qkd_gs.qkd.tls.Listener.accept`, or in memory.
    transmitter : Transmitter
        Record of what was sent.
    terms : Terms
        This side's own; a ground that wants others is refused.
    pre_shared : PreShared
        Key shared beforehand.
    ledger : DisclosureLedger
        What was disclosed of which session; on a real satellite it must outlive the process.
    progress : callable
        Told the name of each step and how much of it is done.

    Returns
    -------
    SatelliteResult
        The key, to be used only if `confirmed`; an empty one with the reason if the data allow none.

    Raises
    ------
    ProtocolError
        The ground, the link or somebody on it broke the protocol; no key.
    StationError
        This side cannot serve, e.g. its pre-shared key is used up; the ground is told so.
    """
    talk = Conversation(channel, station=False)
    with talk.ended_by_faults():
        result = _Run(talk, transmitter, terms, pre_shared, progress).run(ledger)
    talk.close()
    return result


class _Run:
    def __init__(
        self, talk: Conversation, transmitter: Transmitter, terms: Terms, pre_shared: PreShared, progress: Progress
    ):
        self._talk, self._transmitter, self._terms = talk, transmitter, terms
        self._pre_shared, self._progress = pre_shared, progress

    def run(self, ledger: DisclosureLedger) -> SatelliteResult:
        hello = self._talk.hear_section(Kind.HELLO, messages.Hello)
        self._session_id = hello.session_id
        self._booking = Booking(ledger, hello.session_id)
        try:
            return self._answer(hello)
        finally:
            self._booking.settle()

    def _answer(self, hello: messages.Hello) -> SatelliteResult:
        self._welcome(hello)
        self._send_log()
        sifted = self._sift()
        report = self._talk.hear_section(Kind.ERROR_COUNTS, messages.ErrorCounts)
        self._talk.check()
        counts = self._counts(sifted, report)
        self._talk.vouch()
        if report.reason:
            nothing = SatelliteResult(
                session_id=self._session_id,
                key_id=self._talk.public_digest(),
                key=PackedBits.zeros(0),
                epsilon=0.0,
                disclosed_bits=0,
                confirmed=False,
                reason=report.reason,
            )
            return self._await_storing(nothing)
        return self._make_key(sifted, counts, report)

    def _welcome(self, hello: messages.Hello) -> None:
        if hello.terms != self._terms:
            differing = [name for name, value in self._terms if getattr(hello.terms, name) != value]
            raise StationError(f'the ground wants other terms: {", ".join(differing)}', where='terms')
        first = max(hello.pre_shared_first, self._pre_shared.used_bits)
        self._booking.at_least(hello.disclosed_before)
        self._talk.say(Kind.WELCOME, messages.Welcome(pre_shared_first=first, disclosed_before=self._booking.before))
        self._talk.authenticate(self._pre_shared, first)

    def _send_log(self) -> None:
        request = self._talk.hear_section(Kind.LOG_REQUEST, messages.LogRequest)
        self._talk.check()
        if not 0 <= request.last_utc_ns - request.first_utc_ns <= messages.MAX_LOG_NS:
            raise ProtocolError('malformed', 'a beacon log is asked for that no pass is as long as')
        log = self._transmitter.beacon_log(request.first_utc_ns, request.last_utc_ns)
        head = messages.LogHead(first_index=log.first_index, pulses=len(log.time_ps), epoch_utc_ns=log.epoch_utc_ns)
        self._talk.say(Kind.LOG_HEAD, head)
        for done, block in enumerate(messages.log_blocks(log)):
            self._talk.say(Kind.LOG_BLOCK, block)
            self._progress('beacon log', min(1.0, (done + 1) * messages.LOG_BLOCK / head.pulses))
        self._talk.vouch()

    def _sift(self) -> _Sifted:
        head = self._talk.hear_section(Kind.SIFT_HEAD, messages.SiftHead)
        if not sift.ascending(head.locked):
            raise ProtocolError('malformed', 'the spans of locked time are not sound')
        table, key, answers = np.zeros((2, 3), np.int64), list[PackedBits](), list[bytes]()
        for pulse, basis in messages.read_detections(head.detections, self._each(Kind.DETECTIONS)):
            if not sift.within(pulse, head.locked).all():
                raise ProtocolError('malformed', 'detections outside locked time')
            states = self._transmitter.states(pulse)
            match = states.basis == basis
            answers.append(messages.pack_sift(match.astype(np.uint8), states.intensity, states.bit))
            table += sift.sifted_table(basis[match], states.intensity[match])
            key.append(PackedBits.of(states.bit[match & (states.intensity == Intensity.SIGNAL)]))
        for answer in answers:  # only now: the ground does not listen while it announces
            self._talk.say(Kind.SIFT_ANSWER, answer)
        self._progress('sifting', 1.0)
        return _Sifted(PackedBits.joined(key), sift.pulses_in(head.locked), table)

    def _counts(self, sifted: _Sifted, report: messages.ErrorCounts) -> KeyCounts:
        errors = np.array([(0, *basis) for basis in report.errors], np.int64)
        try:
            return sift.count(self._terms, sifted.pulses, sifted.table, errors)
        except StationError as error:
            raise ProtocolError('disagreement', error.what) from error

    def _make_key(self, sifted: _Sifted, counts: KeyCounts, report: messages.ErrorCounts) -> SatelliteResult:
        cuts = sift.frames(len(sifted.bits))
        request, disclosed = self._reconcile(sifted.bits, cuts, counts, report.seed)
        length = self._terms.verification_bits
        if len(request.payload) != verify.seed_bytes(length):
            raise ProtocolError('malformed', 'the seed of verification has the wrong size')
        hashes = len(cuts) * (length + 1)
        self._booking.ahead(disclosed + hashes)
        digests = verify.digests(sifted.bits, cuts, request.payload, length)
        self._talk.say(Kind.VERIFY_ANSWER, messages.pack_digests(digests))
        agreed = unpack_bits(self._talk.hear(Kind.VERIFY_OUTCOME).payload, len(cuts))
        dropped = steps.dropped_bits(cuts, agreed)
        secret_bits, theirs, matrix = requested_key(self._talk, len(sifted.bits) - dropped)
        key_id = self._talk.public_digest()
        self._talk.check()
        if theirs != disclosed:
            raise ProtocolError('disagreement', f'{disclosed} bits were disclosed, the ground counts {theirs}')
        charged = disclosed + dropped + self._booking.before
        certified = steps.certified(self._terms, counts, steps.sizes_of(cuts), charged)
        if secret_bits > certified.secret_bits:
            raise ProtocolError(
                'disagreement', f'the ground wants {secret_bits} bits, the data allow {certified.secret_bits}'
            )
        kept = steps.verified_bits(sifted.bits, cuts, agreed)
        key = steps.amplify(kept, secret_bits, matrix)
        kept.wipe()
        sifted.bits.wipe()
        self._talk.say(Kind.AMPLIFIED, messages.KeyId(key_id=key_id))
        self._talk.vouch()
        made = SatelliteResult(
            session_id=self._session_id,
            key_id=key_id,
            key=key,
            epsilon=certified.epsilon,
            disclosed_bits=disclosed,
            confirmed=False,
            reason=certified.reason,
        )
        return self._await_storing(made)

    def _reconcile(self, bits: PackedBits, cuts: list[slice], counts: KeyCounts, seed: int) -> tuple[Message, int]:
        """Disclose what reconciliation takes; ends with the ground's wish to verify."""
        book, progress = self._booking.ahead, self._progress
        if self._terms.one_way:
            disclosed = send_syndromes(self._talk, bits, cuts, design_rate(counts), seed, book, progress)
            return self._talk.hear(Kind.VERIFY_REQUEST), disclosed
        return answer_until(self._talk, Kind.VERIFY_REQUEST, bits, seed, book, progress)

    def _await_storing(self, made: SatelliteResult) -> SatelliteResult:
        """Wait for the ground to say that it stored the key; without that, ours must stay unused."""
        try:
            stored = self._talk.hear_section(Kind.STORED, messages.KeyId)
            self._talk.check()
        except ProtocolError:
            return made
        return replace(made, confirmed=stored.key_id == made.key_id)

    def _each(self, kind: Kind) -> Iterator[bytes]:
        while True:
            yield self._talk.hear(kind).payload
