"""Collects what is heard of a running station, and says at any moment what a view shows."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import isfinite, nan, sqrt

from qkd_gs.monitoring.health import SILENT_S, NodeHealth
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.scene import Seen
from qkd_gs.monitoring.snapshot import NOTHING_HEARD, KeyNews, SessionNews, Snapshot, SpotFigures
from qkd_gs.timing.live import CountBin

SPOT_S = 30  # seconds of spots that are kept
_S = 10**9
_STALE_NS = 3 * _S  # older news of the sky and of counts is not shown as if it were new


class SpotHistory:
    """Offsets of the last `SPOT_S` seconds of station time."""

    def __init__(self) -> None:
        self._spots: deque[tuple[int, float, float]] = deque()

    def add(self, stamp_ns: int, x_urad: float, y_urad: float) -> None:
        """A spot; one that is not newer than the last (a clock set back, a replay begun anew) begins anew."""
        if self._spots and stamp_ns < self._spots[-1][0]:
            self._spots.clear()
        self._spots.append((stamp_ns, x_urad, y_urad))
        while self._spots[-1][0] - self._spots[0][0] > SPOT_S * _S:
            self._spots.popleft()

    def figures(self, now_ns: int) -> SpotFigures:
        """RMS of every second of the last `SPOT_S`, the newest one ending now, and of all of them."""
        squares = [[0.0, 0.0, 0.0] for _ in range(SPOT_S)]
        for stamp_ns, x, y in self._spots:
            ago = (now_ns - stamp_ns) // _S
            if 0 <= ago < SPOT_S:
                second = squares[SPOT_S - 1 - ago]
                second[0] += 1
                second[1] += x * x
                second[2] += y * y
        total = [sum(column) for column in zip(*squares, strict=True)]
        return SpotFigures(
            _rms(total[1], total[0]),
            _rms(total[2], total[0]),
            tuple(_rms(x, count) for count, x, _ in squares),
            tuple(_rms(y, count) for count, _, y in squares),
        )


class Board:
    """What is heard goes in by `hear_...`; `snapshot` is what to show."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[NodeHealth, float]] = {}
        self._spots = SpotHistory()
        self._readiness: tuple[Readiness, float] | None = None
        self._session: SessionNews | None = None
        self._coming: ComingPass | None = None
        self._target: Seen | None = None
        self._counts: CountBin | None = None
        self._key: KeyNews | None = None

    def hear_node(self, health: NodeHealth, wall_s: float) -> None:
        """A heartbeat, at `wall_s` of any steady clock."""
        self._nodes[health.name] = (health, wall_s)

    def hear_readiness(self, readiness: Readiness, wall_s: float) -> None:
        """From the monitor, at `wall_s` of the same clock."""
        self._readiness = readiness, wall_s

    def hear_session(self, news: SessionNews) -> None:
        """From the tracker; its spots are kept for some seconds."""
        self._session = news
        if isfinite(news.error_x_urad) and isfinite(news.error_y_urad):
            self._spots.add(news.stamp_ns, news.error_x_urad, news.error_y_urad)

    def hear_coming(self, coming: ComingPass | None) -> None:
        """From the planner; None: no pass in sight."""
        self._coming = coming

    def hear_target(self, seen: Seen) -> None:
        """From the planner."""
        self._target = seen

    def hear_counts(self, counts: CountBin) -> None:
        """From the detector."""
        self._counts = counts

    def hear_key(self, news: KeyNews) -> None:
        """From the post-processor."""
        self._key = news

    def snapshot(self, now_ns: int, wall_s: float, speed: float = 1.0) -> Snapshot:
        """The station at station time `now_ns`, and `wall_s` of the clock that heartbeats were heard by."""
        target = self._target if self._target is not None and _fresh(now_ns, self._target.stamp_ns) else None
        counts = self._counts if self._counts is not None and _fresh(now_ns, self._counts.end_ns) else None
        return Snapshot(
            now_ns=now_ns,
            speed=speed,
            readiness=self._readiness_at(wall_s),
            session=self._session,
            coming=self._coming,
            el_rad=target.el_rad if target is not None else nan,
            range_m=target.range_m if target is not None else nan,
            spot=self._spots.figures(now_ns),
            counts=counts,
            key=self._key,
            nodes=tuple(replace(health, heard_s=wall_s - at_s) for _, (health, at_s) in sorted(self._nodes.items())),
        )

    def _readiness_at(self, wall_s: float) -> Readiness:
        if self._readiness is None:
            return NOTHING_HEARD
        said, at_s = self._readiness
        if wall_s - at_s > SILENT_S:
            return Readiness(Level.ERROR, f'monitor has not been heard for {wall_s - at_s:.0f} s')
        return said


def _fresh(now_ns: int, stamp_ns: int) -> bool:
    return abs(now_ns - stamp_ns) <= _STALE_NS


def _rms(squares: float, count: float) -> float:
    return sqrt(squares / count) if count else nan
