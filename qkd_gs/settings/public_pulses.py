"""Pulses that give the clock of a source without a beacon."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.settings.loader import Section


class PublicPulses(Section):
    """Pulses that are public, as agreed between both sides: known by their number alone, and never part of the key.

    Pulses are counted in blocks, and of so many blocks that follow each other one is public.  Of so many public blocks
    one is disclosed: the transmitter tells its intensities, which number the pulses of the others.
    """

    block: int = Field(ge=1000, le=1 << 22, description='pulses of a block; a quarter of it is lost at its ends')
    every: int = Field(default=8, ge=2, le=1000, description='of so many blocks one is public')
    disclosed: int = Field(default=128, ge=1, le=1_000_000, description='of so many public blocks one is disclosed')

    @property
    def margin(self) -> int:
        """Pulses by which the prediction may be off: so many at either end of a public block are not looked at."""
        return self.block // 8
