"""The telescope finds its orientation on the stars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from qkd_gs.calibration.finding.search import REQUEST, Search, SearchState
from qkd_gs.calibration.observing.observation import Observation, ObservationState, Observed, Place, Sensed
from qkd_gs.calibration.outcome import aligned
from qkd_gs.calibration.plate_solving.solver import PlateSolver
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask


class FindItself(Observation):
    """Find the orientation from a compass alignment, or from what is left of a calibration."""

    task = MountTask.FINDING
    requests: Mapping[CameraRole, CameraRequest] = {CameraRole.GUIDING: REQUEST}
    images: ClassVar[CameraRole | None] = CameraRole.GUIDING

    def __init__(self, place: Place, solver: PlateSolver) -> None:
        super().__init__(place)
        self._solver = solver
        self._search: Search | None = None

    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """Begin with the first image; a set-point for the mount until the last one is there."""
        if self._search is None:
            if not sensed.frames:
                return Observed(ObservationState.RUNNING, None, 'waits for an image of the guiding camera')
            model = self._place.pointing.model
            self._search = Search(self._place.site, self._place.station, model, self._solver, now_ns)
        out = self._search.step(now_ns, sensed.mount, sensed.frames)
        state = {SearchState.DONE: ObservationState.DONE, SearchState.FAILED: ObservationState.FAILED}
        said = out.message or 'photographs the first strip of sky'
        return Observed(state.get(out.state, ObservationState.RUNNING), out.axes, said, out.work)

    def finish(self, now_ns: int, result: Any) -> None:
        """Take the identification of a strip, unless it was aborted meanwhile."""
        if self._search is not None and self._search.state is SearchState.SOLVING:
            self._search.finish(now_ns, result)

    def keep(self, now_ns: int) -> str:
        """Store the zero points, from which a calibration starts."""
        assert self._search is not None
        assert self._search.found is not None
        found = self._search.found
        aligned(found, self._place.pointing, self._place.station, now_ns).save(self._place.folder)
        return found.summary
