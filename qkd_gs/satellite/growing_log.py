"""A transmitter log that grows while its pulses leave: a folder of packed logs, each linked into place.

The files follow each other without a gap.  A name with a leading dot is a draft and is not looked at; every other one
must be a log.  Of the states, only those of a few files are mapped at a time.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.keys.files import check_private
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.qkd.protocol.messages import LOG_BLOCK
from qkd_gs.qkd.sifting.states import BeaconLog, PulseStates
from qkd_gs.satellite.log_format import LogHead
from qkd_gs.satellite.log_transmitter import LogTransmitter
from qkd_gs.timing.pulse_times import PulseTimes

LATE_NS = 30 * 10**9
_LOOK_S = 0.1  # between two looks for new files
_OPEN = 16  # files whose states are mapped
_LEAST_BEACON = 2
_STEP_TOLERANCE = 0.01  # of the beacon's period, between two files: as the ground has it


@dataclass(frozen=True)
class _Piece:
    """Part of a file that is kept in memory."""

    path: Path
    head: LogHead
    beacon_pulses: int
    beacon_ps: tuple[int, int]  # first and last time; (0, 0) without a beacon

    @property
    def beacon_end(self) -> int:
        return self.head.beacon_index + self.beacon_pulses


class GrowingLog:
    """Record of the states sent, from a folder of transmitter logs to which others are added.

    Pulses that have been sent and are not in the log yet are waited for.

    Parameters
    ----------
    path : Path
        The folder.
    now_ns, sleep : callable
        UTC, ns, and a wait of some seconds.

    Attributes
    ----------
    path : Path

    Raises
    ------
    StationError
        No log in the folder; or a file of it is open to others, not a sound log, of another source or epoch than the
        one before it, or overlaps with that.
    """

    def __init__(
        self, path: Path, now_ns: Callable[[], int] = time.time_ns, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.path = path
        self._now_ns, self._sleep = now_ns, sleep
        self._pieces: list[_Piece] = []  # ascending
        self._joined = 0  # pieces in front of the first gap
        self._opened = lru_cache(maxsize=_OPEN)(self._open)
        self._look()
        if not self._pieces:
            raise StationError('holds no transmitter log yet', where=path, hint='make one with qkd-gs satellite pack')

    @property
    def head(self) -> LogHead:
        """Head of all files in front of the first gap, as if they were one."""
        return replace(self._pieces[0].head, pulses=self._last.head.end - self._pieces[0].head.first_pulse)

    @property
    def files(self) -> int:
        """Number of files."""
        return len(self._pieces)

    def states(self, pulse: IntArray) -> PulseStates:
        """States of these pulse numbers.

        Raises
        ------
        StationError
            A pulse that is not in the log or not sent yet, or a state that is none; or a new file as of `GrowingLog`.
        """
        first, last = (int(pulse.min()), int(pulse.max())) if len(pulse) else (self.head.first_pulse,) * 2
        sent_ns = self.head.sent_ns(last)
        if sent_ns <= self._now_ns() and not self._comes(lambda: self.head.end > last, sent_ns):
            raise self._ended()
        if first < self.head.first_pulse or last >= self.head.end:
            outside = first if first < self.head.first_pulse else last
            raise StationError(f'pulse {outside} is not in the log of the transmitter', where=self.path)
        starts = [piece.head.first_pulse for piece in self._pieces[: self._joined]]
        number = np.searchsorted(starts, pulse, side='right') - 1
        found = PulseStates(*(np.empty(len(pulse), np.uint8) for _ in range(3)))
        for k in np.unique(number).tolist():
            of_piece = number == k
            states = self._opened(self._pieces[k]).states(pulse[of_piece])
            found.intensity[of_piece], found.basis[of_piece] = states.intensity, states.basis
            found.bit[of_piece] = states.bit
        return found

    def counts(self) -> IntArray:
        """Pulses by state, (12,); reads the whole log.

        Raises
        ------
        StationError
            A pulse without a state, or a gap between two files.
        """
        self._look()
        self._check_whole()
        counts: IntArray = np.sum([self._opened(piece).counts() for piece in self._pieces], axis=0)
        return counts

    def logged(self, first_utc_ns: int, last_utc_ns: int) -> tuple[int, int, int]:
        """First and last pulse of the log that left between two UTC times, and the UTC, ns, of the clock's zero."""
        self._ends_before(last_utc_ns, lambda: self.head.sent_ns(self.head.end) >= last_utc_ns)
        return *self.head.between(first_utc_ns, last_utc_ns), self.head.epoch_utc_ns

    def beacon_log(self, first_utc_ns: int, last_utc_ns: int) -> BeaconLog:
        """Log of the beacon pulses that leave between two UTC times; its times are read from files as these come.

        How many pulses are still to come is predicted from the log so far.  A log that has ended is as long as it is.

        Raises
        ------
        StationError
            As of `GrowingLog`, or there is a gap between two files.  Of the times: their file has not come `LATE_NS`
            after they were sent.
        """
        if not self.head.source.beacon_rate_hz:
            return BeaconLog(0, PulseTimes.of(np.empty(0, np.int64)), self.head.epoch_utc_ns)
        last_ps = self.head.clock_ps(last_utc_ns)
        ended = self._ends_before(last_utc_ns, lambda: self._last.beacon_ps[1] >= last_ps)
        first, end = self._beacon_before(self.head.clock_ps(first_utc_ns)), self._beacon_before(last_ps)
        length = max((min(end, self._last.beacon_end) if ended else end) - first, 0)

        def times_ps(block: int) -> IntArray:
            start = first + block * LOG_BLOCK
            return self._beacon_times(start, min(start + LOG_BLOCK, first + length))

        starts_ps = _FirstOfBlocks(-(-length // LOG_BLOCK), times_ps)
        return BeaconLog(first, PulseTimes(LOG_BLOCK, starts_ps, length, times_ps), self.head.epoch_utc_ns)

    @property
    def _last(self) -> _Piece:
        return self._pieces[self._joined - 1]

    def _beacon_before(self, time_ps: int) -> int:
        """Number of the first beacon pulse at or behind a time; of those to come, as the log so far tells."""
        last_ps = self._last.beacon_ps[1]
        if time_ps > last_ps:
            return self._last.beacon_end + max(ceil((time_ps - last_ps) / self._beacon_period_ps()) - 1, 0)
        k = bisect_left(self._pieces[: self._joined], time_ps, key=lambda piece: piece.beacon_ps[1])
        piece = self._pieces[k]
        return piece.head.beacon_index + int(np.searchsorted(self._opened(piece).beacon_ps, time_ps))

    def _beacon_period_ps(self) -> float:
        """Mean period of the log so far; the satellite's beacon need not go by the clock that it is tagged with."""
        first, last = self._pieces[0], self._last
        return (last.beacon_ps[1] - first.beacon_ps[0]) / (last.beacon_end - 1 - first.head.beacon_index)

    def _beacon_times(self, start: int, end: int) -> IntArray:
        """Times of the pulses `start` to `end` - 1 of the beacon, when their files are there."""
        behind = end - self._last.beacon_end
        due_ps = self._last.beacon_ps[1] + round(max(behind, 0) * self._beacon_period_ps())
        if not self._comes(lambda: self._last.beacon_end >= end, self.head.epoch_utc_ns + due_ps // 1000):
            raise self._ended()
        k = bisect_left(self._pieces[: self._joined], start + 1, key=lambda piece: piece.beacon_end)
        found = list[IntArray]()
        while start < end:
            piece = self._pieces[k]
            offset = start - piece.head.beacon_index
            found.append(self._opened(piece).beacon_ps[offset : offset + end - start])
            start, k = start + len(found[-1]), k + 1
        return np.concatenate(found)

    def _ends_before(self, utc_ns: int, reached: Callable[[], bool]) -> bool:
        """Whether the log has ended before a time that is past, without a gap; its files are waited for."""
        self._look()
        ended = utc_ns <= self._now_ns() and not self._comes(reached, utc_ns)
        if ended:
            self._check_whole()
        return ended

    def _comes(self, reached: Callable[[], bool], sent_ns: int) -> bool:
        """Wait until the log reaches so far; False: it does not, `LATE_NS` after the UTC at which that was sent."""
        while not reached():
            late = self._now_ns() > sent_ns + LATE_NS  # first: what lay there in time counts, however late it is read
            self._look()
            if reached():
                return True
            if late:
                return False
            self._sleep(_LOOK_S)
        return True

    def _ended(self) -> StationError:
        self._check_whole()
        last = self.head.end - 1
        return StationError(
            f'the log ends with pulse {last}, sent at {format_utc(self.head.sent_ns(last))}; a file of later ones has'
            f' not come within {LATE_NS // 10**9} s',
            where=self.path,
        )

    def _check_whole(self) -> None:
        """Refuse a gap."""
        if self._joined < len(self._pieces):
            behind = self._pieces[self._joined]
            raise StationError(
                f'begins with pulse {behind.head.first_pulse}, but the log before it ends with pulse'
                f' {self._last.head.end - 1}',
                where=behind.path,
                hint='a file of the log is missing',
            )

    def _look(self) -> None:
        """Take in new files; all of them, or none if one cannot be taken."""
        known = {piece.path.name for piece in self._pieces}
        try:
            names = sorted(name for name in os.listdir(self.path) if not name.startswith('.') and name not in known)
        except OSError as error:
            raise StationError(f'cannot be read: {error.strerror}', where=self.path) from error
        if not names:
            return
        new = [self._piece(self.path / name) for name in names]
        pieces = sorted([*self._pieces, *new], key=lambda piece: piece.head.first_pulse)
        joined = [_follows(before, piece) for before, piece in pairwise(pieces)]
        self._pieces, self._joined = pieces, 1 + (joined.index(False) if False in joined else len(joined))

    def _piece(self, path: Path) -> _Piece:
        check_private(path)
        log = LogTransmitter(path)
        if log.head.source.beacon_rate_hz and len(log.beacon_ps) < _LEAST_BEACON:
            raise StationError(f'has {len(log.beacon_ps)} pulses of the beacon, {_LEAST_BEACON} at least', where=path)
        if (np.diff(log.beacon_ps) <= 0).any():
            raise StationError("the beacon's time does not go on", where=path)
        ends_ps = (int(log.beacon_ps[0]), int(log.beacon_ps[-1])) if len(log.beacon_ps) else (0, 0)
        return _Piece(path, log.head, len(log.beacon_ps), ends_ps)

    def _open(self, piece: _Piece) -> LogTransmitter:
        log = LogTransmitter(piece.path)
        if log.head != piece.head or len(log.beacon_ps) != piece.beacon_pulses:
            raise StationError('is another log than the one that was here', where=piece.path)
        return log


class _FirstOfBlocks(Sequence[int]):
    """First time of each block, read when it is asked for."""

    def __init__(self, blocks: int, times_ps: Callable[[int], IntArray]) -> None:
        self._blocks, self._times_ps = blocks, times_ps

    def __len__(self) -> int:
        return self._blocks

    def __getitem__(self, block: int) -> int:  # type: ignore[override]  # nobody takes a slice
        return int(self._times_ps(range(self._blocks)[block])[0])


def _follows(before: _Piece, piece: _Piece) -> bool:
    """Whether a file goes on where the one before it ends; False: others are missing between.

    Raises
    ------
    StationError
        They do not belong together.
    """
    name, head = before.path.name, piece.head
    if head.epoch_utc_ns != before.head.epoch_utc_ns:
        raise StationError(f'has another epoch than {name}', where=piece.path)
    if head.source != before.head.source:
        raise StationError(f'is of another source than {name}', where=piece.path)
    if head.first_pulse < before.head.end or head.beacon_index < before.beacon_end:
        raise StationError(
            f'begins with pulse {head.first_pulse} and pulse {head.beacon_index} of the beacon, but {name} ends with'
            f' {before.head.end - 1} and {before.beacon_end - 1}',
            where=piece.path,
        )
    if head.first_pulse > before.head.end:
        return False
    if not head.source.beacon_rate_hz:
        return True
    period_ps, step_ps = 1e12 / head.source.beacon_rate_hz, piece.beacon_ps[0] - before.beacon_ps[1]
    if head.beacon_index > before.beacon_end or abs(step_ps / period_ps - 1) > _STEP_TOLERANCE:
        raise StationError(
            f'its beacon begins with pulse {head.beacon_index} at {piece.beacon_ps[0]} ps, that of {name} ends with'
            f' {before.beacon_end - 1} at {before.beacon_ps[1]} ps',
            where=piece.path,
        )
    return True
