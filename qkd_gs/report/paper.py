"""Published figures of the portable ground stations, put beside ours.

Ren et al., "Portable ground stations for space-to-ground quantum key distribution": Fig. 5 (tracking at Shanghai,
July 2019, spot in the tracking camera), Sec. 2.2 (field of view) and Table 1 (17 passes, local dates, UTC+8).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SPOT_RMS_X_URAD, SPOT_RMS_Y_URAD = 4.41, 2.99
FIELD_URAD = 100.0
CITATION = 'Ren et al., “Portable ground stations for space-to-ground quantum key distribution”'


@dataclass(frozen=True)
class PublishedPass:
    """A row of Table 1."""

    site: str
    date: str  # local, UTC+8
    time_s: int  # efficient time
    sifted_kbit: float
    qber: float
    key_kbit: float


TABLE = tuple(
    PublishedPass(*row)
    for row in (
        ('Shanghai', '2018-10-03', 78, 345.9, 0.0136, 63.791),
        ('Shanghai', '2018-10-23', 106, 301.1, 0.0290, 25.163),
        ('Shanghai', '2019-04-26', 114, 172.5, 0.0200, 15.488),
        ('Shanghai', '2019-05-01', 107, 213.0, 0.0190, 31.296),
        ('Shanghai', '2019-05-04', 168, 296.9, 0.0137, 51.829),
        ('Shanghai', '2019-05-22', 71, 225.2, 0.0080, 45.888),
        ('Beijing', '2020-08-07', 110, 657.7, 0.0120, 80.640),
        ('Jinan', '2020-09-02', 168, 598.2, 0.0220, 70.928),
        ('Jinan', '2020-09-06', 227, 661.5, 0.0195, 124.351),
        ('Jinan', '2020-09-11', 245, 624.9, 0.0238, 68.868),
        ('Weihai', '2019-05-17', 174, 312.5, 0.0291, 33.024),
        ('Weihai', '2019-05-21', 280, 490.4, 0.0205, 67.734),
        ('Weihai', '2019-05-23', 259, 316.6, 0.0240, 12.800),
        ('Weihai', '2019-07-01', 345, 526.6, 0.0165, 93.296),
        ('Mohe', '2019-08-24', 175, 262.2, 0.0173, 45.599),
        ('Mohe', '2019-08-25', 186, 330.8, 0.0250, 31.997),
        ('Lijiang', '2019-03-25', 145, 271.7, 0.0211, 30.735),
    )
)


@dataclass(frozen=True)
class Published:
    """What the paper says for comparison, as short texts."""

    which: str
    sifted: str
    sifted_time: str
    qber: str
    key: str
    key_time: str


def published_for(site: str, culmination_ns: int) -> Published:
    """The row of Table 1 for this very pass, or the range of all its passes."""
    day = (datetime.fromtimestamp(culmination_ns // 10**9, UTC) + timedelta(hours=8)).date().isoformat()
    for row in TABLE:
        if row.site.lower() == site.lower() and row.date == day:
            return Published(
                which='the same pass',
                sifted=f'{row.sifted_kbit:.1f} kbit',
                sifted_time=f'in {row.time_s} s',
                qber=f'{100 * row.qber:.2f} %',
                key=f'{row.key_kbit:.1f} kbit',
                key_time=f'in {row.time_s} s',
            )
    return Published(
        which='17 passes',
        sifted=_range([row.sifted_kbit for row in TABLE], '.0f') + ' kbit',
        sifted_time='in ' + _range([float(row.time_s) for row in TABLE], '.0f') + ' s',
        qber=_range([100 * row.qber for row in TABLE], '.2f') + ' %',
        key=_range([row.key_kbit for row in TABLE], '.0f') + ' kbit',
        key_time='a pass',
    )


def _range(values: list[float], form: str) -> str:
    return f'{min(values):{form}}–{max(values):{form}}'
