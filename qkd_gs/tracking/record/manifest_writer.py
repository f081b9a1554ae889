"""Manifest of a session while its pass is tracked: if a process dies, the session can be processed up to there."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from qkd_gs import __version__
from qkd_gs.errors import StationError
from qkd_gs.orbit.passes import Pass
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.session.manifest import LockedSpan, Manifest, create_manifest, update_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.timing.sealed import has_end

RESUMED = 'resumed'  # key in the manifest's `run`: how often the tracker was restarted during the pass


class ManifestWriter:
    """Keeps the manifest of a pass up to date: at the start, repeatedly during the pass, and at the end.

    Parameters
    ----------
    folder : Path
        Folder of the session; exists.
    manifest : Manifest
        As read from disk, or as written last.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @classmethod
    def begin(
        cls,
        folder: Path,
        found: Pass,
        site: Site,
        station: StationSettings,
        elements: Path,
        now_ns: int,
        simulated: bool,
        run: Mapping[str, Any],
    ) -> ManifestWriter:
        """A new session of a pass.

        Parameters
        ----------
        folder : Path
            From `new_folder`.
        station : StationSettings
            As calibrated.
        elements : Path
            File of the orbit; copied into the session.
        run : mapping
            Further facts to keep, e.g. the seed of a simulation.

        Raises
        ------
        StationError
            The folder cannot be written into.
        """
        manifest = Manifest(
            session_id=uuid.uuid4().hex,  # of this run; the seed is what makes two simulated runs alike
            simulated=simulated,
            software=f'qkd_gs {__version__}',
            created_utc=format_utc(now_ns),
            satellite=found.satellite,
            elements_file=f'elements{elements.suffix or ".txt"}',
            elements_used=found.orbit.describe(),
            site=site,
            pass_info=found.to_dict(),
            culmination_ns=found.culmination_ns,
            time_bias_s=0.0,
            cross_track_m=0.0,
            locked=[],
            closed=False,
            station=station,
            seed=run.get('seed'),
            run=dict(run),
        )
        try:
            shutil.copyfile(elements, manifest.orbit_path(folder))
        except OSError as error:
            raise StationError(f'cannot be copied into the session: {error.strerror}', where=elements) from error
        create_manifest(folder, manifest)
        return cls(folder, manifest)

    @classmethod
    def resume(cls, folder: Path) -> ManifestWriter:
        """Continue a session whose process has died; the manifest counts it.

        Raises
        ------
        StationError
            Not a session, damaged, or it cannot be written.
        """
        return cls(
            folder, update_manifest(folder, lambda now: {'run': now.run | {RESUMED: now.run.get(RESUMED, 0) + 1}})
        )

    @property
    def session_id(self) -> bytes:
        """Sixteen bytes."""
        return bytes.fromhex(self.manifest.session_id)

    def renew(
        self,
        locked: Sequence[LockedSpan],
        time_bias_s: float,
        cross_track_m: float,
        run: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Manifest:
        """Write the current state.

        Parameters
        ----------
        run : mapping, optional
            Added to the field ``run``.
        more : dict
            Further fields of the manifest.

        Raises
        ------
        StationError
            The manifest is damaged or cannot be written; the one on disk is as it was.
        """
        fields = {'locked': list(locked), 'time_bias_s': time_bias_s, 'cross_track_m': cross_track_m, **more}
        self.manifest = update_manifest(self.folder, lambda now: {**fields, 'run': now.run | dict(run or {})})
        return self.manifest


def tags_complete(folder: Path) -> bool:
    """Whether the last run of the TDC was ended and not cut off."""
    files = tags_paths(folder)
    return bool(files) and has_end(files[-1])


def finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics for JSON: None where nothing was measured."""
    return {name: None if isinstance(v, float) and not isfinite(v) else v for name, v in metrics.items()}


def new_folder(folder: Path) -> None:
    """Create the folder of a session.

    Raises
    ------
    StationError
        It is not empty or cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StationError('is not empty', where=folder, hint='give --session a new folder')
    except OSError as error:
        raise StationError(f'cannot be created: {error.strerror}', where=folder) from error
