"""A pass that is being recorded, as it can be made into a key in parts meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.processing.tag_runs import predicted
from qkd_gs.session.manifest import FILE_NAME, Manifest, load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.session.writers import is_being_written
from qkd_gs.timing.sealed import SealedFile
from qkd_gs.timing.sealed.hybrid import SealingKey
from qkd_gs.timing.spans import where_true

# Ends of the parts, as shares of the light that is left: the last parts are short, since what is said of them is waited
# for.  Over 250 ms and 1 Mbit/s a part is corrected in less than the time that the next one takes.
_ENDS = (0.57, 0.80, 1.0)
_LEAST_NS = 30_000_000_000  # of the first part
_HALF_PASS_NS = 1_200_000_000_000
_STEP_NS = 100_000_000
_LOOK_S = 0.1

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
        self._folder, self._sleep, self._tags = folder, sleep, _Followed(folder, private_key)
        first_ns, end_ns = light_of_pass(folder, load_manifest(folder))
        self.start_ns = max(first_ns, now_ns())
        self.ends_ns: Sequence[int] = ends_of_parts(self.start_ns, end_ns)
        if self.ends_ns[0] - self.start_ns < _LEAST_NS:
            raise StationError('too little of the pass is left to make its key in parts', where=folder)

    def wait(self, until_ns: int, behind_ns: int) -> None:
        """Return once locked time up to a UTC is recorded, and tags for so long behind it.

        Raises
        ------
        StationError
            The recording has ended before.
        """
        while not self._recorded(until_ns, behind_ns):
            if is_being_written(self._folder):
                self._sleep(_LOOK_S)
            elif not self._recorded(until_ns, behind_ns):  # not written since the last look either
                raise StationError('the recording ended in the middle of the pass', where=self._folder)

    def _recorded(self, until_ns: int, behind_ns: int) -> bool:
        return self._tags.last_ns() > until_ns + behind_ns and self._lock_known(until_ns)

    def _lock_known(self, until_ns: int) -> bool:
        """Whether the manifest has the locked time up to a UTC: it is renewed several times a second."""
        kept_ns = (self._folder / FILE_NAME).stat().st_mtime_ns
        locked = load_manifest(self._folder).locked
        return bool(locked) and max(locked[-1].end_ns, kept_ns) >= until_ns


class _Followed:
    """Tags of the present run of the TDC."""

    def __init__(self, folder: Path, private_key: SealingKey) -> None:
        self._folder, self._private_key = folder, private_key
        self._path: Path | None = None
        self._last_ps = 0

    def last_ns(self) -> int:
        """UTC of the last tag so far, by the start of the run; 0 if there is none."""
        paths = tags_paths(self._folder)
        if not paths:
            return 0
        if paths[-1] != self._path:
            self._path, self._last_ps = paths[-1], 0
            sealed = SealedFile(paths[-1], self._private_key)
            self._start_ns, self._newer = sealed.start_ns(), sealed.followed()
        for block in self._newer():
            self._last_ps = int(block.time_ps[-1]) if len(block) else self._last_ps
        return self._start_ns + self._last_ps // 1000


def ends_of_parts(start_ns: int, end_ns: int) -> list[int]:
    """UTC up to which the parts reach of light between two times."""
    return [start_ns + round(share * (end_ns - start_ns)) for share in _ENDS]


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
