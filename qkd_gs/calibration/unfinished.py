"""calibration-run.json: the stars measured by a calibration under way, so that it goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from qkd_gs.calibration.calibrator import StarReport
from qkd_gs.calibration.star_visit import StarMeasurement
from qkd_gs.calibration.stars import load_stars
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


def save_run(folder: Path, site: Site, reports: Sequence[StarReport]) -> None:
    """Write the stars measured so far; nothing if there is none.

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
        run = UnfinishedRun(site=site.name, stars=tuple(stars))
        replace_file(folder / FILE_NAME, run.model_dump_json(indent=2) + '\n', parents=True)


def load_run(folder: Path, site: Site, now_ns: int) -> tuple[StarReport, ...]:
    """Stars of a calibration at this site that was interrupted within the last two hours; none if there is no such.

    Raises
    ------
    StationError
        A damaged file.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return ()
    run = load_yaml(path, UnfinishedRun)
    if run.site != site.name or not all(0 <= now_ns - star.t_ns < _VALID_NS for star in run.stars):
        return ()
    catalogue = {star.hip: star for star in load_stars()}
    reports = []
    for one in run.stars:
        if one.hip not in catalogue:
            raise StationError(f'HIP {one.hip} is not in the catalogue', where=path, hint='delete the file')
        values = one.model_dump(exclude={'hip'})
        for name in ('guide_x_px', 'guide_y_px'):
            values[name] = float('nan') if values[name] is None else values[name]
        reports.append(StarReport(catalogue[one.hip], True, '', StarMeasurement(**values)))
    return tuple(reports)


def forget_run(folder: Path) -> None:
    """Delete the file: the calibration is over."""
    (folder / FILE_NAME).unlink(missing_ok=True)
