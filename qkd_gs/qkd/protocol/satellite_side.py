"""The satellite's side of the protocol: Alice, who answers the ground; her bits are the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.amplification.key_request import compressed, requested_key
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel, PreShared, read_section
from qkd_gs.qkd.link.channel import Channel, Kind, Message
from qkd_gs.qkd.link.codes import unpack_bits
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.exchange_cascade import answer_until
from qkd_gs.qkd.protocol.exchange_ldpc import design_rate, send_syndromes
from qkd_gs.qkd.protocol.kept_bits import KeptBits, KeptPass, counts_of_joined, joined_session
from qkd_gs.qkd.protocol.key_budget import certified_length, may_be_kept
from qkd_gs.qkd.protocol.leakage import LeakageAccount
from qkd_gs.qkd.protocol.progress import Progress, no_progress
from qkd_gs.qkd.protocol.repetition import answer_repeated
from qkd_gs.qkd.protocol.result import SatelliteResult
from qkd_gs.qkd.protocol.session_record import AnnouncementDigest, Booking, SessionRecord
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, dropped_bits, key_blocks, verified_bits
from qkd_gs.qkd.sifting.key_counts import key_counts, sifted_table
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.states import Intensity, Transmitter
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.public_pulses import disclosed_in, is_public
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spans import PulseSpan, ascending, within

SETTLED_NS = 10 * 10**9  # longer than light to any Earth orbit and the errors of both clocks


@dataclass(frozen=True)
class _Sifted:
    bits: PackedBits  # of the signal state
    pulses: int
    table: IntArray  # sifted bits by basis and intensity
    last_ns: int  # when the last pulse was sent


@dataclass(frozen=True)
class _Window:
    """Interval of the beacon log, which the ground requested under a tag."""

    utc_ns: tuple[int, int]
    period_ps: Fraction
    epoch_utc_ns: int

    def sent_ns(self, pulse: int) -> int:
        """UTC at which a pulse was sent, by the satellite's clock."""
        return self.epoch_utc_ns + pulse * self.period_ps // 1000


def serve(
    channel: Channel,
    transmitter: Transmitter,
    terms: Terms,
    pre_shared: PreShared,
    record: SessionRecord,
    now_utc_ns: Callable[[], int],
    *,
    source: str = 'own',
    progress: Progress = no_progress,
    transcript: TranscriptFile | None = None,
) -> SatelliteResult:
    """Answer one protocol run of the ground on this channel, from its first message to its end.

    Parameters
    ----------
    channel : Channel
        From `qkd_gs.qkd.link.tls.Listener.accept`, or in memory.
    transmitter : Transmitter
        Record of the states sent.
    terms : Terms
        This side's own terms; a ground with different terms is refused.
    pre_shared : PreShared
        Key shared beforehand.
    record : SessionRecord
        Record of announced pulses, disclosed bits and keys; on a real satellite it must outlive the process.  The key
        is put into it as pending, and confirmed once the ground has stored its copy.
    now_utc_ns : callable
        The satellite's clock: pulses that have not long been sent are not answered for.
    source : str
        Name of the transmitter in the record, if that holds several.
    progress : callable
        Told the name of each step and how much of it is done.
    transcript : TranscriptFile, optional
        Gets all messages, for an auditor.

    Returns
    -------
    SatelliteResult
        The key, to be used only if `confirmed`; an empty one with the reason if the data allow none.

    Raises
    ------
    ProtocolError
        The ground, the link or somebody on it violated the protocol; no key.
    StationError
        This side cannot serve, e.g. its pre-shared key is used up; the ground gets the reason.
    """
    link = AuthenticatedChannel(channel, station=False, transcript=transcript)
    with link.ended_by_faults():
        result = _Run(link, transmitter, terms, pre_shared, record, now_utc_ns, source, progress).run()
    link.close()
    return result


class _Run:
    def __init__(
        self,
        link: AuthenticatedChannel,
        transmitter: Transmitter,
        terms: Terms,
        pre_shared: PreShared,
        record: SessionRecord,
        now_utc_ns: Callable[[], int],
        source: str,
        progress: Progress,
    ):
        self._link, self._transmitter, self._terms = link, transmitter, terms
        self._pre_shared, self._record, self._progress = pre_shared, record, progress
        self._now_utc_ns, self._source = now_utc_ns, source

    def run(self) -> SatelliteResult:
        hello = self._link.receive_section(Kind.HELLO, messages.Hello)
        self._session_id = hello.session_id
        if hello.stored_key:
            return self._confirm_again(hello, hello.stored_key)
        self._record.drop_old_kept(self._terms.keep_ns)
        self._leakage = LeakageAccount(self._record, hello.session_id)
        try:
            return self._join(hello) if hello.joins else self._answer(hello)
        finally:
            self._leakage.settle()

    def _answer(self, hello: messages.Hello) -> SatelliteResult:
        self._leakage.other_earlier_bits = hello.disclosed_before
        self._welcome(hello, self._leakage.own_earlier_bits, self._leakage.repeatable_bits)
        window = self._send_log()
        sifted = self._sift(window)
        reported = self._link.receive(Kind.ERROR_COUNTS)
        report = read_section(reported, messages.ErrorCounts)
        self._leakage.begin(reported.payload)
        counts = self._counts(sifted, report)
        if report.reason:
            nothing = self._without_key(self._link.public_digest(), report.reason)
            kept = self._kept(sifted, counts, report) if report.keep else None
            self._record.put(self._session_id, nothing.key_id, nothing.key, 0.0, {'reason': report.reason}, kept=kept)
            if kept:
                self._link.send(Kind.AMPLIFIED, messages.KeyId(key_id=nothing.key_id))
                self._link.send_tag()
            return self._await_storing(nothing)
        return self._make_key(sifted.bits, counts, report.seed)

    def _kept(self, sifted: _Sifted, counts: KeyCounts, report: messages.ErrorCounts) -> KeptBits:
        """Bits that wait to be joined with those of other passes; the ground keeps its own."""
        self._verify_tag()
        if not may_be_kept(self._terms, counts, report.qber, self._leakage.earlier_bits):
            raise ProtocolError('disagreement', 'the ground keeps sifted bits that may not be kept')
        about = KeptPass(self._session_id, sifted.last_ns, counts)
        return KeptBits(about, sifted.bits, PackedBits.zeros(0))

    def _join(self, hello: messages.Hello) -> SatelliteResult:
        """Make one key of the kept bits of several passes."""
        self._leakage.other_earlier_bits = hello.disclosed_before
        self._welcome(hello, self._leakage.own_earlier_bits, self._leakage.repeatable_bits)
        asked = self._link.receive(Kind.JOIN)
        request = read_section(asked, messages.JoinRequest)
        self._leakage.begin(asked.payload)
        self._verify_tag()
        if joined_session(hello.joins) != hello.session_id:
            raise ProtocolError('disagreement', 'the session is not named after those that it joins')
        kept = self._record.take_kept(hello.session_id, hello.joins)
        if [one.about.digest for one in kept] != request.digests:
            raise ProtocolError('disagreement', 'the ground keeps other counts of the passes than the satellite')
        passes = [one.about for one in kept]
        last_ns = max(one.last_ns for one in passes)
        if request.choices < self._record.announced_between(last_ns - self._terms.keep_ns, last_ns):
            raise ProtocolError('disagreement', 'the ground knows of fewer passes than the satellite')
        counts = counts_of_joined(passes, self._terms.keep_ns, request.choices)
        self._link.send(Kind.JOINED)
        self._link.send_tag()
        return self._make_key(PackedBits.joined([one.bits for one in kept]), counts, request.seed)

    def _confirm_again(self, hello: messages.Hello, key_id: str) -> SatelliteResult:
        """The key was made in an earlier run whose last messages were lost."""
        self._welcome(hello, 0)
        return self._await_storing(self._without_key(key_id, 'confirmed again'))

    def _without_key(self, key_id: str, reason: str) -> SatelliteResult:
        return SatelliteResult(
            session_id=self._session_id,
            key_id=key_id,
            key=PackedBits.zeros(0),
            epsilon=0.0,
            disclosed_bits=0,
            confirmed=False,
            reason=reason,
        )

    def _welcome(self, hello: messages.Hello, disclosed_before: int, repeatable: int = 0) -> None:
        if hello.terms != self._terms:
            differing = [name for name, value in self._terms if getattr(hello.terms, name) != value]
            raise StationError(f'the ground has different terms: {", ".join(differing)}', where='terms')
        slot = self._pre_shared.choose(hello.pre_shared_slots)
        welcome = messages.Welcome(pre_shared_slot=slot, disclosed_before=disclosed_before, repeatable=repeatable)
        self._link.send(Kind.WELCOME, welcome)
        self._link.authenticate(self._pre_shared.attempt(slot))
        self._greeting = [(slot, hello.pre_shared_slots)]

    def _verify_tag(self) -> None:
        """Verify the ground's tag; the first right one uses up the slot of pre-shared bits that it is made with."""
        self._link.verify_tag()
        while self._greeting:
            self._pre_shared.accept(*self._greeting.pop())

    def _send_log(self) -> _Window:
        request = self._link.receive_section(Kind.LOG_REQUEST, messages.LogRequest)
        self._verify_tag()
        if not 0 <= request.last_utc_ns - request.first_utc_ns <= messages.MAX_LOG_NS:
            raise ProtocolError('malformed', 'the requested beacon log is longer than any pass')
        head, blocks, pulses = self._public_log(request) if self._terms.public_pulses else self._beacon_log(request)
        self._link.send(Kind.LOG_HEAD, head)
        for done, block in enumerate(blocks):
            self._link.send(Kind.LOG_BLOCK, block)
            self._progress('beacon log', min(1.0, (done + 1) * pulses / head.pulses))
        self._link.send_tag()
        return _Window(
            (request.first_utc_ns, request.last_utc_ns),
            PulsePeriod(self._terms.pulse_rate_hz).exact_ps,
            head.epoch_utc_ns,
        )

    def _beacon_log(self, request: messages.LogRequest) -> tuple[messages.LogHead, Iterator[bytes], int]:
        """Head, blocks, and pulses of a block."""
        log = self._transmitter.beacon_log(request.first_utc_ns, request.last_utc_ns)
        head = messages.LogHead(first_index=log.first_index, pulses=len(log.time_ps), epoch_utc_ns=log.epoch_utc_ns)
        return head, messages.log_blocks(log), messages.LOG_BLOCK

    def _public_log(self, request: messages.LogRequest) -> tuple[messages.LogHead, Iterator[bytes], int]:
        """The same of the disclosed pulses; none is told of before its light has passed."""
        rule = self._terms.public_pulses
        assert rule is not None
        last_ns = min(request.last_utc_ns, self._now_utc_ns() - SETTLED_NS)
        first, last, epoch_utc_ns = self._transmitter.logged(request.first_utc_ns, last_ns)
        starts = disclosed_in(rule, first, last)
        if len(starts) * rule.block > messages.MAX_LOG:
            raise StationError(
                f'{len(starts)} blocks of {rule.block} pulses are too many to disclose',
                where='source.public_pulses.disclosed',
            )
        first_index = int(starts[0]) if len(starts) else 0
        head = messages.LogHead(first_index=first_index, pulses=len(starts) * rule.block, epoch_utc_ns=epoch_utc_ns)
        return head, messages.public_blocks(rule, self._transmitter, starts), rule.block

    def _sift(self, window: _Window) -> _Sifted:
        """Sift announced detections; nothing is said of them before their tag is verified and they are booked."""
        announced = self._link.receive(Kind.SIFT_HEAD)
        head = read_section(announced, messages.SiftHead)
        self._check_spans(head.locked, window)
        table, key, answers = np.zeros((2, 3), np.int64), list[PackedBits](), list[bytes]()
        said = AnnouncementDigest(announced.payload)
        for pulse, basis in messages.read_detections(head.detections, self._each(Kind.DETECTIONS, said)):
            if not within(pulse, head.locked).all():
                raise ProtocolError('malformed', 'detections outside locked time')
            if self._terms.public_pulses and is_public(self._terms.public_pulses, pulse).any():
                raise ProtocolError('malformed', 'detections of public pulses')
            states = self._transmitter.states(pulse)
            match = states.basis == basis
            answers.append(messages.pack_sift(match.astype(np.uint8), states.intensity, states.bit))
            table += sifted_table(basis[match], states.intensity[match])
            key.append(PackedBits.of(states.bit[match & (states.intensity == Intensity.SIGNAL)]))
        self._verify_tag()
        booking = Booking.of(
            self._session_id, self._source, head.locked, window.epoch_utc_ns, window.period_ps, said.hex()
        )
        self._record.book_pulses(booking)
        for answer in answers:
            self._link.send(Kind.SIFT_ANSWER, answer)
        self._link.send_tag()
        self._progress('sifting', 1.0)
        return _Sifted(PackedBits.joined(key), self._terms.key_pulses(head.locked), table, booking.spans_ns[-1][1])

    def _check_spans(self, locked: list[PulseSpan], window: _Window) -> None:
        """Refuse pulses outside the log that was asked for under a tag, and pulses that may still be on their way."""
        if not ascending(locked):
            raise ProtocolError('malformed', 'the spans of locked time are empty, unordered or overlapping')
        first_ns, last_ns = window.sent_ns(locked[0][0]), window.sent_ns(locked[-1][1])
        if first_ns < window.utc_ns[0] or last_ns > window.utc_ns[1]:
            raise ProtocolError('malformed', 'locked time lies outside the beacon log')
        if last_ns + SETTLED_NS > self._now_utc_ns():
            raise ProtocolError('malformed', 'locked time is not over yet, or only just')

    def _counts(self, sifted: _Sifted, report: messages.ErrorCounts) -> KeyCounts:
        errors = np.array([(0, *basis) for basis in report.errors], np.int64)
        try:
            counts = key_counts(self._terms, sifted.pulses, sifted.table, errors)
        except StationError as error:
            raise ProtocolError('disagreement', error.what) from error
        return counts.model_copy(update={'receiver': report.receiver})

    def _make_key(self, bits: PackedBits, counts: KeyCounts, seed: int) -> SatelliteResult:
        blocks = key_blocks(len(bits))
        request, disclosed = self._reconcile(bits, blocks, counts, seed)
        length = self._terms.verification_bits
        if len(request.payload) != verify.seed_bytes(length):
            raise ProtocolError('malformed', 'the seed of verification has the wrong size')
        hashes = len(blocks) * (length + 1)
        self._leakage.announce_hashes(disclosed + hashes)
        digests = verify.digests(bits, blocks, request.payload, length)
        self._link.send(Kind.VERIFY_ANSWER, messages.pack_digests(digests))
        agreed = unpack_bits(self._link.receive(Kind.VERIFY_OUTCOME).payload, len(blocks))
        dropped = dropped_bits(blocks, agreed)
        answer_repeated(self._link, self._leakage)
        secret_bits, theirs, matrix = requested_key(self._link, len(bits) - dropped)
        key_id = self._link.public_digest()
        self._verify_tag()
        if theirs != disclosed:
            raise ProtocolError('disagreement', f'{disclosed} bits were disclosed, the ground counts {theirs}')
        earlier = self._leakage.earlier_bits  # of both sides
        leaked = disclosed + dropped + earlier
        certified = certified_length(self._terms, counts, block_sizes(blocks), leaked, earlier)
        if secret_bits > certified.secret_bits:
            raise ProtocolError(
                'disagreement', f'the ground requests {secret_bits} bits, the data allow {certified.secret_bits}'
            )
        kept = verified_bits(bits, blocks, agreed)
        key, refill = compressed(kept, secret_bits, matrix)
        kept.wipe()
        bits.wipe()
        self._record.put(self._session_id, key_id, key, certified.epsilon, {'disclosed_bits': disclosed}, refill)
        self._leakage.settle()
        self._link.send(Kind.AMPLIFIED, messages.KeyId(key_id=key_id))
        self._link.send_tag()
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

    def _reconcile(self, bits: PackedBits, blocks: list[slice], counts: KeyCounts, seed: int) -> tuple[Message, int]:
        """Run reconciliation; the ground's request to verify, and the number of bits disclosed."""
        record, progress = self._leakage.announce, self._progress
        if self._terms.one_way:
            disclosed = send_syndromes(self._link, bits, blocks, design_rate(counts), seed, record, progress)
            return self._link.receive(Kind.VERIFY_REQUEST), disclosed
        return answer_until(self._link, Kind.VERIFY_REQUEST, bits, seed, record, progress)

    def _await_storing(self, made: SatelliteResult) -> SatelliteResult:
        """Wait for the ground's message that it stored the key, and confirm it on both sides.

        Without that message the satellite's copy stays pending.
        """
        try:
            stored = self._link.receive_section(Kind.STORED, messages.KeyId)
            self._verify_tag()
        except ProtocolError:
            return made
        if stored.key_id != made.key_id:
            raise ProtocolError('disagreement', 'the ground has stored a key of another name')
        self._record.confirm(self._session_id, made.key_id)
        confirmed = replace(made, confirmed=True)
        try:
            self._link.send(Kind.CONFIRMED, stored)
            self._link.send_tag()
        except ProtocolError:  # the ground asks again
            pass
        return confirmed

    def _each(self, kind: Kind, said: AnnouncementDigest) -> Iterator[bytes]:
        while True:
            payload = self._link.receive(kind).payload
            said.add(payload)
            yield payload
