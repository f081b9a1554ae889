"""A pass that is being recorded, as it can be made into a key in parts meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.processing.parts_plan import BEHIND_NS
from qkd_gs.processing.tag_runs import predicted
from qkd_gs.session.manifest import Manifest, load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.session.writers import is_being_written
from qkd_gs.timing.hybrid import SealingKey
from qkd_gs.timing.sealed import SealedFile
from qkd_gs.timing.spans import where_true

# Ends of the parts before the end of the light: the last parts are short, since what is said of them is waited for.
# Over 250 ms and 1 Mbit/s a part is corrected in less than the time that the next one takes.
BEFORE_END_NS = (110_000_000_000, 45_000_000_000, 0)
_LEAST_NS = 60_000_000_000  # of the first part
_HALF_PASS_NS = 1_200_000_000_000
_STEP_NS = 100_000_000
_LOOK_S = 0.5

Sleep = Callable[[float], None]


class LiveRecording:
    """A session that is being recorded.

    Parameters
    ----------
    folder : Path
        The session.
    private_key : SealingKey
        Opens its tags.
    now_ns, sleep : callable
        UTC, ns, and a wait of some seconds.

    Attributes
    ----------
    start_ns : int
        UTC at which the satellite rises above the data elevation, or now.
    ends_ns : sequence of int
        UTC up to which each part reaches; with the last one it sinks below the data elevation.

    Raises
    ------
    StationError
        The pass cannot be made into a key in parts: it has no orbit that tells its end, or too little of it is left.
    """

    def __init__(self, folder: Path, private_key: SealingKey, now_ns: Callable[[], int], sleep: Sleep) -> None:
        self._folder, self._private_key = folder, private_key
        self._now_ns, self._sleep = now_ns, sleep
        first_ns, end_ns = light_of_pass(folder, load_manifest(folder))
        self.start_ns = max(first_ns, now_ns())
        self.ends_ns: Sequence[int] = [end_ns - before_ns for before_ns in BEFORE_END_NS]
        if self.ends_ns[0] - self.start_ns < _LEAST_NS:
            raise StationError('too little of the pass is left to make its key in parts', where=folder)

    def wait(self, until_ns: int) -> None:
        """Return once tags and locked time up to a UTC are recorded.

        Raises
        ------
        StationError
            The recording has ended before.
        """
        while not (self._now_ns() >= until_ns and self._recorded(until_ns)):
            if not is_being_written(self._folder):
                if self._recorded(until_ns):
                    return
                raise StationError('the recording ended in the middle of the pass', where=self._folder)
            self._sleep(_LOOK_S)

    def _recorded(self, until_ns: int) -> bool:
        locked, paths = load_manifest(self._folder).locked, tags_paths(self._folder)
        if not paths or not locked or locked[-1].end_ns < until_ns - BEHIND_NS:
            return False
        sealed, last_ps = SealedFile(paths[-1], self._private_key), 0
        for block in sealed.blocks(require_end=False):
            last_ps = int(block.time_ps[-1]) if len(block) else last_ps
        return sealed.start_ns() + last_ps // 1000 > until_ns


def light_of_pass(folder: Path, manifest: Manifest) -> tuple[int, int]:
    """UTC between which the satellite is above the data elevation.

    Raises
    ------
    StationError
        The session has no orbit, or the satellite does not come up so high.
    """
    middle_ns = manifest.culmination_ns
    path = predicted(folder, manifest, middle_ns - _HALF_PASS_NS, middle_ns + _HALF_PASS_NS)
    if not isinstance(path, Trajectory):
        raise StationError('a session without an orbit is processed when it is over', where=folder)
    t_ns = np.arange(path.start_ns, path.end_ns, _STEP_NS, dtype=np.int64)
    above = where_true(t_ns, path.table(t_ns).el_rad >= np.radians(manifest.station.tracking.data_el_deg))
    for first_ns, last_ns in above.tolist():
        if first_ns <= middle_ns <= last_ns:
            return int(first_ns), int(last_ns)
    raise StationError('the satellite does not rise above the data elevation', where=folder)
