"""Delays of the detectors relative to each other, with the calibration light; no tag leaves the detector process."""

from __future__ import annotations

from math import pi, radians

from qkd_gs.calibration.delay_measurement import LONGEST_S
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.measured_delays import FILE_NAME, DelaysTold, MeasuredDelays
from qkd_gs.calibration.observing.observation import Place, Sensed
from qkd_gs.calibration.observing.with_light import LightRun
from qkd_gs.pointing.polarization import hwp_angle
from qkd_gs.timing.tags import QUANTUM
from qkd_gs.tracking.types import MountTask

_BINS = 3
_DEAD_SHARE = 0.02  # of the light: less of it, and a detector does not see it
_COMPUTES_S = 60.0  # at most, beside everything else


class DelayObservation(LightRun):
    """Lights all four detectors, and has the detector process measure.

    No angle of the HWP lights all four alike.  At one of them, 11.25 deg from where H and V are lit alone, the light
    is turned by 22.5 deg: H and D get 43 % of it each, V and A 7 %.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._bins: list[LightBin] = []
        self._asked_ns = 0
        self._told: DelaysTold | None = None

    def _measure(self, sensed: Sensed) -> str:
        """Turn the HWP, look whether all detectors count, wait for the delays."""
        turned_rad = radians(self._light.polarization_deg) - pi / 8
        if not self._turn(hwp_angle(turned_rad, radians(self._hwp.zero_deg), self._hwp.parity), sensed):
            return 'turns the half-wave plate to where all detectors are lit'
        if not self._asked_ns:
            self._bins += [one for one in sensed.bins if one.start_ns >= self._rest_ns]
            if len(self._bins) >= _BINS and self._all_count():
                self.task, self._asked_ns = MountTask.MEASURING_DELAYS, self._now_ns
            return 'looks whether all detectors count'
        told = sensed.delays
        if told is not None and told.begun_ns >= self._asked_ns:
            self._take(told)
        elif self._now_ns - self._asked_ns > (LONGEST_S + _COMPUTES_S) * 1e9:
            self.abort('the detector process does not tell the delays')
        return 'the detector process measures the delays'

    def _all_count(self) -> bool:
        rates = self._rates(self._bins)
        if not self._require_light(self._bins):
            return False
        for channel, rate in zip(QUANTUM, rates.tolist(), strict=True):
            if rate < _DEAD_SHARE * float(rates.sum()):
                self.abort(f'{channel.name} hardly counts in the calibration light: {rate:.0f}/s of {rates.sum():.0f}')
                return False
        return True

    def _take(self, told: DelaysTold) -> None:
        self.task = MountTask.POLARIZED_LIGHT
        if told.fault:
            self.abort(told.fault)
            return
        self._told = told
        self._end('measured')

    def keep(self, now_ns: int) -> str:
        """Keep the delays, and tell whether those in force hold."""
        assert self._told is not None
        place, measured = self._place, MeasuredDelays.of(now_ns, self._told)
        measured.save(place.folder)
        return measured.verdict(place.station.detectors, place.folder / FILE_NAME)
