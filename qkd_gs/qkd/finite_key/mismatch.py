"""What unequal detectors may add to the phase error of the key."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class DetectorMismatch:
    """Largest inequality of the detectors, for light that an eavesdropper may choose pulse by pulse.

    Attributes
    ----------
    within_basis : float
        Difference over sum of the efficiencies of the two detectors of a basis, 0 to below 1.
    between_bases : float
        The same for the mean efficiencies of the two bases, the splitter included.
    """

    within_basis: float = 0.0
    between_bases: float = 0.0

    def phase_error(self, expected: float) -> tuple[float, float]:
        """Factor f and floor g: the phase error of single photons is at most f times their bit error, plus g.

        Parameters
        ----------
        expected : float
            Phase error for which f and g are best; they hold for any.
        """
        m, b = self.within_basis, self.between_bases
        amplitude = sqrt((1.0 + m) / (1.0 - m))
        tilt = (amplitude - 1.0) / (amplitude + 1.0)
        if not tilt:
            return (1.0 + b) / (1.0 - b), 0.0
        share = tilt / sqrt(expected)
        return (1.0 + share) * (1.0 + b) / (1.0 - b) / (1.0 - m), (1.0 + 1.0 / share) * tilt * tilt / (1.0 - m)


EQUAL = DetectorMismatch()
