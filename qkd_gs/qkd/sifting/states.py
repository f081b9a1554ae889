"""Prepared states of the transmitter: basis, bit and intensity of each pulse, and the interface that returns them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.timing.pulse_times import PulseTimes


class Intensity(IntEnum):
    """Decoy-state intensity classes."""

    SIGNAL = 0
    DECOY = 1
    VACUUM = 2


class Basis(IntEnum):
    """BB84 bases.  Bit 0 is H in HV and D (+45 deg) in DA; bit 1 is V and A."""

    HV = 0
    DA = 1


@dataclass(frozen=True)
class PulseStates:
    """Prepared states of n pulses; vacuum pulses also have a random basis and bit."""

    intensity: ByteArray  # (n,) of Intensity
    basis: ByteArray  # (n,) of Basis
    bit: ByteArray  # (n,) 0 or 1

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<PulseStates of {len(self.bit)} pulses>'


@dataclass(frozen=True)
class BeaconLog:
    """The satellite's own time tags of its 10 kHz beacon pulses.

    Times are picoseconds of the satellite's clock, in which quantum pulse n leaves at n * 10,000 ps.
    """

    first_index: int  # running number of the first pulse in the log
    time_ps: PulseTimes
    epoch_utc_ns: int  # UTC at which the satellite's clock reads 0, by its GPS (good to about 1 us)


@dataclass(frozen=True)
class PublicLog:
    """Disclosed pulses of a source without a beacon.

    Attributes
    ----------
    starts : (b,) int64
        First pulses of the disclosed blocks, ascending.
    intensity : (b, block) uint8
        Of `Intensity`; neither basis nor bit is disclosed.
    epoch_utc_ns : int
        As in `BeaconLog`.
    """

    starts: IntArray
    intensity: ByteArray
    epoch_utc_ns: int


class Transmitter(Protocol):
    """The satellite's record of the states that it sent."""

    def states(self, pulse: IntArray) -> PulseStates:
        """States of these pulse numbers."""

    def beacon_log(self, first_utc_ns: int, last_utc_ns: int) -> BeaconLog:
        """Log of the beacon pulses that left between two UTC times."""

    def logged(self, first_utc_ns: int, last_utc_ns: int) -> tuple[int, int, int]:
        """First and last pulse on record that left between two UTC times, and the UTC, ns, of the clock's zero."""
