"""The published passes (config/table1.csv), to be put beside ours."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from qkd_gs.share import share_path


@dataclass(frozen=True)
class PublishedPass:
    """A row of Table 1 of "Portable ground stations for space-to-ground quantum key distribution"."""

    site: str
    date: str  # local, UTC+8
    max_elevation_deg: float
    time_s: float  # efficient time
    sifted_bits: float
    qber: float
    key_bits: int


def published_passes() -> tuple[PublishedPass, ...]:
    """The 17 passes."""
    with open(share_path('config', 'table1.csv'), encoding='utf-8', newline='') as file:
        lines = csv.DictReader(line for line in file if not line.startswith('#'))
        return tuple(
            PublishedPass(
                site=line['site'],
                date=line['date'],
                max_elevation_deg=float(line['max_elevation_deg']),
                time_s=float(line['t_s']),
                sifted_bits=1e3 * float(line['sifted_kbit']),
                qber=float(line['qber']),
                key_bits=int(line['key_bits']),
            )
            for line in lines
        )
