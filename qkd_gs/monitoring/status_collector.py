"""Collects the messages of a running station into snapshots for a view."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import isfinite, nan, sqrt

from qkd_gs.monitoring.health import SILENT_S, NodeHealth
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.scene import TargetPosition
from qkd_gs.monitoring.snapshot import NO_STATION, KeyProgress, SessionStatus, Snapshot, SpotStatistics
from qkd_gs.timing.live import CountBin

SPOT_S = 30  # seconds of spots that are kept
_S = 10**9
_STALE_NS = 3 * _S  # older positions and counts are not shown


class SpotHistory:
    """Offsets of the last `SPOT_S` seconds of station time."""

    def __init__(self) -> None:
        self._spots: deque[tuple[int, float, float]] = deque()

    def add(self, stamp_ns: int, x_urad: float, y_urad: float) -> None:
        """Add a spot; one older than the last (clock set back, replay restarted) clears the history."""
        if self._spots and stamp_ns < self._spots[-1][0]:
            self._spots.clear()
        self._spots.append((stamp_ns, x_urad, y_urad))
        while self._spots[-1][0] - self._spots[0][0] > SPOT_S * _S:
            self._spots.popleft()

    def statistics(self, now_ns: int) -> SpotStatistics:
        """RMS of each of the last `SPOT_S` seconds, the newest one ending now, and of all of them."""
        squares = [[0.0, 0.0, 0.0] for _ in range(SPOT_S)]
        for stamp_ns, x, y in self._spots:
            ago = (now_ns - stamp_ns) // _S
            if 0 <= ago < SPOT_S:
                second = squares[SPOT_S - 1 - ago]
                second[0] += 1
                second[1] += x * x
                second[2] += y * y
        total = [sum(column) for column in zip(*squares, strict=True)]
        return SpotStatistics(
            _rms(total[1], total[0]),
            _rms(total[2], total[0]),
            tuple(_rms(x, count) for count, x, _ in squares),
            tuple(_rms(y, count) for count, _, y in squares),
        )


class StatusCollector:
    """Messages go in by `update_...`; `snapshot` gives the current state."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[NodeHealth, float]] = {}
        self._spots = SpotHistory()
        self._readiness: tuple[Readiness, float] | None = None
        self._session: SessionStatus | None = None
        self._coming: ComingPass | None = None
        self._planned = False
        self._target: TargetPosition | None = None
        self._counts: CountBin | None = None
        self._key: KeyProgress | None = None

    def update_node(self, health: NodeHealth, wall_s: float) -> None:
        """A heartbeat, at `wall_s` of any steady clock."""
        self._nodes[health.name] = (health, wall_s)

    def update_readiness(self, readiness: Readiness, wall_s: float) -> None:
        """From the monitor, at `wall_s` of the same clock."""
        self._readiness = readiness, wall_s

    def update_session(self, status: SessionStatus) -> None:
        """From the tracker; its spots are kept for some seconds."""
        self._session = status
        if isfinite(status.error_x_urad) and isfinite(status.error_y_urad):
            self._spots.add(status.stamp_ns, status.error_x_urad, status.error_y_urad)

    def update_coming(self, coming: ComingPass | None) -> None:
        """From the planner; None: no pass within a day."""
        self._coming, self._planned = coming, True

    def update_target(self, seen: TargetPosition) -> None:
        """From the planner."""
        self._target = seen

    def update_counts(self, counts: CountBin) -> None:
        """From the detector."""
        self._counts = counts

    def update_key(self, progress: KeyProgress) -> None:
        """From the post-processor."""
        self._key = progress

    def snapshot(self, now_ns: int, wall_s: float, speed: float = 1.0) -> Snapshot:
        """The station at station time `now_ns` and at `wall_s` of the clock used for the heartbeats."""
        target = self._target if self._target is not None and _fresh(now_ns, self._target.stamp_ns) else None
        counts = self._counts if self._counts is not None and _fresh(now_ns, self._counts.end_ns) else None
        return Snapshot(
            now_ns=now_ns,
            speed=speed,
            readiness=self._readiness_at(wall_s),
            session=self._session,
            coming=self._coming,
            planned=self._planned,
            el_rad=target.el_rad if target is not None else nan,
            range_m=target.range_m if target is not None else nan,
            spot=self._spots.statistics(now_ns),
            counts=counts,
            key=self._key,
            nodes=tuple(
                replace(health, heartbeat_age_s=wall_s - at_s) for _, (health, at_s) in sorted(self._nodes.items())
            ),
        )

    def _readiness_at(self, wall_s: float) -> Readiness:
        if self._readiness is None:
            return _starting(len(self._nodes))
        readiness, at_s = self._readiness
        if wall_s - at_s > SILENT_S:
            return Readiness(Level.ERROR, f'monitor has sent nothing for {wall_s - at_s:.0f} s')
        return readiness


def _starting(heard: int) -> Readiness:
    """Before the monitor has spoken."""
    if not heard:
        return NO_STATION
    return Readiness(Level.WARN, f'starting: {heard} node{"s are" if heard > 1 else " is"} heard, the monitor is not')


def _fresh(now_ns: int, stamp_ns: int) -> bool:
    return abs(now_ns - stamp_ns) <= _STALE_NS


def _rms(squares: float, count: float) -> float:
    return sqrt(squares / count) if count else nan
