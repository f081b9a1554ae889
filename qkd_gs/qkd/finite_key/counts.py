"""Counts for the decoy-state analysis: pulses sent, bits sifted and errors found, by intensity and basis."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from qkd_gs.settings.loader import Section

MOST_PASSES = 256  # of a satellite over a station within the time for which sifted bits are kept
MOST_PARTS = 3  # of a pass, for whose tags two slots of pre-shared bits are enough


class Tally(Section):
    """Pulses of one intensity."""

    sent: int = Field(
        ge=0, le=10**18, description='pulses that could have been sifted: sent in the basis, and measured in it'
    )
    sifted: int = Field(ge=0, description='of these, the number detected')
    errors: int = Field(ge=0, description='of the detected ones, the number with the wrong bit')

    @model_validator(mode='after')
    def _errors_among_sifted_among_sent(self) -> Self:
        if self.sifted > self.sent:
            raise ValueError(f'{self.sifted} sifted are more than the {self.sent} sent')
        if self.errors > self.sifted:
            raise ValueError(f'{self.errors} errors are more than the {self.sifted} sifted')
        return self

    def __add__(self, other: Tally) -> Tally:
        return Tally(sent=self.sent + other.sent, sifted=self.sifted + other.sifted, errors=self.errors + other.errors)


class BasisCounts(Section):
    """The three intensities in one basis (or in both, pooled)."""

    signal: Tally
    decoy: Tally
    vacuum: Tally

    def __add__(self, other: BasisCounts) -> BasisCounts:
        return BasisCounts(
            signal=self.signal + other.signal, decoy=self.decoy + other.decoy, vacuum=self.vacuum + other.vacuum
        )


class Intensities(Section):
    """Mean photon numbers of the three classes."""

    signal: float = Field(gt=0, lt=2)
    decoy: float = Field(gt=0, lt=2)
    vacuum: float = Field(ge=0, lt=2)

    @model_validator(mode='after')
    def _in_order(self) -> Self:
        if self.decoy >= self.signal:
            raise ValueError(f'decoy intensity {self.decoy} must be below signal intensity {self.signal}')
        if self.vacuum != 0.0:
            raise ValueError(f'vacuum intensity {self.vacuum} must be 0: the bounds hold for a true vacuum state only')
        return self


class SourceTolerance(Section):
    """Largest deviations of the true source from the declared one: relative, 0 for an exact source."""

    intensity: float = Field(default=0.0, ge=0, le=0.5, description='of the mean photon numbers of signal and decoy')
    probability: float = Field(default=0.0, ge=0, le=0.5, description='of the probabilities of the intensities')


class Receiver(Section):
    """Flaws of a receiver of a splitter and four detectors, as the proof takes them into account."""

    within_basis: float = Field(
        ge=0, lt=0.5, description='largest inequality of the two detectors of a basis: difference over sum'
    )
    between_bases: float = Field(
        ge=0, lt=0.5, description='largest inequality of the bases, the splitter included: difference over sum'
    )
    cross_clicks: int = Field(ge=0, le=10**12, description='pulses with clicks in both bases')
    excess_dark_bits: int = Field(
        default=0, ge=0, le=10**12, description='sifted bits by dark counts beyond those of the quietest detector'
    )
    edge_bits: int = Field(default=0, ge=0, le=10**12, description='sifted bits by light at the edges of the gate')


class Joined(Section):
    """That counts are the sums of several passes, whose bits are made into one key."""

    passes: int = Field(ge=1, le=MOST_PASSES, description='passes that are joined')
    choices: int = Field(
        ge=1, le=MOST_PASSES, description='passes of the stated time, of which any could have been left out'
    )
    receivers: list[Receiver] = Field(default=[], description='of each pass; none: taken for ideal')


class Parted(Section):
    """That the bits of a pass were sifted in parts, the first ones while light of later ones was still to come."""

    parts: int = Field(ge=1, le=MOST_PARTS, description='parts for whose tags there were pre-shared bits')
    expected: int = Field(ge=1, le=10**12, description='sifted bits of all states, as expected before the first answer')


class KeyCounts(Section):
    """Counts of a pass in both bases, or of several that are joined.

    Without `receiver` the receiver is taken for ideal.
    """

    intensities: Intensities
    tolerance: SourceTolerance = SourceTolerance()
    receiver: Receiver | None = None
    joined: Joined | None = None
    parted: Parted | None = None
    hv: BasisCounts
    da: BasisCounts

    @property
    def pooled(self) -> BasisCounts:
        """Both bases together."""
        return self.hv + self.da

    @property
    def sifted_bits(self) -> int:
        """Signal bits of both bases, from which the key is made."""
        return self.pooled.signal.sifted

    @property
    def qber(self) -> float:
        """Error rate of the signal bits; 0 if there are none."""
        signal = self.pooled.signal
        return signal.errors / signal.sifted if signal.sifted else 0.0
