"""Single photons and phase error from a bound for each count, pooled or for each basis."""

from __future__ import annotations

from dataclasses import dataclass

from qkd_gs.qkd.finite_key.bounds import phase_error_bound
from qkd_gs.qkd.finite_key.counts import BasisCounts, KeyCounts
from qkd_gs.qkd.finite_key.decoy import SinglePhotons, single_photons, single_photons_without_fluctuations

PHASE_ERROR = 'phase_error_upper'


@dataclass(frozen=True)
class Group:
    """Bits whose single photons are estimated together.

    Attributes
    ----------
    counts : BasisCounts
    singles, ideal : SinglePhotons
        Bounds, and the same without fluctuations.
    phase_error, ideal_phase_error : float
        Likewise.
    """

    counts: BasisCounts
    singles: SinglePhotons
    ideal: SinglePhotons
    phase_error: float
    ideal_phase_error: float

    def listed(self) -> dict[str, float]:
        """All bounds by name."""
        return {
            'single_photon_yield_lower': self.singles.yield_lower,
            'single_photon_sifted_lower': self.singles.sifted_lower,
            'single_photon_error_upper': self.singles.error_upper,
            PHASE_ERROR: self.phase_error,
            **self.singles.inputs,
        }


def pooled_group(counts: KeyCounts, epsilon: float) -> dict[str, Group]:
    """Both bases together; the bit error is taken for the phase error, as in the published figures."""
    both = counts.pooled
    singles = single_photons(both, counts.intensities, epsilon)
    ideal = single_photons_without_fluctuations(both, counts.intensities)
    return {'pooled': Group(both, singles, ideal, singles.error_upper, ideal.error_upper)}


def groups_per_basis(counts: KeyCounts, epsilon: float, sampling: float, strict: bool) -> dict[str, Group]:
    """Each basis by itself, its phase error from the bit error of the other one.

    Parameters
    ----------
    counts : KeyCounts
    epsilon, sampling : float
        Failure probability of each bound on a count, and of each phase error.
    strict : bool
        See `qkd_gs.qkd.finite_key.bounds.phase_error_bound`.
    """
    tallies = {'hv': counts.hv, 'da': counts.da}
    singles = {name: single_photons(basis, counts.intensities, epsilon) for name, basis in tallies.items()}
    ideal = {name: single_photons_without_fluctuations(basis, counts.intensities) for name, basis in tallies.items()}
    groups = {}
    for name, other in (('hv', 'da'), ('da', 'hv')):
        phase_error = phase_error_bound(
            singles[other].error_upper, singles[other].sifted_lower, singles[name].sifted_lower, sampling, strict
        )
        groups[name] = Group(tallies[name], singles[name], ideal[name], phase_error, ideal[other].error_upper)
    return groups
