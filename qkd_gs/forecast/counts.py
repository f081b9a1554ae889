"""Counts that a receiver is expected to have after a pass, from transmission and noise over time."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Receiver, SourceTolerance, Tally
from qkd_gs.settings.station import KeySettings, SourceSettings, StationSettings

_EDGE_SIGMA = 13.0  # by which light at the edges of the gate may hide in the noise


@dataclass(frozen=True)
class Light:
    """Transmission and noise over the counted time; arrays (n,) in steps of `step_s`."""

    transmission: FloatArray  # from the satellite's aperture to a click
    noise_cps: FloatArray  # over the four detectors
    step_s: float


def expected_counts(
    light: Light, source: SourceSettings, key: KeySettings, optical_error: float, gain: float = 1.0
) -> KeyCounts:
    """Expected counts of all intensities in both bases.

    A pulse of mean photon number m is detected with probability y0 + 1 - exp(-eta m), y0 being the noise in one gate;
    half of the detections have the satellite's basis.  After any click the detectors are ignored for the hold-off.
    The two bases are alike.

    Parameters
    ----------
    optical_error : float
        Probability that the optics turn a bit over; noise errs in one half.
    gain : float
        Factor on the transmission.
    """
    mu = {'signal': source.mu_signal, 'decoy': source.mu_decoy, 'vacuum': source.mu_vacuum}
    share = {'signal': source.p_signal, 'decoy': source.p_decoy, 'vacuum': source.p_vacuum}
    eta = np.minimum(gain * light.transmission, 1.0)
    detected = {name: -np.expm1(-eta * mu[name]) for name in mu}
    clicks = light.noise_cps + source.pulse_rate_hz * sum(share[name] * detected[name] for name in mu)
    open_s = light.step_s / (1 + clicks * key.hold_off_ns * 1e-9)
    noise = light.noise_cps * key.gate_ns * 1e-9

    def tally(name: str) -> Tally:
        sent = source.pulse_rate_hz * share[name] * open_s / 4  # in one basis, and measured in it
        sifted = round(float(np.sum(sent * (noise + detected[name]))))
        errors = float(np.sum(sent * (noise / 2 + optical_error * detected[name])))
        return Tally(sent=round(float(np.sum(sent))), sifted=sifted, errors=min(round(errors), sifted))

    basis = BasisCounts(signal=tally('signal'), decoy=tally('decoy'), vacuum=tally('vacuum'))
    return KeyCounts(
        intensities=Intensities(signal=mu['signal'], decoy=mu['decoy'], vacuum=mu['vacuum']), hv=basis, da=basis
    )


def with_flaws(counts: KeyCounts, light: Light, station: StationSettings, gain: float = 1.0) -> KeyCounts:
    """The same counts with the flaws of source and receiver that a certified key pays for, as far as they are stated.

    Unequal detectors count as the limits of the settings have them, which is what a station pays that did not
    calibrate its efficiencies.
    """
    source, key = station.source, station.key
    two = sum(
        share * (gain * mu) ** 2 / 4
        for share, mu in ((source.p_signal, source.mu_signal), (source.p_decoy, source.mu_decoy))
    )
    cross = source.pulse_rate_hz * light.step_s * two * float(np.sum(light.transmission**2))
    inside = 2 * sum(tally.sifted for tally in (counts.pooled.signal, counts.pooled.decoy, counts.pooled.vacuum))
    outside = float(np.sum(light.noise_cps)) * light.step_s * (1 - key.gate_ns * 1e-9 * source.pulse_rate_hz)
    receiver = Receiver(
        within_basis=key.max_efficiency_mismatch,
        between_bases=key.max_efficiency_mismatch,
        cross_clicks=ceil(cross),
        edge_bits=ceil((key.max_light_outside * inside + _EDGE_SIGMA * sqrt(outside)) / 2),
    )
    tolerance = SourceTolerance(intensity=source.mu_tolerance, probability=source.p_tolerance)
    return counts.model_copy(update={'receiver': receiver, 'tolerance': tolerance})
