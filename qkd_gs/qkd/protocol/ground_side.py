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
from qkd_gs.qkd.protocol.ground_reconciliation import GroundReconciliation
from qkd_gs.qkd.protocol.ground_sifting import GroundSifting
from qkd_gs.qkd.protocol.kept_bits import KeptBits, KeptPass
from qkd_gs.qkd.protocol.key_budget import (
    certified_length,
    may_be_kept,
    reason_to_abort,
    reason_to_keep,
    too_many_errors,
)
from qkd_gs.qkd.protocol.leakage import LeakageAccount
from qkd_gs.qkd.protocol.log_request import LogRequest
from qkd_gs.qkd.protocol.progress import Progress, no_progress
from qkd_gs.qkd.protocol.repetition import tell_repeated
from qkd_gs.qkd.protocol.result import Corrected, KeyResult, key_result
from qkd_gs.qkd.protocol.session_record import SessionRecord
from qkd_gs.qkd.reconciliation.cascade_bob import EFFICIENT, CascadeOptions
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, key_blocks, verified_bits
from qkd_gs.qkd.sifting.error_rate import expected_qber
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import SiftedKey
from qkd_gs.qkd.sifting.states import BeaconLog, PublicLog
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.spans import PulseSpan, checked_spans

RandomBytes = Callable[[int], bytes]
MIN_BIN_S = 5.0  # errors in shorter bins would reveal too much about single bits


class GroundSession:
    """One run of the protocol, step by step: `open`, `request_beacon_log`, `make_key`, `confirm`.

    While light of the pass is still to come, parts of it can be sifted and corrected: a log, and `add_part`, for each.

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
    parts : int
        Parts in which the pass may be sifted, the last one included; over 1 it takes two slots of pre-shared bits.
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
        parts: int = 1,
    ):
        if bin_s < MIN_BIN_S:
            raise ValueError(f'bins of {bin_s} s are shorter than {MIN_BIN_S} s')
        self._link = AuthenticatedChannel(channel, station=True, transcript=transcript)
        self._terms, self._session_id, self._pre_shared = terms, session_id, pre_shared
        self._leakage = LeakageAccount(record, session_id)
        self._record = record
        self._random_bytes, self._progress = random_bytes, progress
        self._bin_s = bin_s
        self._pulses_a_bin = round(bin_s * terms.pulse_rate_hz)
        self._sifting = GroundSifting(
            self._link, terms, session_id, source, record, self._pulses_a_bin, parts, progress
        )
        self._parts = parts
        self._reconciliation = GroundReconciliation(self._link, terms, self._leakage, options, progress)
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
            parts=self._parts,
        )
        welcome = greet(self._link, hello, self._pre_shared)
        self._slots, self._leakage.other_earlier_bits = welcome.slots, welcome.disclosed_before
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
        self._accept_tag()
        self._epoch_utc_ns = epoch_utc_ns

    def _accept_tag(self) -> None:
        """Verify the satellite's tag; the first right one uses up the slots that it is made with."""
        self._link.verify_tag()
        while self._slots:
            self._pre_shared.accept(self._slots.pop())

    def add_part(
        self,
        detections: DetectionLog,
        locked: Sequence[PulseSpan],
        windows: Sequence[PulseSpan] = (),
        examine: Callable[[KeyCounts], str] = lambda _: '',
        expected: int | None = None,
    ) -> None:
        """Sift a part behind which others follow, and correct its bits; its log was requested last.

        Parameters
        ----------
        detections, locked, windows, examine, expected
            As of `make_key`, for this part; `examine` gets the counts of all parts so far.

        Raises
        ------
        StationError
            `examine` has a reason to make no key, or there are too many errors: no parity of this part is told.
        ProtocolError
            As of `make_key`.
        """
        spans = checked_spans(locked)
        try:
            with self._link.ended_by_faults():
                self._sifting.sift(self._epoch_utc_ns, detections, spans, windows, expected)
                self._correct_part(examine)
        finally:
            self._leakage.settle()

    def _correct_part(self, examine: Callable[[KeyCounts], str]) -> None:
        counts = self._sifting.counts()
        qber = expected_qber(counts)
        reason = examine(counts) or too_many_errors(self._terms, qber)
        if reason:
            raise StationError(f'part {self._sifting.parts} of the pass: {reason}', where=f'session {self._session_id}')
        seed, bits = self._public_seed(), self._sifting.new_bits()
        self._reconciliation.correct_part(bits, qber, seed)

    def make_key(
        self,
        detections: DetectionLog,
        locked: Sequence[PulseSpan],
        windows: Sequence[PulseSpan] = (),
        examine: Callable[[KeyCounts], str] = lambda _: '',
        receiver: Receiver | None = None,
        expected: int | None = None,
        few_trips: bool = False,
    ) -> KeyResult:
        """Make the key: sifting, reconciliation, verification, privacy amplification.

        Parts that were added before go into it.

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
            Flaws of the receiver, which cost key; taken for ideal if not given.  Of all parts.
        expected : int, optional
            Sifted bits of the whole pass, signal, decoy and vacuum, that the ground expects; said in the first of
            several parts.  The bound is best for as many, and holds for any number.
        few_trips : bool
            Correct the last of several parts in few round trips, for a slow link (`slow_link`), which costs a little
            key.  A repeated run should choose as the first one did: its parities cost nothing then.

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
                self._sifting.sift(self._epoch_utc_ns, detections, spans, windows, expected)
                return self._make_key(self._sifting.finish(receiver), examine, few_trips)
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

    @property
    def slow_link(self) -> bool:
        """Whether round trips have been slow in the parts so far."""
        return self._reconciliation.slow

    def _make_key(self, sifted: SiftedKey, examine: Callable[[KeyCounts], str], few_trips: bool) -> KeyResult:
        blocks = key_blocks(len(sifted.bits))
        reason, keep = examine(sifted.counts), False
        if not reason:
            told = self._leakage.earlier_bits + self._reconciliation.disclosed
            may = may_be_kept(self._terms, sifted.counts, sifted.qber, told)
            reason = reason_to_keep(self._terms, sifted.counts, block_sizes(blocks), sifted.qber) if may else ''
            keep = bool(reason)
            before = self._leakage.least_earlier_bits
            reason = reason or reason_to_abort(self._terms, sifted.counts, blocks, sifted.qber, before)
        seed = self._public_seed()
        self._report_errors(sifted, reason, seed, keep)
        if reason:
            return self._without_key(sifted, reason, keep)
        return self._amplify(sifted, self._corrected(sifted, blocks, seed, few_trips))

    def _corrected(self, sifted: SiftedKey, blocks: list[slice], seed: int, few_trips: bool = False) -> Corrected:
        self._reconciliation.correct(sifted, blocks, seed, few_trips)
        return self._reconciliation.verify(
            blocks, sifted.bits, self._random_bytes(verify.seed_bytes(self._terms.verification_bits))
        )

    def _public_seed(self) -> int:
        """Seed of the permutations; that of the first run, so that a repeated run asks for the same parities.

        Each part has its own, drawn after its announcement.
        """
        drawn = int.from_bytes(self._random_bytes(8), 'big') >> 1
        return self._record.public_seed(self._session_id, drawn, max(self._sifting.parts, 1))

    def _report_errors(self, sifted: SiftedKey, reason: str, seed: int, keep: bool) -> None:
        counts = sifted.counts
        errors = tuple((basis.decoy.errors, basis.vacuum.errors) for basis in (counts.hv, counts.da))
        report = messages.ErrorCounts(
            errors=errors, receiver=counts.receiver, qber=sifted.qber, reason=reason, seed=seed, keep=keep
        )
        if reason:
            self._link.send(Kind.ERROR_COUNTS, report)
        else:
            self._reconciliation.begin(Kind.ERROR_COUNTS, report, counts)

    def _amplify(self, sifted: SiftedKey, corrected: Corrected) -> KeyResult:
        self._progress('amplification', 0.0)
        blocks, agreed = corrected.blocks, corrected.agreed
        self._link.send(Kind.VERIFY_OUTCOME, pack_bits(agreed))
        tell_repeated(self._link, self._leakage)
        earlier = self._leakage.earlier_bits
        leaked = corrected.disclosed_with(earlier)
        length = certified_length(self._terms, sifted.counts, block_sizes(blocks), leaked, earlier)
        kept = verified_bits(corrected.bits, blocks, agreed)
        matrix = self._random_bytes(matrix_bytes(len(kept), amplified_bits(self._link, length.secret_bits)))
        request_key(self._link, length.secret_bits, corrected.disclosed_bits, matrix)
        self._key_id = self._link.public_digest()
        self._link.send_tag()
        key, refill = compressed(self._link, kept, length.secret_bits, matrix)
        compare_names(self._link, self._key_id)
        result = self._result(sifted, corrected, length, key, refill)
        for held in (kept, corrected.bits, sifted.measured):
            held.wipe()
        self._progress('amplification', 1.0)
        return result

    def _without_key(self, sifted: SiftedKey, reason: str, keep: bool) -> KeyResult:
        """Result of a run that was aborted before anything of the key was disclosed, or of its last part."""
        self._key_id = self._link.public_digest()
        nothing = self._reconciliation.corrected(sifted.bits, [], np.empty(0, np.uint8))
        earlier = self._leakage.earlier_bits
        length = certified_length(self._terms, sifted.counts, [], earlier + nothing.disclosed_bits, earlier)
        given_up = {'given_up': -float(length.secret_bits), 'secret_bits': 0.0} if length.secret_bits else {}
        length = replace(length, secret_bits=0, reason=reason, cost=length.cost | given_up)
        result = self._result(sifted, nothing, length, PackedBits.zeros(0), PackedBits.zeros(0))
        if not keep:
            return result
        self._link.send_tag()
        compare_names(self._link, self._key_id)
        about = KeptPass(self._session_id, self._sifting.last_ns, sifted.counts)
        return replace(result, kept=KeptBits(about, sifted.bits, sifted.basis))

    def _result(
        self, sifted: SiftedKey, corrected: Corrected, length: KeyLength, key: PackedBits, refill: PackedBits
    ) -> KeyResult:
        return key_result(
            self._terms,
            self._session_id,
            self._key_id,
            sifted,
            corrected,
            length,
            (key, refill),
            self._leakage.earlier_bits,
            (self._link.round_trips, self._link.pre_shared_bits),
            self._bin_s,
        )
