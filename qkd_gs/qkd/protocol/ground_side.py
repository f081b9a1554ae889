"""The ground's side of the protocol: Bob, who leads the run and corrects his bits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.amplification.key_request import amplified_bits, compressed, matrix_bytes, request_key
from qkd_gs.qkd.finite_key.counts import KeyCounts, Receiver
from qkd_gs.qkd.finite_key.key_length import KeyLength
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel, PreShared
from qkd_gs.qkd.link.channel import Channel, Kind
from qkd_gs.qkd.link.codes import pack_bits
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.confirmation import compare_names, exchange_confirmation, greet
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.exchange_cascade import correct
from qkd_gs.qkd.protocol.exchange_ldpc import correct_by_syndromes, design_rate, planned_bits
from qkd_gs.qkd.protocol.kept_bits import KeptBits, KeptPass
from qkd_gs.qkd.protocol.key_budget import certified_length, may_be_kept, reason_to_abort, reason_to_keep
from qkd_gs.qkd.protocol.leakage import LeakageAccount
from qkd_gs.qkd.protocol.log_request import LogRequest
from qkd_gs.qkd.protocol.progress import Progress, no_progress
from qkd_gs.qkd.protocol.repetition import tell_repeated
from qkd_gs.qkd.protocol.result import Corrected, KeyResult
from qkd_gs.qkd.protocol.session_record import AnnouncementDigest, Booking, SessionRecord
from qkd_gs.qkd.reconciliation.cascade_bob import EFFICIENT, CascadeOptions
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, dropped_bits, key_blocks, verified_bits
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import SiftedKey, Sifter, found_errors
from qkd_gs.qkd.sifting.states import BeaconLog, PublicLog
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.settings.loader import Section
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spans import PulseSpan, checked_spans

RandomBytes = Callable[[int], bytes]
MIN_BIN_S = 5.0  # errors in shorter bins would reveal too much about single bits


class GroundSession:
    """One run of the protocol, step by step: `open`, `request_beacon_log`, `distil`, `confirm`.

    A run that fails raises, closes the channel and makes no key.  The session can be processed again; the bits that
    the failed run disclosed are then subtracted from the key.

    Parameters
    ----------
    channel : Channel
        To the satellite's side.
    terms : Terms
        Terms to be agreed with the satellite.
    session_id : str
        32 hexadecimal digits.
    pre_shared : PreShared
        Key shared beforehand, for the tags.
    record : SessionRecord
        Durable record of announced pulses and disclosed bits: the key store.
    source : str
        Name of the satellite in that record.
    random_bytes : callable
        Source of public but unpredictable bytes; seeded only in simulated sessions.
    progress : callable
        Called with the name of each step and the fraction that is done, 0 to 1.
    options : CascadeOptions
        Settings of Cascade; `qkd_gs.qkd.reconciliation.cascade_bob.QUICK` discloses more bits in fewer round trips.
        The terms say whether Cascade is used.
    bin_s : float
        Width of the bins in which errors over time are reported, at least 5 s.
    spool : Spool, optional
        Storage of the beacon log; in memory if not given.
    transcript : TranscriptFile, optional
        Gets all messages, for an auditor.
    """

    def __init__(
        self,
        channel: Channel,
        terms: Terms,
        session_id: str,
        pre_shared: PreShared,
        record: SessionRecord,
        *,
        source: str = '',
        random_bytes: RandomBytes = secrets.token_bytes,
        progress: Progress = no_progress,
        options: CascadeOptions = EFFICIENT,
        bin_s: float = MIN_BIN_S,
        spool: Spool | None = None,
        transcript: TranscriptFile | None = None,
    ):
        if bin_s < MIN_BIN_S:
            raise ValueError(f'bins of {bin_s} s are shorter than {MIN_BIN_S} s')
        self._link = AuthenticatedChannel(channel, station=True, transcript=transcript)
        self._terms, self._session_id, self._pre_shared = terms, session_id, pre_shared
        self._leakage = LeakageAccount(record, session_id)
        self._record, self._source = record, source
        self._random_bytes, self._progress = random_bytes, progress
        self._options, self._bin_s = options, bin_s
        self._pulses_a_bin = round(bin_s * terms.pulse_rate_hz)
        self._spool = spool or Spool()
        self._joins: list[str] = []

    def open(self) -> None:
        """Agree on the terms and on the pre-shared bits to use.

        Raises
        ------
        ProtocolError
            The other side does not agree or does not answer.
        StationError
            The pre-shared key is used up, or the session has its key already.
        """
        with self._link.ended_by_faults():
            self._open()

    def _open(self) -> None:
        self._progress('open', 0.0)
        hello = messages.Hello(
            session_id=self._session_id,
            terms=self._terms,
            pre_shared_slots=self._pre_shared.offers(),
            disclosed_before=self._leakage.own_earlier_bits,
            joins=self._joins,
        )
        welcome = greet(self._link, hello, self._pre_shared)
        self._slot, self._leakage.other_earlier_bits = welcome.pre_shared_slot, welcome.disclosed_before
        self._leakage.other_repeatable_bits = min(welcome.repeatable, welcome.disclosed_before)
        self._progress('open', 1.0)

    def request_beacon_log(self, first_utc_ns: int, last_utc_ns: int, beacon_rate_hz: float = 1e4) -> BeaconLog:
        """Satellite's log of its beacon between two UTC times, authenticated by the satellite's tag.

        Raises
        ------
        ProtocolError
            Changed on the way, tagged with another pre-shared key, or not the log of a beacon of this rate.
        """
        with self._link.ended_by_faults():
            log = LogRequest(self._link, first_utc_ns, last_utc_ns, self._progress).beacon(beacon_rate_hz, self._spool)
            self._accept_log(log.epoch_utc_ns)
        return log

    def request_public_log(self, first_utc_ns: int, last_utc_ns: int) -> PublicLog:
        """Intensities of the disclosed pulses between two UTC times, authenticated by the satellite's tag.

        Raises
        ------
        ProtocolError
            Changed on the way, tagged with another pre-shared key, or not the pulses of the agreed rule.
        StationError
            The terms have no public pulses.
        """
        with self._link.ended_by_faults():
            if self._terms.public_pulses is None:
                raise StationError('the source has no public pulses', where='terms')
            log = LogRequest(self._link, first_utc_ns, last_utc_ns, self._progress).disclosed(self._terms.public_pulses)
            self._accept_log(log.epoch_utc_ns)
        return log

    def _accept_log(self, epoch_utc_ns: int) -> None:
        self._link.verify_tag()
        self._pre_shared.accept(self._slot)
        self._epoch_utc_ns = epoch_utc_ns

    def make_key(
        self,
        detections: DetectionLog,
        locked: Sequence[PulseSpan],
        windows: Sequence[PulseSpan] = (),
        examine: Callable[[KeyCounts], str] = lambda _: '',
        receiver: Receiver | None = None,
    ) -> KeyResult:
        """Make the key: sifting, reconciliation, verification, privacy amplification.

        Store the result before calling `confirm`.

        Parameters
        ----------
        detections : DetectionLog
            Gated and squashed detections of the locked time; empty when this returns.
        locked : sequence of (first, last) pulse
            Locked time, ascending and disjoint.
        windows : sequence of (first, last) pulse
            Intervals whose sifted bits are counted in `KeyResult.window_bits`.
        examine : callable
            Called with the counts after sifting; returns a reason to make no key, or nothing.
        receiver : Receiver, optional
            Flaws of the receiver, which cost key; taken for ideal if not given.

        Returns
        -------
        KeyResult
            With an empty key and the reasons if the data do not allow one.

        Raises
        ------
        ProtocolError
            See `qkd_gs.qkd.link.faults`; no key.
        """
        spans = checked_spans(locked)
        try:
            with self._link.ended_by_faults():
                return self._make_key(self._sift(detections, spans, windows, receiver), examine)
        finally:
            self._leakage.settle()

    def confirm(self) -> None:
        """Tell the satellite that the key is stored here, and wait until it says the same; ends the run.

        Raises
        ------
        ProtocolError
            No answer, or a changed one: whether the satellite may use its copy is unknown (`confirm_again`).
        """
        with self._link.ended_by_faults():
            exchange_confirmation(self._link, self._key_id)
        self._link.close()

    def _make_key(self, sifted: SiftedKey, examine: Callable[[KeyCounts], str]) -> KeyResult:
        blocks = key_blocks(len(sifted.bits))
        reason, keep = examine(sifted.counts), False
        if not reason:
            may = may_be_kept(self._terms, sifted.counts, sifted.qber, self._leakage.earlier_bits)
            reason = reason_to_keep(self._terms, sifted.counts, block_sizes(blocks), sifted.qber) if may else ''
            keep = bool(reason)
            before = self._leakage.least_earlier_bits
            reason = reason or reason_to_abort(self._terms, sifted.counts, blocks, sifted.qber, before)
        seed = self._public_seed()
        self._report_errors(sifted, reason, seed, keep)
        if reason:
            return self._without_key(sifted, reason, keep)
        corrected = self._verify(blocks, sifted.bits, *self._reconcile(sifted, blocks, seed))
        return self._amplify(sifted, corrected)

    def _sift(
        self,
        detections: DetectionLog,
        spans: list[PulseSpan],
        windows: Sequence[PulseSpan],
        receiver: Receiver | None,
    ) -> SiftedKey:
        count, done = len(detections), 0
        self._progress('sifting', 0.0)
        head = messages.SiftHead(locked=spans, detections=count)
        self._book(head, detections)
        self._link.send(Kind.SIFT_HEAD, head)
        for announcement in detections.announcements():
            self._link.send(Kind.DETECTIONS, announcement)
        self._link.send_tag()
        sifter = Sifter(self._terms, self._pulses_a_bin, windows)
        for block in detections.taken():
            answer = self._link.receive(Kind.SIFT_ANSWER).payload
            sifter.add(block, *messages.read_sift(answer, len(block)))
            done += len(block)
            self._progress('sifting', done / count)
        self._link.verify_tag()  # before a word about the errors
        return sifter.finish(self._terms.key_pulses(spans), receiver)

    def _book(self, head: messages.SiftHead, detections: DetectionLog) -> None:
        """Book the pulses of the announcement before it is sent."""
        digest = AnnouncementDigest(head.model_dump_json().encode())
        for announcement in detections.announcements():
            digest.add(announcement)
        period_ps = PulsePeriod(self._terms.pulse_rate_hz).exact_ps
        booking = Booking.of(self._session_id, self._source, head.locked, self._epoch_utc_ns, period_ps, digest.hex())
        self._record.book_pulses(booking)
        self._last_ns = booking.spans_ns[-1][1]

    def _public_seed(self) -> int:
        """Seed of the permutations; that of the first run, so that a repeated run asks for the same parities."""
        drawn = int.from_bytes(self._random_bytes(8), 'big') >> 1
        return self._record.public_seed(self._session_id, drawn)

    def _report_errors(self, sifted: SiftedKey, reason: str, seed: int, keep: bool) -> None:
        counts = sifted.counts
        errors = tuple((basis.decoy.errors, basis.vacuum.errors) for basis in (counts.hv, counts.da))
        report = messages.ErrorCounts(
            errors=errors, receiver=counts.receiver, qber=sifted.qber, reason=reason, seed=seed, keep=keep
        )
        if reason:
            self._link.send(Kind.ERROR_COUNTS, report)
        else:
            self._begin(Kind.ERROR_COUNTS, report, counts)

    def _begin(self, kind: Kind, report: Section, counts: KeyCounts) -> None:
        """Begin reconciliation; the leakage of a one-way one is recorded now, since the answer discloses it."""
        payload = report.model_dump_json().encode()
        self._leakage.begin(payload)
        if self._terms.one_way:
            self._leakage.announce(planned_bits(key_blocks(counts.sifted_bits), design_rate(counts)))
        self._link.send(kind, payload)

    def _reconcile(self, sifted: SiftedKey, blocks: list[slice], seed: int) -> tuple[int, int]:
        if self._terms.one_way:  # the syndromes answer the report of errors
            rate = design_rate(sifted.counts)
            return correct_by_syndromes(self._link, sifted.bits, blocks, rate, seed, self._progress), 0
        before, record = self._link.round_trips, self._leakage.announce
        disclosed = correct(self._link, sifted.bits, sifted.qber, seed, self._options, record, self._progress)
        return disclosed, self._link.round_trips - before

    def _verify(self, blocks: list[slice], bits: PackedBits, disclosed: int, trips: int) -> Corrected:
        self._progress('verification', 0.0)
        length = self._terms.verification_bits
        self._leakage.announce_hashes(disclosed + len(blocks) * (length + 1))
        seed = self._random_bytes(verify.seed_bytes(length))  # drawn only now, so nobody can construct collisions
        self._link.send(Kind.VERIFY_REQUEST, seed)
        theirs = messages.read_digests(self._link.receive(Kind.VERIFY_ANSWER).payload, len(blocks), length)
        mine = verify.digests(bits, blocks, seed, length)
        agreed = np.array([verify.same(*pair) for pair in zip(mine, theirs, strict=True)], np.uint8)
        self._progress('verification', 1.0)
        return Corrected(bits, blocks, agreed, disclosed, trips)

    def _amplify(self, sifted: SiftedKey, corrected: Corrected) -> KeyResult:
        self._progress('amplification', 0.0)
        blocks, agreed = corrected.blocks, corrected.agreed
        self._link.send(Kind.VERIFY_OUTCOME, pack_bits(agreed))
        tell_repeated(self._link, self._leakage)
        leaked, earlier = self._total_leakage(corrected), self._leakage.earlier_bits
        length = certified_length(self._terms, sifted.counts, block_sizes(blocks), leaked, earlier)
        kept = verified_bits(corrected.bits, blocks, agreed)
        matrix = self._random_bytes(matrix_bytes(len(kept), amplified_bits(length.secret_bits)))
        request_key(self._link, length.secret_bits, corrected.disclosed_bits, matrix)
        self._key_id = self._link.public_digest()
        self._link.send_tag()
        key, refill = compressed(kept, length.secret_bits, matrix)
        compare_names(self._link, self._key_id)
        result = self._result(sifted, corrected, length, key, refill)
        for held in (kept, corrected.bits, sifted.measured):
            held.wipe()
        self._progress('amplification', 1.0)
        return result

    def _total_leakage(self, corrected: Corrected) -> int:
        """Bits that this and earlier runs disclosed, including those of dropped blocks."""
        dropped = dropped_bits(corrected.blocks, corrected.agreed)
        return corrected.disclosed_bits + dropped + self._leakage.earlier_bits

    def _without_key(self, sifted: SiftedKey, reason: str, keep: bool) -> KeyResult:
        """Result of a run that was aborted before anything of the key was disclosed."""
        self._key_id = self._link.public_digest()
        nothing = Corrected(sifted.bits, [], np.empty(0, np.uint8), 0, 0)
        earlier = self._leakage.earlier_bits
        length = certified_length(self._terms, sifted.counts, [], earlier, earlier)
        given_up = {'given_up': -float(length.secret_bits), 'secret_bits': 0.0} if length.secret_bits else {}
        length = replace(length, secret_bits=0, reason=reason, cost=length.cost | given_up)
        result = self._result(sifted, nothing, length, PackedBits.zeros(0), PackedBits.zeros(0))
        if not keep:
            return result
        self._link.send_tag()
        compare_names(self._link, self._key_id)
        about = KeptPass(self._session_id, self._last_ns, sifted.counts)
        return replace(result, kept=KeptBits(about, sifted.bits, sifted.basis))

    def _result(
        self, sifted: SiftedKey, corrected: Corrected, length: KeyLength, key: PackedBits, refill: PackedBits
    ) -> KeyResult:
        good = [block for block, agreed in zip(corrected.blocks, corrected.agreed, strict=True) if agreed]
        found = found_errors(sifted, corrected.bits, good, self._pulses_a_bin)
        # The key length is certified without the signal errors, which the satellite does not know. They only split a
        # row of the cost table into the Shannon limit and the disclosure above it.
        leakage, sizes = self._total_leakage(corrected), block_sizes(corrected.blocks)
        split = certified_length(self._terms, found.counts, sizes, leakage, self._leakage.earlier_bits)
        return KeyResult(
            session_id=self._session_id,
            key_id=self._key_id,
            key=key,
            refill=refill,
            kept=None,
            counts=found.counts,
            qber=found.qber,
            f_ec=corrected.disclosed_bits / found.limit_bits if found.limit_bits else float('nan'),
            disclosed_bits=corrected.disclosed_bits,
            disclosed_before=self._leakage.earlier_bits,
            epsilon=length.epsilon,
            epsilon_split=length.epsilon_split,
            analysis=length.analysis,
            verified=bool(corrected.agreed.any()),
            blocks=len(corrected.blocks),
            failed_blocks=int((corrected.agreed == 0).sum()),
            round_trips=self._link.round_trips,
            reconciliation_round_trips=corrected.round_trips,
            pre_shared_bits=self._link.pre_shared_bits,
            bounds=length.bounds,
            epsilon_ledger=length.epsilon_ledger,
            cost=split.cost if split.secret_bits == length.secret_bits else length.cost,
            reasons=[length.reason] if length.reason else [],
            window_bits=sifted.window_bits,
            bin_s=self._bin_s,
            error_bins=found.bins,
        )
