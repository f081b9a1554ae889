"""A calibration under way on the graph: stars are visited and kept, and a good mount model is stored."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

from qkd_gs.action import Calibrate
from qkd_gs.calibration.calibration_run import CalibrationRun, hidden
from qkd_gs.calibration.calibrator import (
    STAR_RULES,
    CalibrationInputs,
    CalibrationOutputs,
    CalibrationState,
    Calibrator,
    star_tracks,
    stars_to_visit,
)
from qkd_gs.calibration.outcome import ENOUGH
from qkd_gs.errors import StationError
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

Result = Calibrate.Result
_COMPASS = 'the orientation is known from a compass only: let the telescope find itself, or centre a star by hand'


class StarCalibration:
    """Steps one calibration.

    Parameters
    ----------
    station, site : StationSettings, Site
    folder : Path
        State folder: where it begins from, and where the model is stored.
    now_ns : int
    count : int
        Stars.
    warn : callable
        Told what does not end it.

    Raises
    ------
    StationError
        Too few stars, or no orientation to begin from.
    """

    def __init__(
        self,
        station: StationSettings,
        site: Site,
        folder: Path,
        now_ns: int,
        count: int,
        warn: Callable[[str], object],
    ) -> None:
        if count < ENOUGH:
            raise StationError(f'{count} stars are too few for a calibration, {ENOUGH} are needed')
        start = load_pointing(folder)
        if start.compass:
            raise StationError(_COMPASS)
        self._folder, self._warn = folder, warn
        self._run = CalibrationRun(folder, site, now_ns)
        already = self._run.already
        stars = stars_to_visit(site, now_ns, count, start.aligned_rad, self._run.stars)
        self._saved = len(already)  # stars visited that calibration-run.json knows
        self._calibrator = Calibrator(stars, star_tracks(site), start.model, start.refine(station), STAR_RULES, already)

    def abort(self) -> None:
        """End it without a new model."""
        self._calibrator.abort()

    def step(self, now_ns: int, inputs: CalibrationInputs) -> CalibrationOutputs:
        """Go on with what has come since the last step."""
        outputs = self._calibrator.step(now_ns, inputs)
        if outputs.visited > self._saved and not self._calibrator.aborted:
            self._saved = outputs.visited
            self._keep()
        return outputs

    def _keep(self) -> None:
        """Keep the stars visited so far; under a hidden sky no further one is visited."""
        reports = self._calibrator.report().stars
        try:
            self._run.keep(reports)
        except StationError as error:  # the calibration goes on; it could not be resumed
            self._warn(str(error))
        why = hidden(reports)
        if why:
            self._calibrator.abort(why)

    def result(self, now_ns: int, canceled: bool, message: str) -> Any:
        """Result of the action once it is over; a good model is stored first, a bad one discarded."""
        try:
            return self._stored(now_ns, canceled, message)
        except StationError as error:
            result = calibration_result(Result.FAILED, str(error))
            result.summary = self._calibrator.report().summary
            return result

    def _stored(self, now_ns: int, canceled: bool, message: str) -> Any:
        run, calibrator, report = self._run, self._calibrator, self._calibrator.report()
        if calibrator.state is not CalibrationState.DONE:
            if not calibrator.aborted:
                run.give_up(sum(one.measured for one in report.stars))
            result = calibration_result(Result.ABORTED if canceled else Result.FAILED, message)
            result.summary = report.summary
            return result
        stored = run.accept(report, calibrator.model, load_pointing(self._folder), now_ns)
        result = calibration_result(Result.DONE, '')
        result.summary = stored.summary
        if report.fit is not None:
            result.rms_rad, result.heldout_rms_rad = report.fit.rms_rad, report.fit.heldout_rms_rad or nan
        return result


def calibration_result(code: int, why: str) -> Any:
    """Result of the action without figures."""
    return Result(error_code=code, error_msg=why, rms_rad=nan, heldout_rms_rad=nan)
