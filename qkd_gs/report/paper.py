"""Published figures of the portable ground stations, put beside ours.

Ren et al., "Portable ground stations for space-to-ground quantum key distribution": Fig. 5 (tracking at Shanghai,
July 2019, spot in the tracking camera), Sec. 2.2 (field of view) and Table 1 (17 passes, local dates, UTC+8).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from qkd_gs.session.published import published_passes

SPOT_RMS_X_URAD, SPOT_RMS_Y_URAD = 4.41, 2.99
FIELD_URAD = 100.0
_SAME_DEG = 1.0  # Table 1 has whole degrees
CITATION = 'Ren et al., “Portable ground stations for space-to-ground quantum key distribution”'


@dataclass(frozen=True)
class Published:
    """Published values for comparison, as short texts."""

    which: str
    sifted: str
    sifted_time: str
    qber: str
    key: str
    key_time: str


def published_for(site: str, culmination_ns: int, max_elevation_deg: float | None) -> Published:
    """The row of Table 1 for this very pass (site, local date and culmination), or the range of all its passes."""
    day = (datetime.fromtimestamp(culmination_ns // 10**9, UTC) + timedelta(hours=8)).date().isoformat()
    table = published_passes()
    for row in table:
        same_height = max_elevation_deg is not None and abs(row.max_elevation_deg - max_elevation_deg) < _SAME_DEG
        if row.site.lower() == site.lower() and row.date == day and same_height:
            return Published(
                which='the same pass',
                sifted=f'{row.sifted_bits / 1e3:.1f} kbit',
                sifted_time=f'in {row.time_s:.0f} s',
                qber=f'{100 * row.qber:.2f} %',
                key=f'{row.key_bits / 1e3:.1f} kbit',
                key_time=f'in {row.time_s:.0f} s',
            )
    return Published(
        which='17 passes',
        sifted=_range([row.sifted_bits / 1e3 for row in table], '.0f') + ' kbit',
        sifted_time='in ' + _range([row.time_s for row in table], '.0f') + ' s',
        qber=_range([100 * row.qber for row in table], '.2f') + ' %',
        key=_range([row.key_bits / 1e3 for row in table], '.0f') + ' kbit',
        key_time='a pass',
    )


def _range(values: list[float], form: str) -> str:
    return f'{min(values):{form}}–{max(values):{form}}'
