"""Common part of the measurements with the calibration light: the dark before it, what ends it, and its end.

It shines only behind a closed shutter (or in its own closed cover) while our beacon is off, and goes off as soon as
one of these is no longer so, the light is too bright, or the measurement is over.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import degrees, pi, radians, remainder

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.observing.observation import CLOSING_S, Observation, ObservationState, Observed, Place, Sensed
from qkd_gs.devices.calibration_light import Cover
from qkd_gs.safety.enclosure import DOME_CLOSED
from qkd_gs.timing.tags import QUANTUM
from qkd_gs.tracking.types import CALIBRATION_LIGHT, CameraRequest, CameraRole

_S = 10**9
_SILENT_S = 5.0  # without a count, or without a reading of HWP or light
_STEADY_S, _OFF_S = 30.0, 10.0  # until the light is ready, or off
_TURNED_S = 60.0  # half a turn of a slow rotator
_REST_NS = 3 * 10**8
_THERE_RAD = radians(2.0)
_DARK_BINS = 3
_LEAST_CONTRAST = 5.0  # of light and dark, in standard errors of the dark
_MOST_A_PULSE = 0.2  # clicks of one detector
_MOST_DEAD = 0.05  # share of the time that a detector is dead


class LightRun(Observation):
    """A measurement with the calibration light."""

    requests: Mapping[CameraRole, CameraRequest] = {}

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.task = CALIBRATION_LIGHT[0]
        self._light = place.station.calibration_light
        self._hwp = place.refined.hwp
        self._begun_ns = 0
        self._now_ns = 0
        self._since_ns = 0  # when the present wait began
        self._closed_ns = self._bin_ns = 0
        self._dark: list[LightBin] = []
        self._shines = self._lit = False
        self._over = ''  # what was reached: the light goes off
        self._rest_ns = 0  # since when the HWP stands at its angle
        self._at_rad: float | None = None

    # ---- what a measurement does ----

    @abstractmethod
    def _measure(self, sensed: Sensed) -> str:
        """Go on in the steady light: what it does now; `_end` when it is over."""

    def _end(self, what: str) -> None:
        self._over, self._since_ns = what, self._now_ns

    def _turn(self, hwp_rad: float, sensed: Sensed) -> bool:
        """Have the HWP turn to an angle; whether it stands there."""
        if self._at_rad is None or self._at_rad != hwp_rad:
            self._at_rad, self._since_ns, self._rest_ns = hwp_rad, self._now_ns, 0
        assert sensed.hwp is not None
        away_rad = abs(remainder(sensed.hwp.angle_rad - hwp_rad, pi))
        if sensed.hwp.moving or not away_rad < _THERE_RAD:
            self._rest_ns = 0
            if self._now_ns - self._since_ns > _TURNED_S * _S:
                there, wanted = degrees(sensed.hwp.angle_rad), degrees(hwp_rad % pi)
                self.abort(f'the half-wave plate stands at {there:.1f} deg, not at {wanted:.1f} deg')
            return False
        self._rest_ns = self._rest_ns or self._now_ns
        return self._now_ns - self._rest_ns >= _REST_NS

    def _rates(self, bins: list[LightBin]) -> FloatArray:
        """Photons a second of H, V, D, A: what piles up or falls into the dead time is added, the dark taken off."""
        rates: FloatArray = self._true_rates(bins) - self._true_rates(self._dark)
        return rates

    def _true_rates(self, bins: list[LightBin]) -> FloatArray:
        seconds = sum(one.end_ns - one.start_ns for one in bins) * 1e-9
        counted: FloatArray = np.sum([one.counts for one in bins], axis=0) / seconds
        pulses = self._light.pulse_rate_hz
        if pulses:
            rates: FloatArray = -pulses * np.log1p(-np.minimum(counted / pulses, 0.9))
            return rates
        return counted / np.maximum(1 - counted * self._dead_s, 0.1)

    @property
    def _dead_s(self) -> float:
        return self._place.station.detectors.dead_time_ns * 1e-9

    # ---- the steps ----

    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """Wait for the dark, count it, switch on, measure, switch off."""
        self._begun_ns, self._now_ns = self._begun_ns or now_ns, now_ns
        said = self._step(sensed)
        if self._failed:
            return Observed(ObservationState.FAILED, None, self._failed)
        if self._over and not self._lit:
            return Observed(ObservationState.DONE, None, self._over)
        shines = self._shines and not self._over
        turn = self._at_rad if self._shines else None
        return Observed(
            ObservationState.RUNNING, None, said, hwp_to=turn, light=self._light.brightness if shines else 0.0
        )

    def _step(self, sensed: Sensed) -> str:
        waits = self._waits(sensed)
        if waits:
            if self._closed_ns:
                self.abort(f'ended: {waits}')
            elif self._now_ns - self._begun_ns > CLOSING_S * _S:
                self.abort(f'{waits}, for {CLOSING_S:.0f} s')
            return f'waits: {waits}'
        self._closed_ns = self._closed_ns or self._now_ns
        self._look(sensed)
        if self._over:
            return self._switch_off(sensed)
        if not self._shines:
            return self._count_dark(sensed)
        if not self._lit:
            return self._switch_on(sensed)
        if not (sensed.light is not None and sensed.light.ready):
            self.abort('the calibration light has gone out')
            return ''
        return self._measure(sensed)

    def _waits(self, sensed: Sensed) -> str:
        """Sentence on what forbids the light; empty: nothing."""
        light = sensed.light
        if light is None or not light.stamp_ns or self._now_ns - light.stamp_ns > _SILENT_S * _S:
            return 'the calibration light is not heard'
        if sensed.hwp is None or self._now_ns - sensed.hwp.stamp_ns > _SILENT_S * _S:
            return 'the half-wave plate is not heard'
        if sensed.beacon_lit is not False:
            return 'our beacon is on' if sensed.beacon_lit else 'our beacon is not heard'
        if sensed.dome != DOME_CLOSED and light.cover is not Cover.CLOSED:
            return 'neither the shutter nor the cover of the calibration light is closed'
        return ''

    def _look(self, sensed: Sensed) -> None:
        """Counts must come, and none of a detector that is about to be blind."""
        for one in sensed.bins:
            self._bin_ns = one.end_ns
            most = max(one.counts) / ((one.end_ns - one.start_ns) * 1e-9)
            self._require_dim(most, QUANTUM[int(np.argmax(one.counts))].name)
        if self._now_ns - max(self._bin_ns, self._closed_ns) > _SILENT_S * _S:
            self.abort('the detectors send no counts')

    def _require_dim(self, most_cps: float, name: str) -> None:
        limit_cps = _MOST_DEAD / self._dead_s if self._dead_s else float('inf')
        if self._light.pulse_rate_hz:
            limit_cps = min(limit_cps, _MOST_A_PULSE * self._light.pulse_rate_hz)
        if most_cps > limit_cps:
            what = 'the calibration light is too bright' if self._shines else 'other light comes in'
            self.abort(f'{what}: {name} counts {most_cps:.0f}/s, {limit_cps:.0f} are allowed')

    def _count_dark(self, sensed: Sensed) -> str:
        light = sensed.light
        assert light is not None
        if light.lit:
            if self._now_ns - self._closed_ns > _OFF_S * _S:
                self.abort('the calibration light is on and does not go off')
            return 'waits until the calibration light is off'
        self._dark += [one for one in sensed.bins if one.start_ns >= self._closed_ns]
        if len(self._dark) >= _DARK_BINS:
            self._shines, self._since_ns = True, self._now_ns
        return 'counts the dark'

    def _switch_on(self, sensed: Sensed) -> str:
        light = sensed.light
        assert light is not None
        if light.lit and light.ready:
            self._lit = True
        elif self._now_ns - self._since_ns > _STEADY_S * _S:
            self.abort(f'the calibration light does not come on: after {_STEADY_S:.0f} s it is not steady')
        return 'switches the calibration light on'

    def _switch_off(self, sensed: Sensed) -> str:
        light = sensed.light
        assert light is not None
        if not light.lit:
            self._lit = False
        elif self._now_ns - self._since_ns > _OFF_S * _S:
            self.abort('the calibration light does not go off')
        return 'switches the calibration light off'

    def _require_light(self, bins: list[LightBin]) -> bool:
        """Whether the detectors together see the light that the device says is on."""
        seconds = sum(one.end_ns - one.start_ns for one in self._dark) * 1e-9
        dark_cps = float(np.sum([one.counts for one in self._dark])) / seconds
        sigma_cps = np.sqrt(max(dark_cps, 1.0) / seconds)
        light_cps = float(np.sum(self._rates(bins)))
        if light_cps < _LEAST_CONTRAST * sigma_cps + dark_cps:
            self.abort(
                'the calibration light is on, but the detectors hardly see it: '
                f'{light_cps:.0f} counts/s beside {dark_cps:.0f} in the dark'
            )
            return False
        return True
