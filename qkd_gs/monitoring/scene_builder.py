"""Collects the state of station and sky, and gives the shapes to draw and to delete."""

from __future__ import annotations

from collections.abc import Callable

from qkd_gs.monitoring.markers import Shape
from qkd_gs.monitoring.scene import SceneState, TargetPosition, Trail, draw
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.types import Phase

_STALE_NS = 2_000_000_000  # data older than this are not drawn
_SUN_EVERY_NS = 10_000_000_000  # it moves by 0.7 mrad meanwhile


class SceneBuilder:
    """State goes in by `update_...`; `step` gives the shapes to draw.

    Parameters
    ----------
    station : StationSettings
        Divergence of our beacon, zone around the Sun.
    sun : callable
        Apparent azimuth and elevation (rad) of the Sun at a time (ns).
    """

    def __init__(self, station: StationSettings, sun: Callable[[int], tuple[float, float]]) -> None:
        self._station, self._sun_at = station, sun
        self._sun: tuple[float, float] | None = None
        self._sun_ns = 0
        self._trail = Trail()
        self._target: TargetPosition | None = None
        self._phase = Phase.IDLE
        self._phase_ns = 0
        self._emitting_ns: int | None = None
        self._shown: frozenset[str] = frozenset()

    def update_target(self, seen: TargetPosition) -> None:
        """Position of the satellite."""
        self._target = seen
        self._trail.add(seen)

    def update_phase(self, stamp_ns: int, phase: Phase) -> None:
        """Phase of the tracker."""
        self._phase, self._phase_ns = phase, stamp_ns

    def update_beacon(self, stamp_ns: int, emitting: bool) -> None:
        """Whether our beacon is on."""
        self._emitting_ns = stamp_ns if emitting else None

    def step(self, now_ns: int) -> tuple[tuple[Shape, ...], frozenset[str]]:
        """Shapes to draw at `now_ns`, and the names of those to delete."""
        if self._sun is None or abs(now_ns - self._sun_ns) >= _SUN_EVERY_NS:
            self._sun, self._sun_ns = self._sun_at(now_ns), now_ns
        target = self._target if self._target is not None and _fresh(now_ns, self._target.stamp_ns) else None
        sky = SceneState(
            phase=self._phase if _fresh(now_ns, self._phase_ns) else Phase.IDLE,
            target=target,
            emitting=self._emitting_ns is not None and _fresh(now_ns, self._emitting_ns),
            sun=self._sun,
        )
        shapes = draw(sky, self._trail.points_m if target is not None else (), self._station)
        names = frozenset(shape.name for shape in shapes)
        gone, self._shown = self._shown - names, names
        return shapes, gone


def _fresh(now_ns: int, stamp_ns: int) -> bool:
    return abs(now_ns - stamp_ns) <= _STALE_NS
