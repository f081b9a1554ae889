"""The satellite's log and its answers to announcements: for pulses that are safely past, and of each pulse once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import Parted
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel, read_section
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.progress import Progress
from qkd_gs.qkd.protocol.session_record import AnnouncementDigest, Booking, SessionRecord
from qkd_gs.qkd.sifting.key_counts import sifted_table
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.states import Intensity, Transmitter
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.public_pulses import disclosed_in, is_public
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spans import PulseSpan, ascending, within

SETTLED_NS = 10**9  # longer than light to a geostationary orbit and back; the ground's tag has come before
DISCLOSED_NS = 10 * 10**9  # of pulses that nobody has announced: the errors of both clocks, too


class Sifted:
    """Sifted bits so far, of a pass that may have `most` parts."""

    def __init__(self, most: int) -> None:
        self._most, self._earlier, self._expected = most, list[PackedBits](), 0
        self.parts = self.corrected_bits = self.last_ns = 0
        self.fresh = PackedBits.zeros(0)  # bits of the signal state, of the last part
        self.spans: list[PulseSpan] = []
        self.digest = ''  # of the last announcement
        self.table = np.zeros((2, 3), np.int64)  # sifted bits by basis and intensity

    def begin(self, head: messages.SiftHead) -> None:
        """Begin a part."""
        if (head.expected is not None) != (self._most > 1 and not self.parts):
            raise ProtocolError('malformed', 'the first of several parts, and no other, says what is expected of all')
        self._expected = head.expected or self._expected
        self.parts += 1
        self.spans += head.locked

    def keep(self) -> None:
        """The ground has corrected the last part."""
        self.corrected_bits += len(self.fresh)
        self._earlier.append(self.fresh)

    def bits(self) -> PackedBits:
        """Bits of all parts; afterwards they are here no more."""
        return PackedBits.joined([*self._earlier, self.fresh]) if self._earlier else self.fresh

    @property
    def parted(self) -> Parted | None:
        """Cost of the parts, paid by the key."""
        return Parted(parts=self._most, expected=self._expected) if self._most > 1 else None


@dataclass(frozen=True)
class Window:
    """Interval of the beacon log, which the ground requested under a tag."""

    utc_ns: tuple[int, int]
    period_ps: Fraction
    epoch_utc_ns: int

    def sent_ns(self, pulse: int) -> int:
        """UTC at which a pulse was sent, by the satellite's clock."""
        return self.epoch_utc_ns + pulse * self.period_ps // 1000


class SatelliteSifting:
    """Answers for pulses, part after part.

    Parameters
    ----------
    link : AuthenticatedChannel
    transmitter : Transmitter
    terms : Terms
    record : SessionRecord
    session_id, source : str
        Session, and name of the transmitter in the record.
    now_utc_ns, wait_until : callable
        The satellite's clock, and a wait until a UTC, ns, has come.
    verify_tag : callable
        Verifies the ground's next tag.
    progress : callable
    """

    def __init__(
        self,
        link: AuthenticatedChannel,
        transmitter: Transmitter,
        terms: Terms,
        record: SessionRecord,
        session_id: str,
        source: str,
        now_utc_ns: Callable[[], int],
        wait_until: Callable[[int], None],
        verify_tag: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._link, self._transmitter, self._terms, self._record = link, transmitter, terms, record
        self._session_id, self._source = session_id, source
        self._now_utc_ns, self._wait_until = now_utc_ns, wait_until
        self._verify_tag, self._progress = verify_tag, progress

    def send_log(self, asked: Message) -> Window:
        """Send the log that a message asks for, as far as it lies in the future while its pulses are sent.

        Raises
        ------
        ProtocolError
            Not asked for under the ground's tag, or longer than any pass.
        """
        request = read_section(asked, messages.LogRequest)
        self._verify_tag()
        if not 0 <= request.last_utc_ns - request.first_utc_ns <= messages.MAX_LOG_NS:
            raise ProtocolError('malformed', 'the requested beacon log is longer than any pass')
        head, blocks, pulses = self._public_log(request) if self._terms.public_pulses else self._beacon_log(request)
        self._link.send(Kind.LOG_HEAD, head)
        for done, block in enumerate(blocks):
            self._link.send(Kind.LOG_BLOCK, block)
            self._progress('beacon log', min(1.0, (done + 1) * pulses / head.pulses))
        self._link.send_tag()
        return Window(
            (request.first_utc_ns, request.last_utc_ns),
            PulsePeriod(self._terms.pulse_rate_hz).exact_ps,
            head.epoch_utc_ns,
        )

    def _beacon_log(self, request: messages.LogRequest) -> tuple[messages.LogHead, Iterator[bytes], int]:
        """Head, blocks, and pulses of a block."""
        log = self._transmitter.beacon_log(request.first_utc_ns, request.last_utc_ns)
        head = messages.LogHead(first_index=log.first_index, pulses=len(log.time_ps), epoch_utc_ns=log.epoch_utc_ns)
        return head, messages.log_blocks(log, self._wait_until), messages.LOG_BLOCK

    def _public_log(self, request: messages.LogRequest) -> tuple[messages.LogHead, Iterator[bytes], int]:
        """The same of the disclosed pulses; none is told of before its light has passed."""
        rule = self._terms.public_pulses
        assert rule is not None
        last_ns = min(request.last_utc_ns, self._now_utc_ns() - DISCLOSED_NS)
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

    def sift(self, window: Window, sifted: Sifted) -> None:
        """Sift announced detections; nothing is said of them before their tag is verified and they are booked."""
        announced = self._link.receive(Kind.SIFT_HEAD)
        head = read_section(announced, messages.SiftHead)
        self._check_spans(head.locked, window, sifted.spans)
        sifted.begin(head)
        key, answers = list[PackedBits](), list[bytes]()
        said = AnnouncementDigest(announced.payload, sifted.digest)
        for pulse, basis in messages.read_detections(head.detections, self._each(Kind.DETECTIONS, said)):
            if not within(pulse, head.locked).all():
                raise ProtocolError('malformed', 'detections outside locked time')
            if self._terms.public_pulses and is_public(self._terms.public_pulses, pulse).any():
                raise ProtocolError('malformed', 'detections of public pulses')
            states = self._transmitter.states(pulse)
            match = states.basis == basis
            answers.append(messages.pack_sift(match.astype(np.uint8), states.intensity, states.bit))
            sifted.table += sifted_table(basis[match], states.intensity[match])
            key.append(PackedBits.of(states.bit[match & (states.intensity == Intensity.SIGNAL)]))
        self._verify_tag()
        self._let_pass(window.sent_ns(head.locked[-1][1]))
        sifted.digest = said.hex()
        booking = Booking.of(
            self._session_id,
            self._source,
            head.locked,
            window.epoch_utc_ns,
            window.period_ps,
            sifted.digest,
            sifted.parts,
        )
        self._record.book_pulses(booking)
        for answer in answers:
            self._link.send(Kind.SIFT_ANSWER, answer)
        self._link.send_tag()
        self._progress('sifting', 1.0)
        sifted.fresh, sifted.last_ns = PackedBits.joined(key), booking.spans_ns[-1][1]

    def _let_pass(self, sent_ns: int) -> None:
        """Wait until a pulse that was sent is safely past."""
        if sent_ns > self._now_utc_ns():
            raise ProtocolError('malformed', 'locked time is not over yet')
        self._wait_until(sent_ns + SETTLED_NS)
        if sent_ns + SETTLED_NS > self._now_utc_ns():
            raise ProtocolError('malformed', 'locked time is only just over')

    def _check_spans(self, locked: list[PulseSpan], window: Window, before: list[PulseSpan]) -> None:
        """Refuse pulses outside the log that was asked for under a tag, and those of earlier parts."""
        if not ascending(locked) or (before and locked[0][0] <= before[-1][1]):
            raise ProtocolError('malformed', 'the spans of locked time are empty, unordered or overlapping')
        first_ns, last_ns = window.sent_ns(locked[0][0]), window.sent_ns(locked[-1][1])
        if first_ns < window.utc_ns[0] or last_ns > window.utc_ns[1]:
            raise ProtocolError('malformed', 'locked time lies outside the beacon log')

    def _each(self, kind: Kind, said: AnnouncementDigest) -> Iterator[bytes]:
        while True:
            payload = self._link.receive(kind).payload
            said.add(payload)
            yield payload
