"""The satellite's side of the protocol: Alice, who answers the ground; her bits are the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

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
from qkd_gs.qkd.protocol.satellite_sifting import SatelliteSifting, Sifted
from qkd_gs.qkd.protocol.session_record import SessionRecord
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, dropped_bits, key_blocks, verified_bits
from qkd_gs.qkd.sifting.key_counts import key_counts
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.states import Transmitter
from qkd_gs.qkd.sifting.terms import Terms


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
    wait_until: Callable[[int], None] = lambda _: None,
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
    wait_until : callable
        Returns once a UTC, ns, has come by the satellite's clock: a log of pulses to come is sent as these leave.

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
        result = _Run(link, transmitter, terms, pre_shared, record, now_utc_ns, wait_until, source, progress).run()
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
        wait_until: Callable[[int], None],
        source: str,
        progress: Progress,
    ):
        self._link, self._transmitter, self._terms = link, transmitter, terms
        self._pre_shared, self._record, self._progress = pre_shared, record, progress
        self._now_utc_ns, self._wait_until, self._source = now_utc_ns, wait_until, source
        self._disclosed = 0  # by the reconciliation of earlier parts

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
        sifted, reported = self._parts(hello.parts)
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
        return self._make_key(sifted.bits(), counts, report.seed, sifted.corrected_bits)

    def _parts(self, most: int) -> tuple[Sifted, Message]:
        """Sift the pass as a whole, or part after part; the report of errors that follows the last one.

        Of a part behind which others follow, parities are told before the light of those is over (doc/security.md).
        """
        if most > 1 and self._terms.one_way:
            raise StationError('a pass is sifted in parts with interactive reconciliation only', where='terms')
        sifting = SatelliteSifting(
            self._link,
            self._transmitter,
            self._terms,
            self._record,
            self._session_id,
            self._source,
            self._now_utc_ns,
            self._wait_until,
            self._verify_tag,
            self._progress,
        )
        sifted, request = Sifted(most), self._link.receive(Kind.LOG_REQUEST)
        while True:
            sifting.sift(sifting.send_log(request), sifted)
            message = self._link.receive(*(Kind.ERROR_COUNTS, Kind.CORRECT)[: 1 if sifted.parts == most else 2])
            if message.kind is Kind.ERROR_COUNTS:
                return sifted, message
            seed = read_section(message, messages.Correct).seed
            self._leakage.begin(message.payload)
            request, self._disclosed = self._answer_parities(Kind.LOG_REQUEST, sifted.fresh, seed)
            sifted.keep()

    def _kept(self, sifted: Sifted, counts: KeyCounts, report: messages.ErrorCounts) -> KeptBits:
        """Bits that wait to be joined with those of other passes; the ground keeps its own."""
        self._verify_tag()
        if not may_be_kept(self._terms, counts, report.qber, self._leakage.earlier_bits + self._disclosed):
            raise ProtocolError('disagreement', 'the ground keeps sifted bits that may not be kept')
        about = KeptPass(self._session_id, sifted.last_ns, counts)
        return KeptBits(about, sifted.bits(), PackedBits.zeros(0))

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
        first, second = self._pre_shared.choose(hello.pre_shared_slots), None
        if hello.parts > 1:
            second = self._pre_shared.choose([slot for slot in hello.pre_shared_slots if slot != first])
        welcome = messages.Welcome(
            pre_shared_slot=first, second_slot=second, disclosed_before=disclosed_before, repeatable=repeatable
        )
        self._link.send(Kind.WELCOME, welcome)
        self._link.authenticate(*(self._pre_shared.attempt(slot) for slot in welcome.slots))
        self._greeting = [(slot, hello.pre_shared_slots) for slot in welcome.slots]

    def _verify_tag(self) -> None:
        """Verify the ground's tag; the first right one uses up the slot of pre-shared bits that it is made with."""
        self._link.verify_tag()
        while self._greeting:
            self._pre_shared.accept(*self._greeting.pop())

    def _counts(self, sifted: Sifted, report: messages.ErrorCounts) -> KeyCounts:
        errors = np.array([(0, *basis) for basis in report.errors], np.int64)
        try:
            counts = key_counts(self._terms, self._terms.key_pulses(sifted.spans), sifted.table, errors)
        except StationError as error:
            raise ProtocolError('disagreement', error.what) from error
        return counts.model_copy(update={'receiver': report.receiver, 'parted': sifted.parted})

    def _make_key(self, bits: PackedBits, counts: KeyCounts, seed: int, corrected: int = 0) -> SatelliteResult:
        """Make the key of all bits, the first of which (`corrected`) the ground has corrected before."""
        blocks = key_blocks(len(bits))
        request, disclosed = self._reconcile(bits, blocks, counts, seed, corrected)
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
        key, refill = compressed(self._link, kept, secret_bits, matrix)
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

    def _reconcile(
        self, bits: PackedBits, blocks: list[slice], counts: KeyCounts, seed: int, corrected: int
    ) -> tuple[Message, int]:
        """Run reconciliation; the ground's request to verify, and the number of bits disclosed."""
        if self._terms.one_way:
            record, progress = self._leakage.announce, self._progress
            disclosed = send_syndromes(self._link, bits, blocks, design_rate(counts), seed, record, progress)
            return self._link.receive(Kind.VERIFY_REQUEST), disclosed
        if not corrected:
            return self._answer_parities(Kind.VERIFY_REQUEST, bits, seed)
        with bits.plain(slice(corrected, None)) as plain:
            rest = PackedBits.of(plain)
        answered = self._answer_parities(Kind.VERIFY_REQUEST, rest, seed)
        rest.wipe()
        return answered

    def _answer_parities(self, end: Kind, bits: PackedBits, seed: int) -> tuple[Message, int]:
        """Answer the ground's queries about these bits; the message that ends them, and all that the run disclosed."""
        told = self._disclosed

        def record(disclosed: int, *said: bytes) -> None:
            self._leakage.announce(told + disclosed, *said)

        message, disclosed = answer_until(self._link, end, bits, seed, record, self._progress)
        return message, told + disclosed

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
