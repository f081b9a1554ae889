"""Write the session of a simulated pass: the manifest from its first moment on, the telemetry at its end."""

from __future__ import annotations

import shutil
import uuid
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qkd_gs import __version__
from qkd_gs.errors import StationError
from qkd_gs.orbit.passes import Pass
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.session.manifest import Manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.calibration import Calibrated
from qkd_gs.sim.flight import FlightLog
from qkd_gs.timing.sealed import has_end

if TYPE_CHECKING:
    from qkd_gs.sim.simulate import Simulation

_KEEP_EVERY_NS = 10_000_000_000


class SessionBook:
    """A session's folder while its pass is taken.

    The manifest is renewed as the pass goes on, so that a session whose process died can be processed up to
    there.

    Parameters
    ----------
    folder : Path
        From `new_folder`.
    """

    def __init__(
        self,
        simulation: Simulation,
        found: Pass,
        station: StationSettings,
        calibrated: Calibrated,
        begin_ns: int,
        folder: Path,
    ) -> None:
        self._folder = folder
        self._begin_ns = self._kept_ns = begin_ns
        seed, source = simulation.seed, simulation.elements.path
        self._manifest = Manifest(
            session_id=uuid.uuid4().hex,  # of this run; the seed is what makes two runs alike
            simulated=True,
            software=f'qkd_gs {__version__}',
            created_utc=format_utc(begin_ns),
            satellite=found.satellite,
            elements_file=f'elements{source.suffix or ".txt"}',
            elements_used=found.orbit.describe(),
            site=simulation.site,
            pass_info=found.to_dict(),
            culmination_ns=found.culmination_ns,
            time_bias_s=0.0,
            cross_track_m=0.0,
            locked=[],
            closed=False,
            station=station,
            seed=seed,
            run={'seed': seed, 'calibration': calibrated.report.summary, 'scenario': simulation.scenario},
        )
        shutil.copyfile(source, folder / self._manifest.elements_file)
        self._manifest.save(folder)

    @property
    def session_id(self) -> bytes:
        """Sixteen bytes."""
        return bytes.fromhex(self._manifest.session_id)

    def keep(self, log: FlightLog) -> None:
        """Bring the manifest up to date if it is older than ten seconds."""
        if log.end_ns - self._kept_ns >= _KEEP_EVERY_NS:
            self._renew(log)

    def _renew(self, log: FlightLog) -> None:
        self._kept_ns = log.end_ns
        self._manifest = self._manifest.model_copy(
            update={
                'locked': log.locked_spans(),
                'time_bias_s': log.time_bias_s,
                'cross_track_m': log.cross_track_m,
            }
        )
        self._manifest.save(self._folder)

    def close(self, log: FlightLog, figures: dict[str, dict[str, Any]]) -> Manifest:
        """The pass is over: telemetry and figures."""
        self._renew(log)
        log.telemetry().save(self._folder)
        run = self._manifest.run | {'pass_s': (log.end_ns - self._begin_ns) * 1e-9}
        self._manifest = self._manifest.model_copy(
            update={'closed': has_end(tags_paths(self._folder)[-1]), 'run': run, **figures}
        )
        self._manifest.save(self._folder)
        return self._manifest


def finite(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures for JSON: what was not measured is None."""
    return {name: None if isinstance(v, float) and not isfinite(v) else v for name, v in figures.items()}


def new_folder(folder: Path) -> None:
    """Make the folder of a session.

    Raises
    ------
    StationError
        It is in use or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StationError('is not empty', where=folder, hint='give --session a new folder')
    except OSError as error:
        raise StationError(f'cannot be made: {error.strerror}', where=folder) from error
