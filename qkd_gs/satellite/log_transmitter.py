"""The transmitter that a log describes; of the states only the pages are read that hold a pulse asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.keys.process_memory import allow_swapping
from qkd_gs.qkd.protocol.messages import LOG_BLOCK
from qkd_gs.qkd.sifting.states import BeaconLog, PulseStates
from qkd_gs.satellite.log_format import BEACON, BITS, PER_BYTE, STATES, first_impossible, opened
from qkd_gs.satellite.shares import STATES as STATE_VALUES
from qkd_gs.timing.pulse_times import PulseTimes

_BLOCK = 1 << 23
_STATE = np.uint8((1 << BITS) - 1)


class LogTransmitter:
    """Record of the states sent, from a transmitter log.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    path : Path
    head : LogHead
    beacon_ps : (n,) int64
        Times of all pulses of the beacon, by the transmitter's clock.

    Raises
    ------
    StationError
        Not a sound transmitter log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with opened(path) as (file, head):
            self.head = head
            offset = file[STATES].id.get_offset()
            self.beacon_ps: IntArray = file[BEACON][:]  # a pass has 30 MB of them
        self._states: ByteArray = np.memmap(path, np.uint8, 'r', offset, (-(-head.pulses // PER_BYTE),))
        allow_swapping(self._states)

    def states(self, pulse: IntArray) -> PulseStates:
        """States of these pulse numbers.

        Raises
        ------
        StationError
            A pulse that is not in the log, or whose state is none.
        """
        index = pulse - self.head.first_pulse
        outside = (index < 0) | (index >= self.head.pulses)
        if outside.any():
            raise StationError(
                f'pulse {pulse[int(np.argmax(outside))]} is not in the log of the transmitter', where=self.path.name
            )
        state = self._states[index // PER_BYTE] >> (index % PER_BYTE * BITS).astype(np.uint8) & _STATE
        if first_impossible(state) >= 0:
            raise StationError('holds a pulse without a state', where=self.path.name)
        return PulseStates(state >> np.uint8(2), state & np.uint8(1), state >> np.uint8(1) & np.uint8(1))

    def counts(self) -> IntArray:
        """Pulses by state, (12,); reads the whole log.

        Raises
        ------
        StationError
            A pulse without a state.
        """
        counts, left = np.zeros(STATE_VALUES, np.int64), self.head.pulses
        for start in range(0, len(self._states), _BLOCK):
            block = self._states[start : start + _BLOCK]
            both = np.stack([block & _STATE, block >> np.uint8(BITS)], axis=1).ravel()[:left]
            left -= len(both)
            if first_impossible(both) >= 0:
                number = self.head.first_pulse + start * PER_BYTE + first_impossible(both)
                raise StationError(f'pulse {number} has no state', where=self.path)
            counts += np.bincount(both, minlength=STATE_VALUES)
        return counts

    def logged(self, first_utc_ns: int, last_utc_ns: int) -> tuple[int, int, int]:
        """First and last pulse of the log that left between two UTC times, and the UTC, ns, of the clock's zero."""
        return *self.head.between(first_utc_ns, last_utc_ns), self.head.epoch_utc_ns

    def beacon_log(self, first_utc_ns: int, last_utc_ns: int) -> BeaconLog:
        """Log of the beacon pulses that left between two UTC times."""
        bounds_ps = [self.head.clock_ps(t_ns) for t_ns in (first_utc_ns, last_utc_ns)]
        first, end = np.searchsorted(self.beacon_ps, bounds_ps)
        times = PulseTimes.of(self.beacon_ps[first:end], LOG_BLOCK)
        return BeaconLog(self.head.beacon_index + int(first), times, self.head.epoch_utc_ns)
