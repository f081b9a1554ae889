"""The satellite's side of the protocol: Alice, who answers the ground; her bits are the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.amplification.amplify import compress
from qkd_gs.qkd.amplification.key_request import requested_key
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel, PreShared
from qkd_gs.qkd.link.channel import Channel, Kind, Message
from qkd_gs.qkd.link.codes import unpack_bits
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.exchange_cascade import answer_until
from qkd_gs.qkd.protocol.exchange_ldpc import design_rate, send_syndromes
from qkd_gs.qkd.protocol.key_budget import certified_length
from qkd_gs.qkd.protocol.leakage import LeakageAccount, LeakageRecord
from qkd_gs.qkd.protocol.progress import Progress, no_progress
from qkd_gs.qkd.protocol.result import SatelliteResult
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, dropped_bits, key_blocks, verified_bits
from qkd_gs.qkd.sifting.key_counts import key_counts, sifted_table
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.states import Intensity, Transmitter
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.spans import ascending, pulses_in, within


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
    leakage: LeakageRecord,
    progress: Progress = no_progress,
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
    leakage : LeakageRecord
        Record of the disclosed bits by session; on a real satellite it must outlive the process.
    progress : callable
        Told the name of each step and how much of it is done.

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
    link = AuthenticatedChannel(channel, station=False)
    with link.ended_by_faults():
        result = _Run(link, transmitter, terms, pre_shared, progress).run(leakage)
    link.close()
    return result


class _Run:
    def __init__(
        self,
        link: AuthenticatedChannel,
        transmitter: Transmitter,
        terms: Terms,
        pre_shared: PreShared,
        progress: Progress,
    ):
        self._link, self._transmitter, self._terms = link, transmitter, terms
        self._pre_shared, self._progress = pre_shared, progress

    def run(self, leakage: LeakageRecord) -> SatelliteResult:
        hello = self._link.receive_section(Kind.HELLO, messages.Hello)
        self._session_id = hello.session_id
        self._leakage = LeakageAccount(leakage, hello.session_id)
        try:
            return self._answer(hello)
        finally:
            self._leakage.settle()

    def _answer(self, hello: messages.Hello) -> SatelliteResult:
        self._welcome(hello)
        self._send_log()
        sifted = self._sift()
        report = self._link.receive_section(Kind.ERROR_COUNTS, messages.ErrorCounts)
        self._link.verify_tag()
        counts = self._counts(sifted, report)
        self._link.send_tag()
        if report.reason:
            nothing = SatelliteResult(
                session_id=self._session_id,
                key_id=self._link.public_digest(),
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
            raise StationError(f'the ground has different terms: {", ".join(differing)}', where='terms')
        first = max(hello.pre_shared_first, self._pre_shared.used_bits)
        self._leakage.raise_earlier(hello.disclosed_before)
        self._link.send(
            Kind.WELCOME, messages.Welcome(pre_shared_first=first, disclosed_before=self._leakage.earlier_bits)
        )
        self._link.authenticate(self._pre_shared, first)

    def _send_log(self) -> None:
        request = self._link.receive_section(Kind.LOG_REQUEST, messages.LogRequest)
        self._link.verify_tag()
        if not 0 <= request.last_utc_ns - request.first_utc_ns <= messages.MAX_LOG_NS:
            raise ProtocolError('malformed', 'the requested beacon log is longer than any pass')
        log = self._transmitter.beacon_log(request.first_utc_ns, request.last_utc_ns)
        head = messages.LogHead(first_index=log.first_index, pulses=len(log.time_ps), epoch_utc_ns=log.epoch_utc_ns)
        self._link.send(Kind.LOG_HEAD, head)
        for done, block in enumerate(messages.log_blocks(log)):
            self._link.send(Kind.LOG_BLOCK, block)
            self._progress('beacon log', min(1.0, (done + 1) * messages.LOG_BLOCK / head.pulses))
        self._link.send_tag()

    def _sift(self) -> _Sifted:
        head = self._link.receive_section(Kind.SIFT_HEAD, messages.SiftHead)
        if not ascending(head.locked):
            raise ProtocolError('malformed', 'the spans of locked time are empty, unordered or overlapping')
        table, key, answers = np.zeros((2, 3), np.int64), list[PackedBits](), list[bytes]()
        for pulse, basis in messages.read_detections(head.detections, self._each(Kind.DETECTIONS)):
            if not within(pulse, head.locked).all():
                raise ProtocolError('malformed', 'detections outside locked time')
            states = self._transmitter.states(pulse)
            match = states.basis == basis
            answers.append(messages.pack_sift(match.astype(np.uint8), states.intensity, states.bit))
            table += sifted_table(basis[match], states.intensity[match])
            key.append(PackedBits.of(states.bit[match & (states.intensity == Intensity.SIGNAL)]))
        for answer in answers:  # only now: the ground does not receive while it sends its announcements
            self._link.send(Kind.SIFT_ANSWER, answer)
        self._progress('sifting', 1.0)
        return _Sifted(PackedBits.joined(key), pulses_in(head.locked), table)

    def _counts(self, sifted: _Sifted, report: messages.ErrorCounts) -> KeyCounts:
        errors = np.array([(0, *basis) for basis in report.errors], np.int64)
        try:
            return key_counts(self._terms, sifted.pulses, sifted.table, errors)
        except StationError as error:
            raise ProtocolError('disagreement', error.what) from error

    def _make_key(self, sifted: _Sifted, counts: KeyCounts, report: messages.ErrorCounts) -> SatelliteResult:
        blocks = key_blocks(len(sifted.bits))
        request, disclosed = self._reconcile(sifted.bits, blocks, counts, report.seed)
        length = self._terms.verification_bits
        if len(request.payload) != verify.seed_bytes(length):
            raise ProtocolError('malformed', 'the seed of verification has the wrong size')
        hashes = len(blocks) * (length + 1)
        self._leakage.announce(disclosed + hashes)
        digests = verify.digests(sifted.bits, blocks, request.payload, length)
        self._link.send(Kind.VERIFY_ANSWER, messages.pack_digests(digests))
        agreed = unpack_bits(self._link.receive(Kind.VERIFY_OUTCOME).payload, len(blocks))
        dropped = dropped_bits(blocks, agreed)
        secret_bits, theirs, matrix = requested_key(self._link, len(sifted.bits) - dropped)
        key_id = self._link.public_digest()
        self._link.verify_tag()
        if theirs != disclosed:
            raise ProtocolError('disagreement', f'{disclosed} bits were disclosed, the ground counts {theirs}')
        leaked = disclosed + dropped + self._leakage.earlier_bits
        certified = certified_length(self._terms, counts, block_sizes(blocks), leaked)
        if secret_bits > certified.secret_bits:
            raise ProtocolError(
                'disagreement', f'the ground requests {secret_bits} bits, the data allow {certified.secret_bits}'
            )
        kept = verified_bits(sifted.bits, blocks, agreed)
        key = compress(kept, secret_bits, matrix)
        kept.wipe()
        sifted.bits.wipe()
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
        """Wait for the ground's message that it stored the key; without it the satellite's copy stays unconfirmed."""
        try:
            stored = self._link.receive_section(Kind.STORED, messages.KeyId)
            self._link.verify_tag()
        except ProtocolError:
            return made
        return replace(made, confirmed=stored.key_id == made.key_id)

    def _each(self, kind: Kind) -> Iterator[bytes]:
        while True:
            yield self._link.receive(kind).payload
