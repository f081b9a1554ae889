"""The receiver's flaws in a pass, as the proof takes them into account: calibrated before the pass, or limits."""

from __future__ import annotations

from math import ceil, sqrt

from qkd_gs.qkd.finite_key.counts import Receiver
from qkd_gs.settings.station import StationSettings
from qkd_gs.timing.balance import imbalances
from qkd_gs.timing.clicks import ClickStatistics
from qkd_gs.timing.tags import QUANTUM

_MATCHING = 0.5  # of the clicks, those in the satellite's basis
_CHECK_SIGMA = 6.0  # standard deviations of noise by which the checks of the gate may miss light
_SIGMA = 7.0  # of chance: 1e-12


def receiver_report(station: StationSettings, clicks: ClickStatistics, cross_clicks: int, pulses: int) -> Receiver:
    """Flaws of the receiver in a pass.

    Parameters
    ----------
    station : StationSettings
        Frozen when the pass began.
    clicks : ClickStatistics
        Of the locked time.
    cross_clicks : int
        Pulses with clicks in both bases.
    pulses : int
        Pulses in the locked time.
    """
    within, between = _inequality(station)
    outside = int(clicks.outside.sum())
    inside = int(clicks.counts.sum()) - outside
    edges = station.key.max_light_outside * inside + (_CHECK_SIGMA + _SIGMA) * sqrt(outside)
    return Receiver(
        within_basis=within,
        between_bases=between,
        cross_clicks=cross_clicks,
        excess_dark_bits=_excess_dark_bits(station, pulses),
        edge_bits=ceil(_MATCHING * edges),
    )


def _inequality(station: StationSettings) -> tuple[float, float]:
    """Within a basis, and between the bases: as calibrated, with its uncertainty, or the limits of the checks."""
    measured = station.detectors.relative_efficiency
    if measured is None:
        return station.key.max_efficiency_mismatch, station.key.max_efficiency_mismatch
    within_hv, within_da, between = (
        abs(float(value)) + station.detectors.efficiency_uncertainty
        for value in imbalances([measured[channel.name] for channel in QUANTUM])
    )
    return max(within_hv, within_da), between


def _excess_dark_bits(station: StationSettings, pulses: int) -> int:
    """Sifted bits by dark counts beyond those of the quietest detector."""
    dark = station.detectors.dark_cps
    if dark is None:
        return 0
    excess_cps = sum(dark.values()) - len(dark) * min(dark.values())
    expected = _MATCHING * excess_cps * station.key.gate_ns * 1e-9 * pulses
    return ceil(expected + _SIGMA * sqrt(expected)) if expected else 0
