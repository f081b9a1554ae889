"""Robust fit of the mount model to measured stars: only terms that the stars determine, with realistic errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from qkd_gs.arrays import BoolArray, FloatArray
from qkd_gs.calibration import fit_kernels
from qkd_gs.calibration.observations import Observations
from qkd_gs.calibration.sense import require_sense
from qkd_gs.errors import StationError
from qkd_gs.pointing import mount_kernels
from qkd_gs.pointing.mount_model import NAMES, MountModel

# Terms in the order in which stars determine them, with the size at which a term is usually found on a small
# mount (rad).  A group joins the fit when the stars would measure it better than this size.
# ECEC is only fitted on request: to a few urad it equals TF (both vary with cos el).
LADDER = (
    (('IA', 'IE'), np.inf),
    (('AN', 'AW'), 1e-2),
    (('CA',), 5e-4),
    (('NPAE',), 2e-4),
    (('TF',), 1e-4),
    (('ACES', 'ACEC'), 1e-4),
    (('ECES',), 1e-4),
)
SIZE_RAD = {name: size_rad for names, size_rad in LADDER for name in names} | {'ECEC': 1e-4}
NOISE_RAD = 2e-5  # error of one star per axis assumed before a fit: seeing and scatter of the mount
SPARE = 2  # redundant measurements required as a check
FEW = 12  # with at most this many stars, reweighting may miss a wrong one
FEWEST_TO_REJECT = 5  # with fewer stars a wrong one cannot be identified
GROSS_RAD = 0.1  # after the zero points; larger residuals are not due to a tilt
LIMIT_SIGMA = 4.0  # of a Rayleigh distribution: one good star in 3000 is lost
REJECT_FRACTION = 0.3
_ROUNDS = 15  # of the robust fit, each of its two kinds
_SETTLED_RAD = 1e-7
_RIDGE = 1e-3  # (1/rad)^2: keeps the steps solvable where stars coincide, against 1e9 and more of one star
SINGULAR = 1e5  # term error over star error at which terms cannot be separated


@dataclass(frozen=True)
class Rejection:
    """A star left out of the fit, and why."""

    index: int
    label: str
    residual_urad: float
    limit_urad: float

    @property
    def reason(self) -> str:
        """One sentence."""
        return f'{self.residual_urad:.0f} urad off the fit of the others, limit {self.limit_urad:.0f}'


@dataclass(frozen=True)
class PointingFit:
    """A fitted model and its errors."""

    model: MountModel
    sigma_rad: dict[str, float]  # standard error of each fitted term
    left_out: dict[str, str]  # term -> why it was not fitted
    x_rad: FloatArray  # (n,) residuals of all stars: cross-elevation,
    y_rad: FloatArray  # and elevation; star minus line of sight
    kept: BoolArray  # (n,)
    rejected: tuple[Rejection, ...]
    rms_rad: float  # two-dimensional radial RMS of the kept stars
    heldout_rms_rad: float | None  # the same, each star predicted by the fit of the others; None: too few stars
    warnings: tuple[str, ...]


def fit_mount(
    seen: Observations,
    terms: Sequence[str] | None = None,
    base: MountModel | None = None,
) -> PointingFit:
    """Fit a `MountModel` to observed stars.

    Parameters
    ----------
    seen : Observations
        One star or more.  Encoder angles may carry any zero point and any number of turns.
    terms : sequence of str, optional
        Terms to fit.  Not given: as many steps of `LADDER` as the stars determine.
    base : MountModel, optional
        Values of the terms that are not fitted (zero points are always fitted); default all zero.

    Returns
    -------
    PointingFit

    Raises
    ------
    StationError
        No stars, unknown terms, requested terms that these stars cannot separate, or an encoder that counts backwards.

    Notes
    -----
    Residuals are angles on the sky.  A robust fit finds the stars that disagree (`_robust`); they are rejected when
    their residual exceeds 4 robust sigma, and the rest is fitted by plain least squares, whose covariance gives
    the errors.  Held-out residuals follow from the fit without refitting: for star i with residual r_i and hat
    block H_i it is (1 - H_i)^-1 r_i (Cook and Weisberg, Residuals and Influence, 1982).
    """
    if len(seen) == 0:
        raise StationError('no star has been measured', hint='a fit needs one star, a useful one ten')
    require_sense(seen)
    start = _start(seen, base or MountModel())
    if terms is None:
        names, left_out = _ladder(seen, start)
    else:
        names, left_out = _asked(terms), {}
    free = np.array([NAMES.index(name) for name in names])
    if terms is not None:
        _refuse_singular(seen, start, free)

    values, kept, limit_rad = _reject(seen, start, free)
    stars = seen.only(kept)
    jacobian = _jacobian(values, stars, free)
    covariance: FloatArray = np.asarray(np.linalg.pinv(jacobian.T @ jacobian), dtype=np.float64)
    spare = 2 * len(stars) - len(free)
    residual = _residuals(values, stars)
    noise_rad = float(np.sqrt(residual @ residual / spare)) if spare > 0 else NOISE_RAD
    x, y = _residuals(values, seen).reshape(2, -1)
    rejected = tuple(
        Rejection(int(i), seen.labels[i], float(np.hypot(x[i], y[i]) * 1e6), float(limit_rad * 1e6))
        for i in np.flatnonzero(~kept)
    )
    return PointingFit(
        model=_believable(values, len(seen)),
        sigma_rad={name: float(noise_rad * np.sqrt(covariance[i, i])) for i, name in enumerate(names)},
        left_out=left_out,
        x_rad=x,
        y_rad=y,
        kept=kept,
        rejected=rejected,
        rms_rad=_radial_rms(residual),
        heldout_rms_rad=_heldout(residual, jacobian, covariance),
        warnings=_warnings(seen, kept, names, spare),
    )


def _start(seen: Observations, base: MountModel) -> FloatArray:
    """Zero points by medians, for any turn of the encoder; the other terms from `base`."""
    turn = seen.enc_az_rad - seen.az_rad
    middle = np.angle(np.sum(np.cos(seen.el_rad) * np.exp(1j * turn)))
    values = base.values.copy()
    zero = middle + np.median(np.angle(np.exp(1j * (turn - middle))))
    values[mount_kernels.IA] = np.angle(np.exp(1j * zero))
    values[mount_kernels.IE] = np.median(seen.enc_el_rad - seen.el_rad)
    return values


def _ladder(seen: Observations, start: FloatArray) -> tuple[list[str], dict[str, str]]:
    """Terms that these stars determine, and the reasons for the others."""
    names: list[str] = []
    left_out: dict[str, str] = {}
    for group, size_rad in LADDER:
        trial = [*names, *group]
        needed = len(trial) + SPARE if len(trial) <= 4 else 1.5 * len(trial)
        if group != LADDER[0][0] and 2 * len(seen) < needed:
            left_out |= dict.fromkeys(group, f'{len(seen)} stars are too few')
            continue
        free = np.array([NAMES.index(name) for name in trial])
        error_rad = float(NOISE_RAD * _amplification(seen, start, free)[-len(group) :].max())
        if error_rad > size_rad:
            left_out |= dict.fromkeys(
                group, f'the stars cover too little sky: error {error_rad * 1e6:.0f} urad, size {size_rad * 1e6:.0f}'
            )
            continue
        names = trial
    left_out['ECEC'] = 'goes with cos(el) as TF does: TF holds both'
    return names, left_out


def _asked(terms: Sequence[str]) -> list[str]:
    unknown = [name for name in terms if name not in NAMES]
    if unknown:
        raise StationError(f'unknown term {unknown[0]!r} of the mount model', hint=f'known: {", ".join(NAMES)}')
    return [name for name in NAMES if name in {'IA', 'IE', *terms}]


def _amplification(seen: Observations, values: FloatArray, free: NDArray[np.int_]) -> FloatArray:
    """Error of each free term for a unit error of each star; infinite where they cannot be separated."""
    singular_values, directions = _decompose(_jacobian(values, seen, free))
    if singular_values[-1] <= 1 / SINGULAR:
        return np.full(len(free), np.inf)
    return np.asarray(np.sqrt(np.sum((directions / singular_values[:, None]) ** 2, axis=0)))


def _decompose(jacobian: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Singular values, largest first, one for each term, and their directions (rows)."""
    padded = np.vstack([jacobian, np.zeros((max(jacobian.shape[1] - jacobian.shape[0], 0), jacobian.shape[1]))])
    _, singular_values, directions = np.linalg.svd(padded, full_matrices=False)
    return singular_values, directions


def _refuse_singular(seen: Observations, values: FloatArray, free: NDArray[np.int_]) -> None:
    singular_values, directions = _decompose(_jacobian(values, seen, free))
    if 2 * len(seen) < len(free):
        raise StationError(
            f'{len(seen)} stars give {2 * len(seen)} measurements for {len(free)} terms',
            hint='measure more stars or fit fewer terms',
        )
    if singular_values[-1] <= 1 / SINGULAR:
        mixed = [NAMES[i] for i, weight in zip(free, directions[-1], strict=True) if abs(weight) > 0.1]
        raise StationError(
            f'these {len(seen)} stars cannot tell {", ".join(mixed)} from each other',
            hint='measure stars at other azimuths and elevations, or fit fewer terms',
        )


def _reject(seen: Observations, start: FloatArray, free: NDArray[np.int_]) -> tuple[FloatArray, BoolArray, float]:
    """Values, mask of the stars kept, and the last limit of the radial residual."""
    kept = np.ones(len(seen), dtype=bool)
    if len(seen) < FEWEST_TO_REJECT or 2 * len(seen) - len(free) <= SPARE:
        return _solve(start, seen, free), kept, np.inf
    near = np.hypot(*_residuals(start, seen).reshape(2, -1)) < GROSS_RAD
    most = max(int(REJECT_FRACTION * len(seen)), 1)
    values = _consensus(start, seen, near if near.sum() * 2 > len(seen) else kept, free, most)
    limit_rad = np.inf
    for _ in range(10):
        radius = np.hypot(*_residuals(values, seen).reshape(2, -1))
        # a Rayleigh distribution has its median at 1.18 sigma; the fit absorbs part of the scatter
        shrink = np.sqrt(max(1 - len(free) / (2 * kept.sum()), 0.1))
        # with few stars it absorbs nearly all: use no scatter far below the usual one
        floor_rad = NOISE_RAD * np.sqrt(len(free) / (2 * len(seen)))
        sigma_rad = max(float(np.median(radius[kept])) / 1.18 / shrink, floor_rad)
        limit_rad = LIMIT_SIGMA * sigma_rad
        accepted = radius <= max(limit_rad, np.sort(radius)[-1 - most])
        if 2 * accepted.sum() - len(free) < SPARE:
            break
        settled = np.array_equal(accepted, kept)
        kept = accepted
        values = _solve(values, seen.only(kept), free)
        if settled:
            break
    return values, kept, limit_rad


def _consensus(
    start: FloatArray, seen: Observations, usable: BoolArray, free: NDArray[np.int_], most: int
) -> FloatArray:
    """The robust fit; of few stars also without each one in turn, taking the fit that most stars agree with."""
    trials = [usable]
    if len(seen) <= FEW:
        for i in np.flatnonzero(usable):
            without = usable.copy()
            without[i] = False
            trials.append(without)

    def disagreement(values: FloatArray) -> float:
        radius = np.sort(np.hypot(*_residuals(values, seen).reshape(2, -1)))
        return float(np.sum(radius[: len(seen) - most] ** 2))

    return min((_robust(start, seen.only(trial), free) for trial in trials), key=disagreement)


def _robust(start: FloatArray, seen: Observations, free: NDArray[np.int_]) -> FloatArray:
    """Values that are insensitive to wrong stars: reweighted Gauss-Newton steps, first as for L1, then redescending.

    Every term is held near its start within some times its usual size; else, of a few stars, a wrong one would be
    explained by a tube that bends by a degree.
    """
    values = start.copy()
    hold = (NOISE_RAD / (3 * np.array([SIZE_RAD[NAMES[i]] for i in free]))) ** 2  # zero for the zero points
    pull = np.diag(hold / NOISE_RAD**2 + _RIDGE)
    for redescending in (False, True):
        for _ in range(_ROUNDS):
            missed = _residuals(values, seen) / NOISE_RAD
            jacobian = _jacobian(values, seen, free) / NOISE_RAD
            radius = np.hypot(*missed.reshape(2, -1))
            scale = max(float(np.median(radius)) / 1.18, 0.25)
            star_weight = (1 + (radius / (3 * scale)) ** 2) ** -2 if redescending else 1 / np.maximum(radius / scale, 1)
            weight = np.concatenate([star_weight, star_weight])
            towards = jacobian.T @ (weight * missed) + hold / NOISE_RAD**2 * (values[free] - start[free])
            step = np.linalg.solve((jacobian.T * weight) @ jacobian + pull, towards)
            values[free] -= step
            if abs(step).max() < _SETTLED_RAD:
                break
    return values


def _solve(start: FloatArray, seen: Observations, free: NDArray[np.int_]) -> FloatArray:
    def misses(part: FloatArray) -> FloatArray:
        values = start.copy()
        values[free] = part
        return _residuals(values, seen) / NOISE_RAD

    def slopes(part: FloatArray) -> FloatArray:
        values = start.copy()
        values[free] = part
        return _jacobian(values, seen, free) / NOISE_RAD

    found = least_squares(misses, start[free], jac=slopes, x_scale=1e-4, xtol=1e-14, ftol=1e-14)
    values = start.copy()
    values[free] = found.x
    values[mount_kernels.IA] = np.angle(np.exp(1j * values[mount_kernels.IA]))
    return values


def _residuals(values: FloatArray, seen: Observations) -> FloatArray:
    """Star minus line of sight on the sky, (2 n,): first all x (cross-elevation), then all y (elevation)."""
    out = np.empty(2 * len(seen))
    fit_kernels.residuals(_table(seen), values, out)
    return out


def _jacobian(values: FloatArray, seen: Observations, free: NDArray[np.int_]) -> FloatArray:
    """Derivative of the residuals by the free terms, (2 n, k)."""
    out = np.empty((2 * len(seen), len(free)))
    fit_kernels.slopes(_table(seen), values, free, out)
    return out


def _table(seen: Observations) -> FloatArray:
    return np.array([seen.az_rad, seen.el_rad, seen.enc_az_rad, seen.enc_el_rad])


def _heldout(residual: FloatArray, jacobian: FloatArray, covariance: FloatArray) -> float | None:
    """RMS of every star as predicted by the others; None if the others could not fit the same terms."""
    n = len(residual) // 2
    missed = np.empty((n, 2))
    for i in range(n):
        rows = jacobian[[i, n + i]]
        rest = np.eye(2) - rows @ covariance @ rows.T
        if np.linalg.eigvalsh(rest)[0] < 1e-6:
            return None
        missed[i] = np.linalg.solve(rest, residual[[i, n + i]])
    return float(np.sqrt(np.mean(np.sum(missed**2, axis=1))))


def _believable(values: FloatArray, count: int) -> MountModel:
    try:
        return MountModel.from_values(values)
    except StationError as error:
        hint = f'one of these {count} stars may be a wrong one: measure more stars or fit fewer terms'
        raise StationError(f'the fit fails: {error.what}', hint=hint) from error


def _radial_rms(residual: FloatArray) -> float:
    return float(np.sqrt(2 * np.mean(residual**2)))


def _warnings(seen: Observations, kept: BoolArray, names: list[str], spare: int) -> tuple[str, ...]:
    found = []
    if spare < SPARE:
        found.append(f'{int(kept.sum())} stars for {len(names)} terms leave no redundancy: the RMS is meaningless')
    if len(seen) < FEWEST_TO_REJECT:
        found.append(f'with {len(seen)} stars a wrong one cannot be found out; measure {FEWEST_TO_REJECT} or more')
    if 'AN' not in names:
        found.append('the tilt of the azimuth axis is not fitted: away from these stars pointing may be off by degrees')
    return tuple(found)
