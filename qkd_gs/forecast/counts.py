"""Counts that a receiver is expected to have after a pass, from transmission and noise over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Tally
from qkd_gs.settings.station import KeySettings, SourceSettings


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
