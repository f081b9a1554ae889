"""The ground's side of the protocol: Bob, who asks, corrects his bits, and leads the run."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.amplification.key_request import matrix_bytes, request_key
from qkd_gs.qkd.finite_key.key_length import KeyLength
from qkd_gs.qkd.link.channel import Channel, Kind
from qkd_gs.qkd.link.codes import pack_bits
from qkd_gs.qkd.link.conversation import Conversation, PreShared
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol import messages, steps
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.exchange_cascade import correct
from qkd_gs.qkd.protocol.exchange_ldpc import correct_by_syndromes, design_rate, planned_bits
from qkd_gs.qkd.protocol.ledger import Booking, DisclosureLedger
from qkd_gs.qkd.protocol.result import KeyResult
from qkd_gs.qkd.protocol.steps import Progress, silent
from qkd_gs.qkd.reconciliation.cascade_bob import EFFICIENT, CascadeOptions
from qkd_gs.qkd.sifting import sift
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sift import PulseSpan
from qkd_gs.qkd.sifting.sifted import SiftedKey, Sifter, found_errors
from qkd_gs.qkd.sifting.states import BeaconLog
from qkd_gs.qkd.sifting.terms import Terms

RandomBytes = Callable[[int], bytes]
MIN_BIN_S = 5.0  # errors in shorter bins would say too much of single bits


@dataclass(frozen=True)
class _Corrected:
    """What reconciliation and verification left."""

    bits: PackedBits
    cuts: list[slice]
    agreed: ByteArray  # by frame
    disclosed_bits: int
    round_trips: int


class GroundSession:
    """One run of the protocol, step by step: `open`, `request_beacon_log`, `distil`, `confirm`.

    A run that fails raises, closes the channel and makes no key; the session can be processed again, and what
    the failed run disclosed is then charged to the key.

    Parameters
    ----------
    channel : Channel
        To the satellite's side.
    terms : Terms
        As agreed with it.
    session_id : str
        32 hexadecimal digits.
    pre_shared : PreShared
        Key shared beforehand, for the tags.
    ledger : DisclosureLedger
        Remembers what broken runs disclosed: the key store.
    random_bytes : callable
        Source of public but unpredictable bytes; seeded in simulated work alone.
    progress : callable
        Told the name of each step and how much of it is done, 0 to 1.
    options : CascadeOptions
        Of Cascade; `qkd_gs.qkd.corrector.QUICK` trades disclosed bits for round trips.  Whether Cascade is used
        at all is in the terms.
    bin_s : float
        Width of the bins in which errors over time are reported, at least 5 s.
    spool : Spool, optional
        Where the beacon log waits until it is needed; in memory without one.
    """

    def __init__(
        self,
        channel: Channel,
        terms: Terms,
        session_id: str,
        pre_shared: PreShared,
        ledger: DisclosureLedger,
        *,
        random_bytes: RandomBytes = secrets.token_bytes,
        progress: Progress = silent,
        options: CascadeOptions = EFFICIENT,
        bin_s: float = MIN_BIN_S,
        spool: Spool | None = None,
    ):
        if bin_s < MIN_BIN_S:
            raise ValueError(f'bins of {bin_s} s are shorter than {MIN_BIN_S} s')
        self._talk = Conversation(channel, station=True)
        self._terms, self._session_id, self._pre_shared = terms, session_id, pre_shared
        self._booking = Booking(ledger, session_id)
        self._random_bytes, self._progress = random_bytes, progress
        self._options, self._bin_s = options, bin_s
        self._pulses_a_bin = round(bin_s * terms.pulse_rate_hz)
        self._spool = spool or Spool()

    def open(self) -> None:
        """Greet, and agree on terms and on the pre-shared bits to use.

        Raises
        ------
        ProtocolError
            The other side does not agree, or is not there.
        StationError
            The pre-shared key is used up, or the session has its key already.
        """
        with self._talk.ended_by_faults():
            self._open()

    def _open(self) -> None:
        self._progress('open', 0.0)
        used, before = self._pre_shared.used_bits, self._booking.before
        hello = messages.Hello(
            session_id=self._session_id, terms=self._terms, pre_shared_first=used, disclosed_before=before
        )
        self._talk.say(Kind.HELLO, hello)
        welcome = self._talk.hear_section(Kind.WELCOME, messages.Welcome)
        self._booking.at_least(welcome.disclosed_before)
        self._talk.authenticate(self._pre_shared, welcome.pre_shared_first)
        self._progress('open', 1.0)

    def request_beacon_log(self, first_utc_ns: int, last_utc_ns: int, beacon_rate_hz: float = 1e4) -> BeaconLog:
        """Satellite's log of its beacon between two UTC times, vouched for by its tag.

        Raises
        ------
        ProtocolError
            Tampered with, another pre-shared key, or no log of a beacon of this rate.
        """
        with self._talk.ended_by_faults():
            return self._beacon_log(first_utc_ns, last_utc_ns, beacon_rate_hz)

    def _beacon_log(self, first_utc_ns: int, last_utc_ns: int, beacon_rate_hz: float) -> BeaconLog:
        self._progress('beacon log', 0.0)
        self._talk.say(Kind.LOG_REQUEST, messages.LogRequest(first_utc_ns=first_utc_ns, last_utc_ns=last_utc_ns))
        self._talk.vouch()
        head = self._talk.hear_section(Kind.LOG_HEAD, messages.LogHead)
        log = messages.read_log(head, self._log_blocks(head), 1e12 / beacon_rate_hz, self._spool)
        self._talk.check()
        return log

    def distil(
        self, detections: DetectionLog, locked: Sequence[PulseSpan], windows: Sequence[PulseSpan] = ()
    ) -> KeyResult:
        """Make the key: sifting, reconciliation, verification, privacy amplification.

        The result is to be stored before `confirm` is called.

        Parameters
        ----------
        detections : DetectionLog
            Gated and squashed, of the locked time; empty when this returns.
        locked : sequence of (first, last) pulse
            Locked time, ascending and not overlapping.
        windows : sequence of (first, last) pulse
            Stretches whose sifted bits are counted in `KeyResult.window_bits`.

        Returns
        -------
        KeyResult
            With an empty key and the reasons if the data do not allow one.

        Raises
        ------
        ProtocolError
            See `qkd_gs.qkd.faults`; no key.
        """
        spans = _checked(locked)
        try:
            with self._talk.ended_by_faults():
                return self._distil(detections, spans, windows)
        finally:
            self._booking.settle()

    def confirm(self) -> None:
        """Tell the satellite that the key is stored here, so that it may use its copy; ends the run."""
        self._talk.say(Kind.STORED, messages.KeyId(key_id=self._key_id))
        self._talk.vouch()
        self._talk.close()

    def _distil(self, detections: DetectionLog, spans: list[PulseSpan], windows: Sequence[PulseSpan]) -> KeyResult:
        sifted = self._sift(detections, spans, windows)
        cuts = sift.frames(len(sifted.bits))
        reason = self._hopeless(sifted, cuts)
        seed = int.from_bytes(self._random_bytes(8), 'big') >> 1
        self._report_errors(sifted, reason, seed)
        if reason:
            return self._without_key(sifted, reason)
        corrected = self._verify(cuts, sifted.bits, *self._reconcile(sifted, cuts, seed))
        return self._amplify(sifted, corrected)

    def _sift(self, detections: DetectionLog, spans: list[PulseSpan], windows: Sequence[PulseSpan]) -> SiftedKey:
        count, done = len(detections), 0
        self._progress('sifting', 0.0)
        self._talk.say(Kind.SIFT_HEAD, messages.SiftHead(locked=spans, detections=count))
        for announcement in detections.announcements():
            self._talk.say(Kind.DETECTIONS, announcement)
        sifter = Sifter(self._terms, self._pulses_a_bin, windows)
        for block in detections.taken():
            answer = self._talk.hear(Kind.SIFT_ANSWER).payload
            sifter.add(block, *messages.read_sift(answer, len(block)))
            done += len(block)
            self._progress('sifting', done / count)
        return sifter.finish(sift.pulses_in(spans))

    def _report_errors(self, sifted: SiftedKey, reason: str, seed: int) -> None:
        counts = sifted.counts
        errors = tuple((basis.decoy.errors, basis.vacuum.errors) for basis in (counts.hv, counts.da))
        self._talk.say(
            Kind.ERROR_COUNTS, messages.ErrorCounts(errors=errors, qber=sifted.qber, reason=reason, seed=seed)
        )
        self._talk.vouch()
        self._talk.check()

    def _hopeless(self, sifted: SiftedKey, cuts: list[slice]) -> str:
        """Why it ends here; if it goes on, what the satellite will disclose unasked is booked."""
        sizes, before = steps.sizes_of(cuts), self._booking.before
        reason = steps.hopeless(self._terms, sifted.counts, sizes, sifted.qber, before)
        if reason or not self._terms.one_way:
            return reason
        planned = planned_bits(cuts, design_rate(sifted.counts))
        reason = steps.hopeless(self._terms, sifted.counts, sizes, sifted.qber, before, planned)
        if not reason:
            self._booking.ahead(planned)
        return reason

    def _reconcile(self, sifted: SiftedKey, cuts: list[slice], seed: int) -> tuple[int, int]:
        before = self._talk.round_trips
        if self._terms.one_way:
            rate = design_rate(sifted.counts)
            disclosed = correct_by_syndromes(self._talk, sifted.bits, cuts, rate, seed, self._progress)
        else:
            book = self._booking.ahead
            disclosed = correct(self._talk, sifted.bits, sifted.qber, seed, self._options, book, self._progress)
        return disclosed, self._talk.round_trips - before

    def _verify(self, cuts: list[slice], bits: PackedBits, disclosed: int, trips: int) -> _Corrected:
        self._progress('verification', 0.0)
        length = self._terms.verification_bits
        self._booking.ahead(disclosed + len(cuts) * (length + 1))
        seed = self._random_bytes(verify.seed_bytes(length))  # drawn only now: nobody could aim at its collisions
        self._talk.say(Kind.VERIFY_REQUEST, seed)
        theirs = messages.read_digests(self._talk.hear(Kind.VERIFY_ANSWER).payload, len(cuts), length)
        mine = verify.digests(bits, cuts, seed, length)
        agreed = np.array([verify.same(*pair) for pair in zip(mine, theirs, strict=True)], np.uint8)
        self._progress('verification', 1.0)
        return _Corrected(bits, cuts, agreed, disclosed, trips)

    def _amplify(self, sifted: SiftedKey, corrected: _Corrected) -> KeyResult:
        self._progress('amplification', 0.0)
        cuts, agreed = corrected.cuts, corrected.agreed
        length = steps.certified(self._terms, sifted.counts, steps.sizes_of(cuts), self._charged(corrected))
        kept = steps.verified_bits(corrected.bits, cuts, agreed)
        matrix = self._random_bytes(matrix_bytes(len(kept), length.secret_bits))
        self._talk.say(Kind.VERIFY_OUTCOME, pack_bits(agreed))
        request_key(self._talk, length.secret_bits, corrected.disclosed_bits, matrix)
        self._key_id = self._talk.public_digest()
        self._talk.vouch()
        key = steps.amplify(kept, length.secret_bits, matrix)
        theirs = self._talk.hear_section(Kind.AMPLIFIED, messages.KeyId).key_id
        self._talk.check()
        if theirs != self._key_id:
            raise ProtocolError('disagreement', 'both sides give the key different names')
        result = self._result(sifted, corrected, length, key)
        for held in (kept, corrected.bits, sifted.measured):
            held.wipe()
        self._progress('amplification', 1.0)
        return result

    def _charged(self, corrected: _Corrected) -> int:
        """Bits that this and earlier runs disclosed, those of dropped frames included."""
        dropped = steps.dropped_bits(corrected.cuts, corrected.agreed)
        return corrected.disclosed_bits + dropped + self._booking.before

    def _without_key(self, sifted: SiftedKey, reason: str) -> KeyResult:
        """Result of a run that ended before anything of the key was disclosed."""
        self._key_id = self._talk.public_digest()
        nothing = _Corrected(sifted.bits, [], np.empty(0, np.uint8), 0, 0)
        length = steps.certified(self._terms, sifted.counts, [], self._booking.before)
        given_up = {'given_up': -float(length.secret_bits), 'secret_bits': 0.0} if length.secret_bits else {}
        length = replace(length, secret_bits=0, reason=reason, cost=length.cost | given_up)
        return self._result(sifted, nothing, length, PackedBits.zeros(0))

    def _result(self, sifted: SiftedKey, corrected: _Corrected, length: KeyLength, key: PackedBits) -> KeyResult:
        good = [cut for cut, agreed in zip(corrected.cuts, corrected.agreed, strict=True) if agreed]
        found = found_errors(sifted, corrected.bits, good, self._pulses_a_bin)
        # the key is certified without signal errors, which the satellite does not know; they only split a line of the
        # table of costs into what had to be disclosed and what was disclosed above it
        split = steps.certified(self._terms, found.counts, steps.sizes_of(corrected.cuts), self._charged(corrected))
        return KeyResult(
            session_id=self._session_id,
            key_id=self._key_id,
            key=key,
            counts=found.counts,
            qber=found.qber,
            f_ec=corrected.disclosed_bits / found.limit_bits if found.limit_bits else float('nan'),
            disclosed_bits=corrected.disclosed_bits,
            disclosed_before=self._booking.before,
            epsilon=length.epsilon,
            verified=bool(corrected.agreed.any()),
            frames=len(corrected.cuts),
            failed_frames=int((corrected.agreed == 0).sum()),
            round_trips=self._talk.round_trips,
            reconciliation_round_trips=corrected.round_trips,
            pre_shared_bits=self._talk.pre_shared_bits,
            bounds=length.bounds,
            epsilon_ledger=length.epsilon_ledger,
            cost=split.cost if split.secret_bits == length.secret_bits else length.cost,
            reasons=[length.reason] if length.reason else [],
            window_bits=sifted.window_bits,
            bin_s=self._bin_s,
            error_bins=found.bins,
        )

    def _log_blocks(self, head: messages.LogHead) -> Iterator[bytes]:
        for done in range(0, head.pulses, messages.LOG_BLOCK):
            yield self._talk.hear(Kind.LOG_BLOCK).payload
            self._progress('beacon log', min(1.0, (done + messages.LOG_BLOCK) / head.pulses))


def _checked(locked: Sequence[PulseSpan]) -> list[PulseSpan]:
    spans = [(int(first), int(last)) for first, last in locked]
    if not sift.ascending(spans):
        raise ValueError('locked spans overlap or are not ascending')
    return spans
