"""From an apparent direction to the encoder angles that put the line of sight there, and back, exactly.

The geometry is a chain of rotations, not a sum of small corrections: a roof-top mount stands on zero points
of 10 deg and tilts of half a degree, where first-order formulas err by an arc-minute.  After P. T. Wallace,
"A rigorous algorithm for telescope pointing" (SPIE 4848, 2002); names of the terms as in his TPOINT.

Sign of every term: what *has to be added* to the apparent direction to get the encoder reading.  To first
order, with azimuth A and elevation E:

    d(az) =  IA + CA / cos E + NPAE tan E + (AN sin A + AW cos A) tan E + ACES sin A + ACEC cos A
    d(el) =  IE + TF cos E + AN cos A - AW sin A + ECES sin E + ECEC cos E
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import ArrayLike

from qkd_gs.arrays import FloatArray, FloatOrArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.target import TargetState
from qkd_gs.pointing import mount_kernels

_NUMBER = (int, float)  # what goes straight to the compiled scalar functions; NumPy's float64 is a float


@dataclass(frozen=True)
class Term:
    """One term of the model; larger values than `limit_rad` are refused as implausible."""

    name: str
    doc: str
    limit_rad: float
    unit: str = 'rad'


TERMS = (
    Term('IA', 'zero point of the azimuth encoder', np.inf),
    Term('IE', 'zero point of the elevation encoder', np.pi),
    Term('AN', 'azimuth axis leans towards north', 0.1),
    Term('AW', 'azimuth axis leans towards west', 0.1),
    Term('NPAE', 'elevation axis not square to the azimuth axis: its right end too high', 0.05),
    Term('CA', 'line of sight not square to the elevation axis: it looks too far left', 0.05),
    Term('TF', 'tube flexure: the line of sight sinks by TF cos(el)', 0.01),
    Term('ACES', 'azimuth encoder off its centre, part with sin(az)', 0.01),
    Term('ACEC', 'azimuth encoder off its centre, part with cos(az)', 0.01),
    Term('ECES', 'elevation encoder off its centre, part with sin(el)', 0.01),
    Term('ECEC', 'elevation encoder off its centre, part with cos(el); stars hardly tell it from TF', 0.01),
)
NAMES = tuple(term.name for term in TERMS)


@dataclass(frozen=True)
class AxisMotion(Generic[FloatOrArray]):
    """Encoder angles and motion of both axes at a time; the fields of a mount command."""

    at_ns: FloatOrArray
    az_rad: FloatOrArray
    el_rad: FloatOrArray
    az_rate_rad_s: FloatOrArray
    el_rate_rad_s: FloatOrArray
    az_acc_rad_s2: FloatOrArray
    el_acc_rad_s2: FloatOrArray


class MountModel:
    """The mount as calibrated: immutable terms and the two transforms, exact inverses of each other.

    Parameters
    ----------
    **terms : float
        Values by name (`NAMES`), radians; terms not given are zero.

    Raises
    ------
    StationError
        Unknown name, or a value that is not finite or exceeds the limit of its term.
    """

    def __init__(self, **terms: float):
        for name, value in terms.items():
            if name not in NAMES:
                raise StationError(f'unknown term {name!r} of the mount model', hint=f'known: {", ".join(NAMES)}')
            if not abs(value) <= TERMS[NAMES.index(name)].limit_rad or not np.isfinite(value):
                raise StationError(f'mount term {name} = {value * 1e6:.6g} urad is not plausible')
        self._p: FloatArray = np.array([terms.get(name, 0.0) for name in NAMES], dtype=np.float64)
        self._p.flags.writeable = False

    @classmethod
    def from_values(cls, values: ArrayLike) -> MountModel:
        """Model from an array in the order of `NAMES`, radians."""
        return cls(**dict(zip(NAMES, np.asarray(values, dtype=np.float64).tolist(), strict=True)))

    @classmethod
    def from_dict(cls, urad: Mapping[str, Any]) -> MountModel:
        """Model from a mapping of names to microradians, as `to_dict` gives it and a YAML file holds it."""
        terms = {}
        for name, value in urad.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise StationError(f'mount term {name}: {value!r} is not a number of microradians')
            terms[str(name)] = value * 1e-6
        return cls(**terms)

    def to_dict(self) -> dict[str, float]:
        """Terms in microradians by name."""
        return {name: float(value * 1e6) for name, value in zip(NAMES, self._p, strict=True)}

    @property
    def values(self) -> FloatArray:
        """Terms in the order of `NAMES`, radians; read-only."""
        return self._p

    def __getitem__(self, name: str) -> float:
        return float(self._p[NAMES.index(name)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MountModel) and bool(np.array_equal(self._p, other._p))

    def __hash__(self) -> int:
        return hash(self._p.tobytes())

    def __repr__(self) -> str:
        terms = ', '.join(f'{name}={value:.9g}' for name, value in zip(NAMES, self._p, strict=True) if value)
        return f'MountModel({terms})'

    def replace(self, **terms: float) -> MountModel:
        """Copy with some terms changed, radians."""
        return MountModel(**{**dict(zip(NAMES, self._p.tolist(), strict=True)), **terms})

    def encoder(self, az_rad: FloatOrArray, el_rad: FloatOrArray) -> tuple[FloatOrArray, FloatOrArray]:
        """Encoder angles that put the line of sight on an apparent direction ("apply").

        Parameters
        ----------
        az_rad, el_rad : float or ndarray
            Apparent direction.  Elevation beyond 90 deg asks for the same place over the top: azimuth axis
            half a turn away, elevation axis beyond 90 deg.

        Returns
        -------
        az_rad, el_rad : float or ndarray
            Encoder angles.  The azimuth axis comes within half a turn of the apparent azimuth, then IA is added.
            Closer to the azimuth axis than about abs(CA + NPAE), where the line of sight cannot reach, the
            elevation axis is put to 90 deg: the nearest that it can.
        """
        if isinstance(az_rad, _NUMBER) and isinstance(el_rad, _NUMBER):
            out = mount_kernels.encode(float(az_rad), float(el_rad), 0.0, 0.0, 0.0, 0.0, self._p)
            return out[0], out[1]
        columns = self._encode(az_rad, el_rad, 0.0, 0.0, 0.0, 0.0)
        return columns[0], columns[1]

    def apparent(
        self,
        enc_az_rad: FloatOrArray,
        enc_el_rad: FloatOrArray,
        x_rad: FloatOrArray | float = 0.0,
        y_rad: FloatOrArray | float = 0.0,
    ) -> tuple[FloatOrArray, FloatOrArray]:
        """Apparent direction of the line of sight, or of a pixel beside it ("reverse").

        Parameters
        ----------
        enc_az_rad, enc_el_rad : float or ndarray
            Encoder angles.
        x_rad, y_rad : float or ndarray
            Pixel beside the line of sight, tangent-plane angles: x along the elevation axis (right), y square to
            it (up).

        Returns
        -------
        az_rad, el_rad : float or ndarray
            Azimuth within half a turn of the azimuth axis; elevation beyond 90 deg if the elevation axis is.
        """
        seen: tuple[FloatOrArray, FloatOrArray, FloatOrArray] = self._decode(enc_az_rad, enc_el_rad, x_rad, y_rad)
        return seen[0], seen[1]

    def roll(self, enc_az_rad: FloatOrArray, enc_el_rad: FloatOrArray) -> FloatOrArray:
        """Angle from the sky's horizontal to the tube's at the line of sight, radians.

        Positive from growing azimuth towards up: counter-clockwise as seen looking at the sky, i.e. against the
        light.  With a tilt t it reaches t / cos(el): the image's x axis is not quite azimuth, and neither is the
        receiver's horizontal polarization.
        """
        return self.line_of_sight(enc_az_rad, enc_el_rad)[2]

    def roll_and_turn(self, motion: AxisMotion[float], step_s: float) -> tuple[float, float]:
        """`roll` at a moving tube, and by how much it grows from `step_s` before to `step_s` after, radians."""
        axes = motion.az_rad, motion.el_rad, motion.az_rate_rad_s, motion.el_rate_rad_s
        found: tuple[float, float] = mount_kernels.roll_and_turn(
            *map(float, axes), float(motion.az_acc_rad_s2), float(motion.el_acc_rad_s2), step_s, self._p
        )
        return found

    def line_of_sight(
        self, enc_az_rad: FloatOrArray, enc_el_rad: FloatOrArray
    ) -> tuple[FloatOrArray, FloatOrArray, FloatOrArray]:
        """Apparent azimuth and elevation of the line of sight, and `roll`; radians."""
        seen: tuple[FloatOrArray, FloatOrArray, FloatOrArray] = self._decode(enc_az_rad, enc_el_rad, 0.0, 0.0)
        return seen

    def centred(self, enc_az_rad: float, enc_el_rad: float, x_rad: float, y_rad: float) -> tuple[float, float]:
        """Encoder angles that move the line of sight to where pixel (x, y) is now; the same azimuth turn."""
        az, el = self.apparent(enc_az_rad, enc_el_rad, x_rad, y_rad)
        to_az, to_el = self.encoder(az, el)
        return float(mount_kernels.turn_near(to_az, enc_az_rad)), to_el

    def encoder_command(self, target: TargetState[FloatOrArray]) -> AxisMotion[FloatOrArray]:
        """Encoder angles, rates and accelerations that follow a moving target; floats or arrays as in the target.

        Rates and accelerations are exact derivatives, except in the unreachable cone (see `encoder`) where they
        are zero: a plan needs a keyhole path there.
        """
        motion: Any = (
            target.az_rad,
            target.el_rad,
            target.az_rate_rad_s,
            target.el_rate_rad_s,
            target.az_acc_rad_s2,
            target.el_acc_rad_s2,
        )
        columns: Any
        if isinstance(target.az_rad, _NUMBER):
            columns = mount_kernels.encode(*map(float, motion), self._p)
        else:
            columns = self._encode(*motion)
        return AxisMotion(target.t_ns, *columns)

    def _encode(self, *motion: ArrayLike) -> FloatArray:
        columns = np.broadcast_arrays(*motion)
        shape = columns[0].shape
        stacked = np.ascontiguousarray([np.ravel(column) for column in columns], dtype=np.float64)
        out = np.empty_like(stacked)
        mount_kernels.encode_all(stacked, self._p, out)
        return out.reshape(6, *shape)

    def _decode(self, enc_az: Any, enc_el: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
        if isinstance(enc_az, _NUMBER) and isinstance(enc_el, _NUMBER) and isinstance(x, _NUMBER):
            seen: tuple[float, float, float] = mount_kernels.decode(
                float(enc_az), float(enc_el), float(x), float(y), self._p
            )
            return seen
        columns = np.broadcast_arrays(enc_az, enc_el, x, y)
        stacked = np.ascontiguousarray([np.ravel(column) for column in columns], dtype=np.float64)
        out = np.empty((3, stacked.shape[1]))
        mount_kernels.decode_all(stacked, self._p, out)
        az, el, roll = out.reshape(3, *columns[0].shape)
        return az, el, roll
