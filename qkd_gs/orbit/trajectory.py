"""The satellite's apparent place through one pass: computed once, then read at any time in microseconds."""

from __future__ import annotations

from math import factorial, floor, pi

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import make_interp_spline

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit import kernel
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.refraction import site_refraction
from qkd_gs.orbit.rotation import turn_z
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import format_utc, seconds_between, to_time
from qkd_gs.orbit.vectors import enu_rotation, site_itrs_m, sky_offset
from qkd_gs.settings.site import Site

_STEP_S = 10.0  # of the position table: a spline of degree 7 errs by less than 1e-8 m on it
_MARGIN_S = 10.0  # before and after: room for light-time and time bias
_EDGE = 5  # rows at either end that only hold the spline
_BRANCH_STEP_S = 0.25  # of the table that tells which turn an angle is in
_DELAY_STEP_S = 1.0
_BIAS_STEP_S = 1e-3
_CROSS_STEP_M = 10.0


class Trajectory:
    """Apparent place of a satellite from a site, from `start_ns` to `end_ns`; make one with `predict`.

    Every reading may be moved along the orbit: `time_bias_s` positive means that the satellite runs ahead of
    its elements (at t it is where they put it at t + bias, over the Earth as it stands at t); `cross_track_m`
    positive is along the orbit normal r x v.  Azimuth and polarization angle run on continuously through the
    pass.  A track that such a move carries over to the zenith's other side (possible within 0.2 deg of the
    zenith) steps by a full turn at culmination.

    Attributes
    ----------
    satellite : str
        Name of the orbit's satellite.
    site : Site
        Place that it is seen from; its air refracts the light.
    start_ns, end_ns : int
        UTC, ns since the Unix epoch; readings reach some seconds farther.
    along_track_s, cross_track_m : float
        Fixed move against the elements, which every reading adds to its own.
    """

    def __init__(
        self,
        satellite: str,
        site: Site,
        start_ns: int,
        end_ns: int,
        tables: kernel.Tables,
        along_track_s: float = 0.0,
        cross_track_m: float = 0.0,
    ):
        self.satellite = satellite
        self.site = site
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.along_track_s = along_track_s
        self.cross_track_m = cross_track_m
        self._tables, self._plain_tables = tables, tuple(tables)
        # unwrap the angles over the pass, so that every value has the right turn
        t_s = np.arange(1.0 - _MARGIN_S, (end_ns - start_ns) * 1e-9 + _MARGIN_S - 1.0, _BRANCH_STEP_S)
        columns = self._columns(t_s, 0.0, 0.0)
        azimuth = np.unwrap(columns[0])
        at_start = azimuth[int(np.searchsorted(t_s, 0.0))]
        self._branch_first_s = float(t_s[0])
        self._branch_az = azimuth - 2 * pi * floor(at_start / (2 * pi))  # starts in [0, 2 pi)
        self._branch_polarization = np.unwrap(columns[9])

    @classmethod
    def predict(
        cls,
        orbit: Orbit,
        site: Site,
        start_ns: int,
        end_ns: int,
        cross_track_m: float = 0.0,
        along_track_s: float = 0.0,
    ) -> Trajectory:
        """Tabulate an orbit over a time span of up to a few hours.

        Parameters
        ----------
        orbit : Orbit
            One set of elements, or an ephemeris that reaches 70 s beyond either end.
        start_ns, end_ns : int
            UTC of arrival of the light, ns since the Unix epoch.
        cross_track_m, along_track_s : float
            A fixed move of the satellite against its elements.

        Raises
        ------
        StationError
            End not after start, or the orbit does not reach.
        """
        if end_ns <= start_ns:
            raise StationError(f'the prediction ends at {format_utc(end_ns)}, not after its start')
        first_s = -_MARGIN_S - abs(along_track_s)
        count = int(np.ceil(((end_ns - start_ns) * 1e-9 - 2 * first_s) / _STEP_S))
        rows_s = _rows(first_s, _STEP_S, count)
        itrs_m = orbit.itrs_m(start_ns + np.rint(rows_s * 1e9).astype(np.int64))
        tirs_to_itrs = to_time(start_ns).polar_motion_matrix()
        air = site_refraction(site)
        tables = kernel.Tables(
            first_s=first_s,
            step_s=_STEP_S,
            pieces=_pieces(rows_s, turn_z(itrs_m @ tirs_to_itrs, kernel.EARTH_RATE_RAD_S * rows_s), count),
            site_m=site_itrs_m(site) @ tirs_to_itrs,
            enu=enu_rotation(site) @ tirs_to_itrs,
            bending=air.bending,
            offset=air.offset,
            air_first_rad=air.first_rad,
            air_step_rad=air.step_rad,
        )
        return cls(orbit.name, site, start_ns, end_ns, tables, along_track_s, cross_track_m)

    @property
    def epoch_ns(self) -> int:
        """Zero of the picosecond times of `arrival_ps` and `emission_ps`; UTC, ns since the Unix epoch."""
        return self.start_ns

    def at(self, t_ns: int, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> TargetState[float]:
        """Apparent state for light that arrives at UTC `t_ns`.

        Raises
        ------
        StationError
            Beyond the table, which reaches 10 s farther than start to end, less the light-time and the bias.
        """
        t_s = (t_ns - self.start_ns) * 1e-9
        out = np.empty(kernel.COLUMNS)
        if not kernel.state(
            t_s, self.along_track_s + time_bias_s, self.cross_track_m + cross_track_m, self._plain_tables, out
        ):
            raise self._out_of_reach(t_ns)
        az, el, az_rate, el_rate, az_acc, el_acc, range_m, range_rate, light_s, angle, angle_rate = out.tolist()
        k = min(max(round((t_s - self._branch_first_s) / _BRANCH_STEP_S), 0), len(self._branch_az) - 1)
        return TargetState(
            t_ns=t_ns,
            az_rad=kernel.nearest_turn(az, self._branch_az.item(k)),
            el_rad=el,
            az_rate_rad_s=az_rate,
            el_rate_rad_s=el_rate,
            az_acc_rad_s2=az_acc,
            el_acc_rad_s2=el_acc,
            range_m=range_m,
            range_rate_m_s=range_rate,
            light_time_s=light_s,
            polarization_angle_rad=kernel.nearest_turn(angle, self._branch_polarization.item(k)),
            polarization_rate_rad_s=angle_rate,
        )

    def table(self, t_ns: IntArray, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> TargetState[FloatArray]:
        """Apparent states for light that arrives at UTC `t_ns` (n,); errors as in `at`."""
        t_ns = np.asarray(t_ns, dtype=np.int64)
        t_s = seconds_between(self.start_ns, t_ns)
        columns = self._columns(t_s, time_bias_s, cross_track_m)
        k = np.rint((t_s - self._branch_first_s) / _BRANCH_STEP_S).astype(np.int64)
        k = np.clip(k, 0, len(self._branch_az) - 1)
        return TargetState(
            t_ns=t_ns,  # type: ignore[arg-type]  # int64, see TargetState.t_ns
            az_rad=_nearest_turns(columns[0], self._branch_az[k]),
            el_rad=columns[1],
            az_rate_rad_s=columns[2],
            el_rate_rad_s=columns[3],
            az_acc_rad_s2=columns[4],
            el_acc_rad_s2=columns[5],
            range_m=columns[6],
            range_rate_m_s=columns[7],
            light_time_s=columns[8],
            polarization_angle_rad=_nearest_turns(columns[9], self._branch_polarization[k]),
            polarization_rate_rad_s=columns[10],
        )

    def arrival_ps(self, emission_ps: ArrayLike, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> IntArray:
        """Arrival times of pulses that leave the satellite at `emission_ps`.

        Both are int64 arrays (n,) of ps since `epoch_ns`, the result rounded to 1 ps; tropospheric delay is not
        included.  Pulses must leave within start to end (some seconds beyond are tolerated).
        """
        return self._delayed(np.asarray(emission_ps, dtype=np.int64), 1, time_bias_s, cross_track_m)

    def emission_ps(self, arrival_ps: ArrayLike, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> IntArray:
        """Emission times of pulses that arrive at `arrival_ps`: the inverse of `arrival_ps`, to 1 ps."""
        return self._delayed(np.asarray(arrival_ps, dtype=np.int64), -1, time_bias_s, cross_track_m)

    def bias_jacobian(self, t_ns: int, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> FloatArray:
        """Shift of the satellite on the sky: (2, 2), columns per s of time bias and per m of cross-track.

        Rows, in rad: x (cross-elevation, towards growing azimuth) and y (elevation).
        """
        moves = np.array([[_BIAS_STEP_S, 0.0], [0.0, _CROSS_STEP_M]])
        here = self.at(t_ns, time_bias_s, cross_track_m)
        jacobian = np.empty((2, 2))
        for k, (bias_s, cross_m) in enumerate(moves.tolist()):
            ahead = self.at(t_ns, time_bias_s + bias_s, cross_track_m + cross_m)
            behind = self.at(t_ns, time_bias_s - bias_s, cross_track_m - cross_m)
            x1, y1 = sky_offset(ahead.az_rad, ahead.el_rad, here.az_rad, here.el_rad)
            x0, y0 = sky_offset(behind.az_rad, behind.el_rad, here.az_rad, here.el_rad)
            jacobian[:, k] = (x1 - x0) / (2 * moves[k, k]), (y1 - y0) / (2 * moves[k, k])
        return jacobian

    def bias_of(self, t_ns: int, az_rad: float, el_rad: float) -> tuple[float, float]:
        """The (time_bias_s, cross_track_m) that puts the satellite at a measured apparent direction at `t_ns`.

        Newton's method from zero.  Low on the horizon a pass overhead runs along the line of sight, so the
        time bias is badly determined there: weigh it with `bias_jacobian`.

        Raises
        ------
        StationError
            No time bias within 5 s explains the direction.
        """
        bias_s, cross_m = 0.0, 0.0
        for _ in range(20):
            here = self.at(t_ns, bias_s, cross_m)
            missing = np.array(sky_offset(az_rad, el_rad, here.az_rad, here.el_rad))
            step_s, step_m = np.linalg.solve(self.bias_jacobian(t_ns, bias_s, cross_m), missing).tolist()
            bias_s, cross_m = bias_s + step_s, cross_m + step_m
            if abs(bias_s) > _MARGIN_S / 2:
                break
            if abs(step_s) < 1e-9 and abs(step_m) < 1e-5:
                return bias_s, cross_m
        raise StationError(
            f'the direction measured at {format_utc(t_ns)} is not near the track of {self.satellite}',
            hint='no time bias within 5 s explains it',
        )

    def _columns(self, t_s: FloatArray, time_bias_s: float, cross_track_m: float) -> FloatArray:
        out = np.empty((t_s.size, kernel.COLUMNS))
        bias_s, cross_m = self.along_track_s + time_bias_s, self.cross_track_m + cross_track_m
        reached = kernel.states(t_s, bias_s, cross_m, self._tables, out)
        if reached < t_s.size:
            raise self._out_of_reach(self.start_ns + round(t_s[reached] * 1e9))
        return np.ascontiguousarray(out.T)

    def _delayed(self, time_ps: IntArray, sign: int, time_bias_s: float, cross_track_m: float) -> IntArray:
        if time_ps.size == 0:
            return time_ps.copy()
        first_s = float(time_ps.min()) * 1e-12
        count = int((float(time_ps.max()) * 1e-12 - first_s) / _DELAY_STEP_S) + 1
        rows_s = _rows(first_s, _DELAY_STEP_S, count)
        delay_s = self._columns(rows_s, time_bias_s, cross_track_m)[8]
        if sign > 0:  # by emission time e: delay(e) = light-time at the arrival e + delay(e)
            by_arrival = make_interp_spline(rows_s, delay_s, k=7)
            for _ in range(4):
                delay_s = by_arrival(rows_s + delay_s)
        pieces = _pieces(rows_s, delay_s, count)
        return np.asarray(kernel.add_delay_ps(time_ps, sign, first_s, _DELAY_STEP_S, pieces), dtype=np.int64)

    def _out_of_reach(self, t_ns: int) -> StationError:
        return StationError(
            f'{format_utc(t_ns)} is outside the prediction for {self.satellite},'
            f' {format_utc(self.start_ns)} to {format_utc(self.end_ns)}'
        )


def _rows(first: float, step: float, count: int) -> FloatArray:
    """Uniform grid of `count` steps from `first`, with `_EDGE` more at either end."""
    return first + step * np.arange(-_EDGE, count + _EDGE + 1, dtype=np.float64)


def _pieces(x: FloatArray, y: FloatArray, count: int) -> FloatArray:
    """Spline of degree 7 as polynomials (8, count, ...) on `count` uniform steps from x[_EDGE]."""
    spline = make_interp_spline(x, y, k=7)
    knots = x[_EDGE : _EDGE + count]
    return np.ascontiguousarray([spline(knots, nu=power) / factorial(power) for power in range(7, -1, -1)])


def _nearest_turns(angle: FloatArray, reference: FloatArray) -> FloatArray:
    near: FloatArray = angle + 2 * pi * np.floor((reference - angle) / (2 * pi) + 0.5)
    return near
