"""The ground's announcements of what it has detected, as a whole or in parts, and the satellite's answers."""

from __future__ import annotations

from collections.abc import Sequence

from qkd_gs.qkd.finite_key.counts import KeyCounts, Parted, Receiver
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.progress import Progress
from qkd_gs.qkd.protocol.session_record import AnnouncementDigest, Booking, SessionRecord
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import SiftedKey, Sifter
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spans import PulseSpan


class GroundSifting:
    """Announces detections, part after part, and collects the bits in matching bases.

    Parameters
    ----------
    link : AuthenticatedChannel
    terms : Terms
    session_id, source : str
        Session, and transmitter whose pulses are booked.
    record : SessionRecord
    pulses_a_bin : int
        Width of the time bins of errors.
    most_parts : int
        Parts for whose tags there are pre-shared bits; 1: the pass is sifted as a whole.
    progress : callable

    Attributes
    ----------
    parts : int
        Parts announced so far.
    last_ns : int
        When the last pulse was sent, UTC by the satellite's clock.
    """

    def __init__(
        self,
        link: AuthenticatedChannel,
        terms: Terms,
        session_id: str,
        source: str,
        record: SessionRecord,
        pulses_a_bin: int,
        most_parts: int,
        progress: Progress,
    ) -> None:
        self._link, self._terms, self._session_id, self._source = link, terms, session_id, source
        self._record, self._progress, self._most_parts = record, progress, most_parts
        self._sifter = Sifter(terms, pulses_a_bin)
        self._spans: list[PulseSpan] = []
        self._digest = ''
        self._expected: int | None = None
        self.parts = self.last_ns = 0

    def sift(
        self,
        epoch_utc_ns: int,
        detections: DetectionLog,
        spans: list[PulseSpan],
        windows: Sequence[PulseSpan],
        expected: int | None,
    ) -> None:
        """Announce a part, and take the answers to it.

        Parameters
        ----------
        epoch_utc_ns : int
            When the satellite's clock read 0.
        expected : int or None
            Sifted bits of the whole pass that the ground expects, if it is the first of several parts.
        """
        self.parts += 1
        if self.parts == 1 and self._most_parts > 1:
            self._expected = max(expected or len(detections), 1)
        head = messages.SiftHead(
            locked=spans, detections=len(detections), expected=self._expected if self.parts == 1 else None
        )
        self._progress('sifting', 0.0)
        self._book(head, detections, epoch_utc_ns)
        self._link.send(Kind.SIFT_HEAD, head.payload())
        for announcement in detections.announcements():
            self._link.send(Kind.DETECTIONS, announcement)
        self._link.send_tag()
        count, done = len(detections), 0
        for block in detections.taken():
            answer = self._link.receive(Kind.SIFT_ANSWER).payload
            self._sifter.add(block, *messages.read_sift(answer, len(block)), windows)
            done += len(block)
            self._progress('sifting', done / count)
        self._link.verify_tag()  # before a word about the errors
        self._spans += spans

    def new_bits(self) -> PackedBits:
        """Copy of the sifted bits of the parts since the last call."""
        return self._sifter.new_bits()

    def counts(self, receiver: Receiver | None = None) -> KeyCounts:
        """Counts of all parts so far."""
        parted = None if self._expected is None else Parted(parts=self._most_parts, expected=self._expected)
        return self._sifter.counts(self._terms.key_pulses(self._spans), receiver, parted)

    def finish(self, receiver: Receiver | None) -> SiftedKey:
        """Sifted key of all parts, by a receiver with these flaws."""
        return self._sifter.finish(self.counts(receiver))

    def _book(self, head: messages.SiftHead, detections: DetectionLog, epoch_utc_ns: int) -> None:
        """Book the pulses of the announcement before it is sent."""
        digest = AnnouncementDigest(head.payload(), self._digest)
        for announcement in detections.announcements():
            digest.add(announcement)
        self._digest = digest.hex()
        period_ps = PulsePeriod(self._terms.pulse_rate_hz).exact_ps
        booking = Booking.of(
            self._session_id, self._source, head.locked, epoch_utc_ns, period_ps, self._digest, self.parts
        )
        self._record.book_pulses(booking)
        self.last_ns = booking.spans_ns[-1][1]
