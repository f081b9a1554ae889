"""Counts by basis and intensity, as the decoy-state bounds need them."""

from __future__ import annotations

import numpy as np
from pydantic import ValidationError

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import BasisCounts, KeyCounts, Tally
from qkd_gs.qkd.sifting.states import Basis, Intensity
from qkd_gs.qkd.sifting.terms import Terms


def sifted_table(basis: ByteArray, intensity: ByteArray) -> IntArray:
    """Number of sifted bits by [basis, intensity]."""
    return np.bincount(basis.astype(np.int64) * 3 + intensity, minlength=6).reshape(2, 3).astype(np.int64)


def key_counts(terms: Terms, pulses: int, sifted: IntArray, errors: IntArray) -> KeyCounts:
    """Counts that the decoy-state bounds start from.

    The number of pulses sent is computed, not counted: locked pulses x probability of the intensity x 1/2 (Alice's
    basis) x 1/2 (the receiver's passive basis).  The bounds require exactly this: given the photon numbers,
    intensities are drawn independently with the declared probabilities, and the Chernoff step goes from an observed
    count to its expectation over that draw (Zhang et al., Phys. Rev. A 95, 012333 (2017), sec. III).  The common
    factor, and with it the number of pulses, cancels.

    Parameters
    ----------
    terms : Terms
        Probabilities and mean photon numbers.
    pulses : int
        Pulses in locked time.
    sifted, errors : (2, 3) int64
        By basis and intensity.

    Raises
    ------
    StationError
        More bits sifted than pulses sent, or more errors than sifted bits.
    """

    def basis_counts(basis: Basis) -> BasisCounts:
        tallies = {
            intensity.name.lower(): Tally(
                sent=round(pulses * terms.probability(intensity) / 4),
                sifted=int(sifted[basis, intensity]),
                errors=int(errors[basis, intensity]),
            )
            for intensity in Intensity
        }
        return BasisCounts(**tallies)

    try:
        return KeyCounts(
            intensities=terms.intensities,
            tolerance=terms.tolerance,
            hv=basis_counts(Basis.HV),
            da=basis_counts(Basis.DA),
        )
    except ValidationError as error:
        raise StationError(
            f'the counts contradict themselves: {error.errors()[0]["msg"]}', hint='is the locked time right?'
        ) from error


def with_signal_errors(counts: KeyCounts, hv: int, da: int) -> KeyCounts:
    """Copy of `counts` with the signal errors that reconciliation found in each basis."""

    def filled(basis: BasisCounts, errors: int) -> BasisCounts:
        signal = Tally(sent=basis.signal.sent, sifted=basis.signal.sifted, errors=errors)
        return BasisCounts(signal=signal, decoy=basis.decoy, vacuum=basis.vacuum)

    return counts.model_copy(update={'hv': filled(counts.hv, hv), 'da': filled(counts.da, da)})
