"""Time tags of the TDC (time-to-digital converter)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from qkd_gs.arrays import ByteArray, IntArray


class Channel(IntEnum):
    """Inputs of the TDC.  A photon's channel is the raw key bit: it never leaves the sealed file."""

    H = 1
    V = 2
    D = 3  # +45 deg
    A = 4  # -45 deg
    BEACON = 5  # 10 kHz synchronizing pulses, 532 nm
    PPS = 6


FIRST, LAST = min(Channel), max(Channel)
QUANTUM = (Channel.H, Channel.V, Channel.D, Channel.A)  # the four single-photon detectors


@dataclass(frozen=True)
class TagBlock:
    """Tags of an interval of time.

    Attributes
    ----------
    time_ps : (n,) int64
        Picoseconds of the TDC's clock since the run started, ascending.
    channel : (n,) uint8
        One of `Channel`.

    Raises
    ------
    ValueError
        Times and channels do not match, or a channel is none of `Channel`: three bits are kept of it further on, in
        which it would be another one.
    """

    time_ps: IntArray
    channel: ByteArray

    def __post_init__(self) -> None:
        if self.time_ps.shape != self.channel.shape or self.time_ps.ndim != 1:
            raise ValueError(f'times {self.time_ps.shape} and channels {self.channel.shape} do not match')
        if len(self.channel) and not (self.channel.min() >= FIRST and self.channel.max() <= LAST):
            wrong = self.channel[(self.channel < FIRST) | (self.channel > LAST)][0]
            raise ValueError(f'{wrong} is no channel of the TDC: {FIRST} to {LAST}')

    def __len__(self) -> int:
        return len(self.time_ps)

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<TagBlock of {len(self)} tags>'

    def of(self, channel: Channel) -> IntArray:
        """Times of one channel."""
        times: IntArray = self.time_ps[self.channel == channel]
        return times
