"""A calibration from its choice of stars to what is kept of it: the same limits wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qkd_gs.calibration.calibrator import CalibrationReport, StarReport
from qkd_gs.calibration.outcome import ENOUGH, contradiction, outcome, shortcoming
from qkd_gs.calibration.stars import Star, load_stars
from qkd_gs.calibration.unfinished import forget_run, load_run, missed_stars, save_run
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.site import Site

_IN_A_ROW = 5  # stars that are not found: the others are hidden, too


class CalibrationRun:
    """State of a calibration: what it begins with, keeps meanwhile, and stores.

    Parameters
    ----------
    folder : Path
        State folder.
    catalogue : sequence of Star, optional
        List of stars of the station; config/stars.csv if not given.

    Attributes
    ----------
    already : tuple of StarReport
        Stars that an interrupted or unsuccessful calibration of the last two hours has measured.
    stars : list of Star
        The list without those that it has missed: others are visited in their place.

    Raises
    ------
    StationError
        A damaged list or calibration-run.json.
    """

    def __init__(self, folder: Path, site: Site, now_ns: int, catalogue: Sequence[Star] | None = None) -> None:
        self._folder, self._site = folder, site
        whole = load_stars() if catalogue is None else catalogue
        missed = missed_stars(folder, site, now_ns)
        self.already = load_run(folder, site, now_ns, whole)
        self.stars = [star for star in whole if star.hip not in missed]
        self._missed = [StarReport(star, False, '', None) for star in whole if star.hip in missed]

    def keep(self, reports: Sequence[StarReport]) -> None:
        """Write the stars measured and missed so far.

        Raises
        ------
        StationError
            They cannot be written.
        """
        save_run(self._folder, self._site, [*reports, *self._missed])

    def accept(
        self, report: CalibrationReport, model: MountModel, before: StoredPointing, now_ns: int
    ) -> StoredPointing:
        """Store a calibration that is good enough to track a pass with; what was measured for it is forgotten.

        Of one that has too few stars these are kept, and the next try visits others; stars that do not agree are not.

        Raises
        ------
        StationError
            Too few stars, stars that do not agree, or a list that contradicts where the telescope has found itself.
        """
        fit = report.fit
        used = 0 if fit is None else int(fit.kept.sum())
        short = shortcoming(used, len(report.stars), None if fit is None else fit.heldout_rms_rad)
        short = short or contradiction(before, model)
        if short:
            self.give_up(used)
            raise StationError(short)
        stored = outcome(report, model, before, self._site, format_utc(now_ns))
        stored.save(self._folder)
        forget_run(self._folder)
        return stored

    def give_up(self, stars: int) -> None:
        """So many stars have led to nothing: enough of them contradict each other, and are not gone on with."""
        if stars >= ENOUGH:
            forget_run(self._folder)


def hidden(reports: Sequence[StarReport]) -> str:
    """Reason why it is in vain to go on after these visits; empty: it is not."""
    last = reports[-_IN_A_ROW:]
    if len(last) < _IN_A_ROW or any(one.measured for one in last):
        return ''
    named = ', '.join(one.star.name for one in last)
    return f'{named} were not found one after the other: hidden, or wrong in the list of stars'
