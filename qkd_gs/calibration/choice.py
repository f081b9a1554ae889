"""Choice of the terms of the mount model by the stars that are left out of a fit."""

from __future__ import annotations

from itertools import chain

from qkd_gs.calibration.fit import PointingFit, fit_mount
from qkd_gs.calibration.observations import Observations
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel

_GROUPS = (('AN', 'AW'), ('CA',), ('NPAE',), ('TF',), ('ACES', 'ACEC'), ('ECES',))
_GAIN = 0.98  # a group must lower the held-out RMS at least to this part of it


def fit_by_held_out(seen: Observations, base: MountModel | None = None) -> PointingFit:
    """Fit the terms that make the prediction of the stars left out better; the zero points are always fitted.

    Beginning with the zero points, the group of terms that lowers the held-out RMS most is added, until none lowers it
    by 2 %. Groups that these stars cannot determine are not tried. Stars that the fit of all determined terms rejects
    take no part in the choice.

    Raises
    ------
    StationError
        As `fit_mount`; also too few stars to leave one out.
    """
    good = seen.only(fit_mount(seen, base=base).kept)
    chosen: list[str] = []
    best = fit_mount(good, chosen, base)
    if best.heldout_rms_rad is None:
        raise StationError(f'{len(seen)} stars are too few to leave one out', hint='measure more stars')
    left_out: dict[str, str] = {}
    waiting = list(_GROUPS)
    while waiting:
        trials = []
        for group in waiting:
            try:
                fit = fit_mount(good, [*chosen, *group], base)
            except StationError as error:
                left_out |= dict.fromkeys(group, error.what)
                continue
            if fit.heldout_rms_rad is not None and fit.kept.sum() >= best.kept.sum():
                trials.append((fit.heldout_rms_rad, group, fit))
        if not trials:
            break
        rms_rad, group, fit = min(trials, key=lambda trial: trial[0])
        if best.heldout_rms_rad is not None and rms_rad > _GAIN * best.heldout_rms_rad:
            break
        best, chosen = fit, [*chosen, *group]
        waiting.remove(group)
    for name in chain(*waiting):
        left_out.setdefault(name, 'does not lower the error of the stars left out by 2 %')
    final = fit_mount(seen, chosen, base)
    final.left_out.update({name: why for name, why in left_out.items() if name not in chosen})
    return final
