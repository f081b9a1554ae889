"""All detections of a session, packed as the messages that announce them; only their bits stay in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.timing.spans import PulseSpan


class _Block(NamedTuple):
    """A block of detections: its public announcement is in the spool, its secret bits are in memory only."""

    spool: Spool
    record: int
    bits: PackedBits

    @property
    def announcement(self) -> bytes:
        return self.spool.record(self.record)


class DetectionLog:
    """Collects detections and returns them block by block.

    Parameters
    ----------
    spans : sequence of (first, last) pulse
        Locked time, ascending and disjoint; detections outside are discarded.
    spool : Spool, optional
        Storage of the announcements; in memory if not given.
    """

    def __init__(self, spans: Sequence[PulseSpan], spool: Spool | None = None) -> None:
        self._spans = spans
        self._spool = spool or Spool()
        self._waiting: list[Detections] = []
        self._waiting_number = 0
        self._blocks: list[_Block] = []
        self._number = 0

    @classmethod
    def of(cls, detections: Detections, spans: Sequence[PulseSpan]) -> DetectionLog:
        """Log of a complete set of detections."""
        log = cls(spans)
        log.add(detections)
        return log

    @classmethod
    def joined(cls, logs: Sequence[DetectionLog]) -> DetectionLog:
        """Concatenation of logs whose spans follow each other."""
        whole = cls([span for log in logs for span in log._spans])
        for log in logs:
            log._pack(everything=True)
            whole._blocks += log._blocks
            whole._number += log._number
        return whole

    def __len__(self) -> int:
        return self._number + self._waiting_number

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<DetectionLog of {len(self)} pulses>'

    def add(self, detections: Detections) -> None:
        """Append detections, which must follow those of the last call."""
        inside = detections.within(self._spans)
        if len(inside):
            self._waiting.append(inside)
            self._waiting_number += len(inside)
            self._pack(everything=False)

    def announcements(self) -> Iterator[bytes]:
        """Payloads with pulse numbers and bases, without bits."""
        self._pack(everything=True)
        for block in self._blocks:
            yield block.announcement

    def taken(self) -> Iterator[Detections]:
        """Detections of each announcement; each block is removed and wiped after it is returned."""
        self._pack(everything=True)
        self._blocks.reverse()
        while self._blocks:
            block = self._blocks.pop()
            pulse, basis = messages.read_detection_block(block.announcement)
            yield Detections(pulse, basis, block.bits[:])
            block.bits.wipe()

    def _pack(self, everything: bool) -> None:
        size = messages.DETECTION_BLOCK
        if not self._waiting or (self._waiting_number < size and not everything):
            return
        pulse = np.concatenate([part.pulse for part in self._waiting])
        basis = np.concatenate([part.basis for part in self._waiting])
        bit = np.concatenate([part.bit for part in self._waiting])
        whole = len(pulse) if everything else len(pulse) // size * size
        for start in range(0, whole, size):
            part = slice(start, min(start + size, whole))
            record = self._spool.add(messages.detection_block(pulse[part], basis[part]))
            self._blocks.append(_Block(self._spool, record, PackedBits.of(bit[part])))
        self._number += whole
        rest = Detections(pulse[whole:], basis[whole:], bit[whole:])
        self._waiting, self._waiting_number = ([rest] if len(rest) else []), len(rest)
