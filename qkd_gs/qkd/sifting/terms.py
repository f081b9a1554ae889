"""Terms that both sides must agree on before a run: parameters of the source, security and reconciliation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field

from qkd_gs.qkd.finite_key.counts import Intensities, SourceTolerance
from qkd_gs.qkd.sifting.states import Intensity
from qkd_gs.settings.loader import Section
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.station import Keep, StationSettings
from qkd_gs.timing.public_pulses import public_in
from qkd_gs.timing.spans import PulseSpan, pulses_in

_DAY_NS = 86_400 * 10**9


class Terms(Section):
    """Terms of a run; sent with the first message, and refused by the other side if its own differ."""

    pulse_rate_hz: float = Field(gt=0)
    intensities: Intensities
    p_signal: float = Field(gt=0, lt=1)
    p_decoy: float = Field(gt=0, lt=1)
    p_vacuum: float = Field(gt=0, lt=1)
    tolerance: SourceTolerance = SourceTolerance()
    public_pulses: PublicPulses | None = Field(None, description='never part of the key; doc/security.md')
    epsilon_total: float = Field(gt=0, lt=1e-3)
    verification_bits: int = Field(ge=32, le=256)
    max_qber: float = Field(gt=0, lt=0.5)
    analysis: Literal['joint'] = Field('joint', description='of the finite statistics: doc/security.md')
    reconciliation: Literal['cascade', 'ldpc'] = 'cascade'
    keep: Keep = 'never'
    keep_days: int = Field(default=30, ge=1, le=366)

    @property
    def one_way(self) -> bool:
        """True for one-way LDPC reconciliation, False for interactive Cascade."""
        return self.reconciliation == 'ldpc'

    @classmethod
    def of_station(cls, settings: StationSettings) -> Self:
        """Terms from the station's configuration."""
        source, key = settings.source, settings.key
        return cls(
            pulse_rate_hz=source.pulse_rate_hz,
            intensities=Intensities(signal=source.mu_signal, decoy=source.mu_decoy, vacuum=source.mu_vacuum),
            p_signal=source.p_signal,
            p_decoy=source.p_decoy,
            p_vacuum=source.p_vacuum,
            tolerance=SourceTolerance(intensity=source.mu_tolerance, probability=source.p_tolerance),
            public_pulses=source.public_pulses,
            epsilon_total=key.epsilon_total,
            verification_bits=key.verification_bits,
            max_qber=key.max_qber,
            reconciliation=key.reconciliation,
            keep=key.keep,
            keep_days=key.keep_days,
        )

    @property
    def keep_ns(self) -> int:
        """Time for which sifted bits are kept at most."""
        return self.keep_days * _DAY_NS

    def key_pulses(self, spans: Sequence[PulseSpan]) -> int:
        """Pulses in disjoint spans that may become part of the key: all but the public ones."""
        public = public_in(self.public_pulses, spans) if self.public_pulses else 0
        return pulses_in(spans) - public

    def probability(self, intensity: Intensity) -> float:
        """Fraction of the pulses with this intensity."""
        return {Intensity.SIGNAL: self.p_signal, Intensity.DECOY: self.p_decoy, Intensity.VACUUM: self.p_vacuum}[
            intensity
        ]
