"""The detector process's core: tags into the sealed file, counts in bins of a second to everyone."""

from __future__ import annotations

from math import nan

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.settings.station import SourceSettings
from qkd_gs.timing.live import CountBin, live_figures
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.timing.tags import Channel, TagBlock

# A lone count in a short bin is a raw key bit, so nothing shorter than this ever leaves the process.
MIN_BIN_NS = 1_000_000_000


class TagCounter:
    """Say how many tags the TDC gives.

    Parameters
    ----------
    source : SourceSettings
        Rates of source and beacon.
    bin_ns : int
        Length of a published bin; at least `MIN_BIN_NS`.
    """

    def __init__(self, source: SourceSettings, bin_ns: int = MIN_BIN_NS) -> None:
        if bin_ns < MIN_BIN_NS:
            raise ValueError(f'bins of {bin_ns} ns are shorter than {MIN_BIN_NS} ns: a lone count is a key bit')
        self._bin_ns = bin_ns
        self._start_ns: int | None = None
        self._beacon_ps = 1e12 / source.beacon_rate_hz if source.beacon_rate_hz else nan
        self._pulse_ps = 1e12 / source.pulse_rate_hz
        self._bin: list[TagBlock] = []

    def step(self, now_ns: int, block: TagBlock) -> CountBin | None:
        """Take the tags up to `now_ns`; a bin when one is full."""
        if self._start_ns is None:
            self._start_ns = now_ns
        self._bin.append(block)
        if now_ns - self._start_ns < self._bin_ns:
            return None
        tags = TagBlock(
            np.concatenate([part.time_ps for part in self._bin]), np.concatenate([part.channel for part in self._bin])
        )
        counts = np.bincount(tags.channel, minlength=len(Channel) + 1)[1:]
        live = live_figures(tags, self._beacon_ps, self._pulse_ps)
        full = CountBin(self._start_ns, now_ns, tuple(counts.tolist()), live)
        self._start_ns = now_ns
        self._bin.clear()
        return full


class TagRecorder:
    """Seal what the TDC gives; say how much it was.

    Parameters
    ----------
    writer : SealedWriter
    source, bin_ns
        As of `TagCounter`.
    """

    def __init__(self, writer: SealedWriter, source: SourceSettings, bin_ns: int = MIN_BIN_NS) -> None:
        self._counter, self._writer = TagCounter(source, bin_ns), writer

    def step(self, now_ns: int, block: TagBlock) -> CountBin | None:
        """Take the tags up to `now_ns`; a bin when one is full."""
        self._writer.append(now_ns, block)
        return self._counter.step(now_ns, block)

    @property
    def trouble(self) -> StationError | None:
        """Reason why tags are not in the file yet; None: all of them are."""
        return self._writer.trouble

    def close(self) -> None:
        """Close the sealed file; what is left of the last bin is shorter than a second and stays untold.

        Raises
        ------
        StationError
            As `SealedWriter.close`; to be called again.
        """
        self._writer.close()

    def abandon(self) -> int:
        """Close the file as it is; returns the number of bytes that could not be written."""
        return self._writer.abandon()
