"""calibration-run.json: the stars measured by a calibration under way, so that it goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from qkd_gs.calibration.calibrator import StarReport
from qkd_gs.calibration.star_visit import StarMeasurement
from qkd_gs.calibration.stars import Star, load_stars
from qkd_gs.errors import StationError
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.site import Site

FILE_NAME = 'calibration-run.json'
_VALID_NS = 2 * 3600 * 10**9  # the base settles and the tube bends with the temperature


class MeasuredStar(Section):
    """A star that has been measured; fields as in `StarMeasurement`."""

    hip: int
    t_ns: int
    az_rad: float
    el_rad: float
    enc_az_rad: float
    enc_el_rad: float
    scatter_rad: float
    frames: int
    guide_x_px: float | None
    guide_y_px: float | None


class UnfinishedRun(Section):
    """The whole of calibration-run.json."""

    site: str
    stars: tuple[MeasuredStar, ...] = Field(min_length=1)
    missed: tuple[int, ...] = Field(default=(), description='numbers of the stars that were not found')


def save_run(folder: Path, site: Site, reports: Sequence[StarReport]) -> None:
    """Write the stars measured and missed so far; nothing if none was measured.

    Raises
    ------
    StationError
        It cannot be written.
    """
    stars = []
    for report in reports:
        if report.measurement is not None:
            values = asdict(report.measurement)
            for name in ('guide_x_px', 'guide_y_px'):  # NaN, which JSON has not, without a spot
                values[name] = values[name] if values[name] == values[name] else None
            stars.append(MeasuredStar(hip=report.star.hip, **values))
    if stars:
        missed = tuple(report.star.hip for report in reports if report.measurement is None)
        run = UnfinishedRun(site=site.name, stars=tuple(stars), missed=missed)
        replace_file(folder / FILE_NAME, run.model_dump_json(indent=2) + '\n', parents=True)


def load_run(folder: Path, site: Site, now_ns: int, catalogue: Sequence[Star] | None = None) -> tuple[StarReport, ...]:
    """Stars of a calibration at this site that was interrupted within the last two hours; none if there is no such.

    Raises
    ------
    StationError
        A damaged file.
    """
    run = _load(folder, site, now_ns)
    if run is None:
        return ()
    known = {star.hip: star for star in (load_stars() if catalogue is None else catalogue)}
    reports = []
    for one in run.stars:
        if one.hip not in known:
            raise StationError(
                f'HIP {one.hip} is not in the catalogue', where=folder / FILE_NAME, hint='delete the file'
            )
        values = one.model_dump(exclude={'hip'})
        for name in ('guide_x_px', 'guide_y_px'):
            values[name] = float('nan') if values[name] is None else values[name]
        reports.append(StarReport(known[one.hip], True, '', StarMeasurement(**values)))
    return tuple(reports)


def missed_stars(folder: Path, site: Site, now_ns: int) -> frozenset[int]:
    """Numbers of the stars that the same calibration has not found: hidden, or wrong in the list.

    Raises
    ------
    StationError
        A damaged file.
    """
    run = _load(folder, site, now_ns)
    return frozenset() if run is None else frozenset(run.missed)


def _load(folder: Path, site: Site, now_ns: int) -> UnfinishedRun | None:
    path = folder / FILE_NAME
    if not path.exists():
        return None
    run = load_yaml(path, UnfinishedRun)
    good = run.site == site.name and all(0 <= now_ns - star.t_ns < _VALID_NS for star in run.stars)
    return run if good else None


def forget_run(folder: Path) -> None:
    """Delete the file: the calibration is over."""
    (folder / FILE_NAME).unlink(missing_ok=True)
