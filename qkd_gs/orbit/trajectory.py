"""The satellite's apparent place through one pass: computed once, then read at any time in microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline

from qkd_gs.errors import StationError
from qkd_gs.orbit import kernel
from qkd_gs.orbit.propagate import Orbit, turn_z
from qkd_gs.orbit.refraction import Refraction, site_refraction
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import Int64Array, format_utc, to_time
from qkd_gs.orbit.vectors import enu_rotation, site_itrs_m, sky_offset
from qkd_gs.settings.site import Site

FloatArray = NDArray[np.float64]

_STEP_S = 10.0  # of the position table: a spline of degree 7 errs by less than 1e-8 m on it
_MARGIN_S = 10.0  # before and after: room for light-time and time bias
_EDGE = 5  # rows that only hold the spline's ends
_BRANCH_STEP_S = 0.25  # of the table that tells which turn an angle is in
_DELAY_STEP_S = 1.0


@dataclass(frozen=True)
class Trajectory:
    """Apparent place of a satellite from a site, from `start_ns` to `end_ns`; make one with `predict`.

    Every reading may be moved along the orbit: `time_bias_s` positive means that the satellite runs ahead of
    its elements (at t it is where they put it at t + bias, over the Earth as it stands at t); `cross_track_m`
    positive is along the orbit normal r x v.  The polarization frame and the azimuth are continuous through
    the pass.  A track that such a move carries over to the zenith's other side (possible within 0.2 deg of the
    zenith) steps by a full turn at culmination.
    """

    satellite: str
    site: Site
    start_ns: int
    end_ns: int
    along_track_s: float
    cross_track_m: float
    _first_s: float
    _pieces: FloatArray
    _site_tirs_m: FloatArray
    _enu: FloatArray
    _refraction: Refraction
    _branch_first_s: float
    _branch_az: FloatArray
    _branch_frame: FloatArray

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
            One set of elements or an ephemeris; it must reach 60 s beyond either end.
        start_ns, end_ns : int
            UTC of arrival of the light, ns since the Unix epoch.
        cross_track_m, along_track_s : float
            A fixed move of the satellite against its elements; the arguments of the readings add to it.

        Raises
        ------
        StationError
            End not after start, or the orbit does not reach.
        """
        if end_ns <= start_ns:
            raise StationError(f'the time span ends at {format_utc(end_ns)}, before it starts')
        reach_s = _MARGIN_S + abs(along_track_s)
        first_s = -reach_s
        count = int(np.ceil(((end_ns - start_ns) * 1e-9 + 2 * reach_s) / _STEP_S))
        rows_s = first_s + _STEP_S * np.arange(-_EDGE, count + _EDGE + 1)
        to_tirs = to_time(start_ns).polar_motion_matrix()
        itrs_m = orbit.itrs_m(start_ns + np.rint(rows_s * 1e9).astype(np.int64))
        positions = turn_z(itrs_m @ to_tirs, kernel.EARTH_RATE_RAD_S * rows_s)
        bare = cls(
            satellite=orbit.name,
            site=site,
            start_ns=start_ns,
            end_ns=end_ns,
            along_track_s=along_track_s,
            cross_track_m=cross_track_m,
            _first_s=first_s,
            _pieces=_uniform_pieces(rows_s, positions, _EDGE, count),
            _site_tirs_m=site_itrs_m(site) @ to_tirs,
            _enu=enu_rotation(site) @ to_tirs,
            _refraction=site_refraction(site),
            _branch_first_s=0.0,
            _branch_az=np.empty(0),
            _branch_frame=np.empty(0),
        )
        return bare._with_branches()

    @property
    def epoch_ns(self) -> int:
        """Zero of the picosecond times of `arrival_ps` and `emission_ps`; UTC, ns since the Unix epoch."""
        return self.start_ns

    def at(self, t_ns: int, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> TargetState[float]:
        """Apparent state for light that arrives at UTC `t_ns`.

        Raises
        ------
        StationError
            Outside the tabulated span (10 s more than start to end, less light-time and bias).
        """
        t_s = (t_ns - self.start_ns) * 1e-9
        out = np.empty(kernel.COLUMNS)
        if not kernel.state(t_s, *self._moved(time_bias_s, cross_track_m), *self._tables(), out):
            raise self._out_of_reach(t_ns)
        az, el, az_rate, el_rate, az_acc, el_acc, range_m, range_rate, light_s, frame, frame_rate = out.tolist()
        k = min(max(round((t_s - self._branch_first_s) / _BRANCH_STEP_S), 0), len(self._branch_az) - 1)
        return TargetState(
            t_ns=t_ns,
            az_rad=kernel.unwrap(az, self._branch_az[k]),
            el_rad=el,
            az_rate_rad_s=az_rate,
            el_rate_rad_s=el_rate,
            az_acc_rad_s2=az_acc,
            el_acc_rad_s2=el_acc,
            range_m=range_m,
            range_rate_m_s=range_rate,
            light_time_s=light_s,
            frame_rad=kernel.unwrap(frame, self._branch_frame[k]),
            frame_rate_rad_s=frame_rate,
        )

    def table(
        self, t_ns: Int64Array, time_bias_s: float = 0.0, cross_track_m: float = 0.0
    ) -> TargetState[NDArray[np.float64]]:
        """Apparent states for light that arrives at UTC `t_ns` (n,); see `at`."""
        t_ns = np.asarray(t_ns, dtype=np.int64)
        t_s = (t_ns - self.start_ns) * 1e-9
        columns = self._columns(t_s, time_bias_s, cross_track_m)
        k = np.rint((t_s - self._branch_first_s) / _BRANCH_STEP_S).astype(np.int64)
        k = np.clip(k, 0, len(self._branch_az) - 1)
        return TargetState(
            t_ns=t_ns,  # type: ignore[arg-type]  # int64, as the record's comment says
            az_rad=_nearest_turn(columns[0], self._branch_az[k]),
            el_rad=columns[1],
            az_rate_rad_s=columns[2],
            el_rate_rad_s=columns[3],
            az_acc_rad_s2=columns[4],
            el_acc_rad_s2=columns[5],
            range_m=columns[6],
            range_rate_m_s=columns[7],
            light_time_s=columns[8],
            frame_rad=_nearest_turn(columns[9], self._branch_frame[k]),
            frame_rate_rad_s=columns[10],
        )

    def light_time(self, t_ns: ArrayLike, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> FloatArray:
        """Time of flight (s) of light that arrives at UTC `t_ns` (n,), good to 1e-17 s beside the orbit's own errors."""
        t_s = (np.asarray(t_ns, dtype=np.int64) - self.start_ns) * 1e-9
        return self._columns(t_s, time_bias_s, cross_track_m)[8]

    def arrival_ps(self, emission_ps: ArrayLike, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> Int64Array:
        """When pulses arrive that leave the satellite at `emission_ps`.

        Both are int64 arrays (n,) of ps since `epoch_ns`; tropospheric delay is not included.  Rounded to 1 ps.
        """
        return self._delay(np.asarray(emission_ps, dtype=np.int64), 1, time_bias_s, cross_track_m)

    def emission_ps(self, arrival_ps: ArrayLike, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> Int64Array:
        """When pulses left the satellite that arrive at `arrival_ps`: the inverse of `arrival_ps`, to 1 ps."""
        return self._delay(np.asarray(arrival_ps, dtype=np.int64), -1, time_bias_s, cross_track_m)

    def bias_jacobian(self, t_ns: int, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> FloatArray:
        """How the satellite moves on the sky with (time bias in s, cross-track in m): (2, 2), rad per unit.

        Rows: x (cross-elevation, towards growing azimuth) and y (elevation).
        """
        here = self.at(t_ns, time_bias_s, cross_track_m)
        columns = []
        for bias_step_s, cross_step_m in ((1e-3, 0.0), (0.0, 10.0)):
            ahead = self.at(t_ns, time_bias_s + bias_step_s, cross_track_m + cross_step_m)
            behind = self.at(t_ns, time_bias_s - bias_step_s, cross_track_m - cross_step_m)
            forth = np.array(sky_offset(ahead.az_rad, ahead.el_rad, here.az_rad, here.el_rad))
            back = np.array(sky_offset(behind.az_rad, behind.el_rad, here.az_rad, here.el_rad))
            columns.append((forth - back) / (2 * (bias_step_s + cross_step_m)))
        return np.column_stack(columns)

    def bias_of(self, t_ns: int, az_rad: float, el_rad: float) -> tuple[float, float]:
        """The (time_bias_s, cross_track_m) that puts the satellite at a measured apparent direction at `t_ns`.

        Newton's method from zero.  Low on the horizon a pass overhead runs along the line of sight, so the
        time bias is badly determined there: weigh it with `bias_jacobian`.

        Raises
        ------
        StationError
            The direction cannot be reached (more than some seconds or kilometres away from the track).
        """
        bias = np.zeros(2)
        for _ in range(20):
            here = self.at(t_ns, bias[0], bias[1])
            missing = np.array(sky_offset(az_rad, el_rad, here.az_rad, here.el_rad))
            step = np.linalg.solve(self.bias_jacobian(t_ns, bias[0], bias[1]), missing)
            bias += step
            if abs(bias[0]) > _MARGIN_S / 2:
                break
            if abs(step[0]) < 1e-9 and abs(step[1]) < 1e-5:
                return float(bias[0]), float(bias[1])
        raise StationError(
            f'the direction measured at {format_utc(t_ns)} is not on the track of {self.satellite}',
            hint='no time bias within 5 s explains it',
        )

    def _moved(self, time_bias_s: float, cross_track_m: float) -> tuple[float, float]:
        return self.along_track_s + time_bias_s, self.cross_track_m + cross_track_m

    def _tables(self) -> tuple[float, float, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, float, float]:
        air = self._refraction
        return (
            self._first_s,
            _STEP_S,
            self._pieces,
            self._site_tirs_m,
            self._enu,
            air.bending,
            air.offset,
            air.first_rad,
            air.step_rad,
        )

    def _columns(self, t_s: FloatArray, time_bias_s: float, cross_track_m: float) -> FloatArray:
        out = np.empty((t_s.size, kernel.COLUMNS))
        reached = kernel.states(t_s, *self._moved(time_bias_s, cross_track_m), *self._tables(), out)
        if reached < t_s.size:
            raise self._out_of_reach(self.start_ns + round(t_s[reached] * 1e9))
        return np.ascontiguousarray(out.T)

    def _with_branches(self) -> Trajectory:
        """Follow the angles through the pass, so that every reading falls into the right turn."""
        first_s = 1.0 - _MARGIN_S
        last_s = (self.end_ns - self.start_ns) * 1e-9 + _MARGIN_S - 1.0
        t_s = np.arange(first_s, last_s, _BRANCH_STEP_S)
        columns = self._columns(t_s, 0.0, 0.0)
        az = np.unwrap(columns[0])
        start = int(np.searchsorted(t_s, 0.0))
        az -= 2 * np.pi * np.floor(az[start] / (2 * np.pi))
        values = {name: value for name, value in self.__dict__.items() if not name.startswith('_branch')}
        return Trajectory(**values, _branch_first_s=first_s, _branch_az=az, _branch_frame=np.unwrap(columns[9]))

    def _delay(self, time_ps: Int64Array, sign: int, time_bias_s: float, cross_track_m: float) -> Int64Array:
        if time_ps.size == 0:
            return time_ps.copy()
        first_s = float(time_ps.min()) * 1e-12
        count = int((float(time_ps.max()) * 1e-12 - first_s) / _DELAY_STEP_S) + 1
        rows_s = first_s + _DELAY_STEP_S * np.arange(-_EDGE, count + _EDGE + 1)
        delay_s = self._columns(rows_s, time_bias_s, cross_track_m)[8]
        if sign > 0:  # by emission time: l(e) = light-time at arrival e + l(e)
            by_arrival = make_interp_spline(rows_s, delay_s, k=7)
            for _ in range(4):
                delay_s = by_arrival(rows_s + delay_s)
        pieces = _uniform_pieces(rows_s, delay_s, _EDGE, count)
        return np.asarray(kernel.add_polynomial_ps(time_ps, sign, first_s, _DELAY_STEP_S, pieces), dtype=np.int64)

    def _out_of_reach(self, t_ns: int) -> StationError:
        return StationError(
            f'{format_utc(t_ns)} is outside the prediction for {self.satellite},'
            f' {format_utc(self.start_ns)} to {format_utc(self.end_ns)}'
        )


def _uniform_pieces(x: FloatArray, y: FloatArray, skip: int, count: int) -> FloatArray:
    """Spline of degree 7 as polynomials (8, count, ...) on `count` uniform steps from x[skip]."""
    spline = make_interp_spline(x, y, k=7)
    knots = x[skip : skip + count]
    return np.ascontiguousarray([spline(knots, nu=power) / factorial(power) for power in range(7, -1, -1)])


def _nearest_turn(angle: FloatArray, reference: FloatArray) -> FloatArray:
    near: FloatArray = angle + 2 * np.pi * np.floor((reference - angle) / (2 * np.pi) + 0.5)
    return near
