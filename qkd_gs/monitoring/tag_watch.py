"""Watches from outside the detector's process whether tags are recorded during a pass."""

from __future__ import annotations

from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.timing.live import CountBin
from qkd_gs.tracking.types import RECORDED, Phase

_STILL_NS = 1_500_000_000  # a chunk is written every 0.4 s; in the dark, too, there are PPS pulses and dark counts
_DETECTORS = ('H', 'V', 'D', 'A')
_MOST_DEAD = 0.2  # of the time; a pass, its noise included, keeps a detector dead for less than a thousandth


def size_of_tags(folder: Path) -> int | None:
    """Bytes of all tag files of a session; None: the folder or its files cannot be found."""
    try:
        return sum(path.stat().st_size for path in tags_paths(folder))
    except (StationError, OSError):
        return None


class TagWatch:
    """Finds troubles of the tags of the pass under way; times are station time.

    Nobody but the disk and the published counts is believed: a detector that reports no fault may still record
    nothing.

    Parameters
    ----------
    dead_time_ns : float
        Dead time of a detector.
    """

    def __init__(self, dead_time_ns: float) -> None:
        self._dead_time_s = dead_time_ns * 1e-9
        self._folder = ''
        self._size = 0
        self._grown_ns = 0
        self._locked_ns: int | None = None  # since when the satellite is held
        self._wrong = ''

    def session(self, now_ns: int, phase: Phase, folder: str) -> None:
        """Take the state of the pass."""
        if phase is not Phase.FINE:
            self._locked_ns = None
        elif self._locked_ns is None:
            self._locked_ns = now_ns
        folder = folder if phase in RECORDED else ''
        if folder != self._folder:
            self._folder, self._size, self._grown_ns, self._wrong = folder, 0, now_ns, ''

    def counted(self, counts: CountBin) -> None:
        """Take the counts of a bin."""
        photons, beacon = counts.counts[:4], counts.counts[4]
        locked = self._locked_ns is not None and counts.start_ns >= self._locked_ns
        rates_cps = [count / counts.seconds for count in photons]
        bright = [name for name, cps in zip(_DETECTORS, rates_cps, strict=True) if cps * self._dead_time_s > _MOST_DEAD]
        blind = [name for name, count in zip(_DETECTORS, photons, strict=True) if not count]
        if bright:
            said = f'detector {" and ".join(bright)} counts up to {max(rates_cps) * 1e-6:.1f} million a second'
            self._wrong = f'too much light: {said}'
        elif len(blind) == len(_DETECTORS):
            self._wrong = 'no photons are counted'
        elif blind and locked:
            self._wrong = f'detector {" and ".join(blind)} counts nothing'
        elif locked and not beacon:
            self._wrong = 'no synchronization pulses are counted'
        else:
            self._wrong = ''

    def trouble(self, now_ns: int, size: int | None) -> str:
        """Say what is wrong; empty: tags are recorded, or no pass is under way.

        Parameters
        ----------
        size : int or None
            From `size_of_tags`, of the session of the pass.
        """
        if not self._folder:
            return ''
        if size is not None and size > self._size:
            self._size, self._grown_ns = size, now_ns
        still_ns = now_ns - self._grown_ns
        if still_ns <= _STILL_NS:
            return self._wrong
        if not size:
            return f'no tags are recorded: there is no tag file in {self._folder}'
        return f'no tags are recorded: their file has not grown for {still_ns * 1e-9:.1f} s'
