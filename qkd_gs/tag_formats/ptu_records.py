"""The compiled loop over the records of PTU files in T2 mode.

Every record becomes a tag (photon, sync pulse, marker) or an overflow; anything else ends the loop.  A marker record
has a bit for each of four markers and becomes a tag for each bit that is set.  After PicoQuant's description of the
record types: HydraHarp and later ``special | channel (6) | time (25)``, PicoHarp ``channel (4) | time (28)``.
"""

from __future__ import annotations

import numpy as np

from qkd_gs.jit import njit
from qkd_gs.tag_formats.ptu_header import RecordLayout
from qkd_gs.tag_formats.raw import MARKER, MARKERS, SYNC

WRAP = 1 << 25
HYDRAHARP_1_WRAP = 33_552_000
PICOHARP_WRAP = 210_698_240
SPARE = 8  # room in the results for the last record's markers
_PICOHARP, _HYDRAHARP_1 = int(RecordLayout.PICOHARP), int(RecordLayout.HYDRAHARP_1)
_PICOHARP_INPUTS = 5


@njit(cache=True)
def decode(records, layout, turned, overflows, most, ticks, source):  # type: ignore[no-untyped-def]
    """Fill `ticks` and `source` from the records.

    Parameters
    ----------
    records : (n,) uint32
    layout : int
        Of `RecordLayout`.
    turned : int
        Counts that the overflows so far add to a time.
    overflows : int
        Overflows so far.
    most : int
        Largest `turned`.
    ticks, source : (m,) int64, int16
        Results, with room for `SPARE` tags more than there are records left.

    Returns
    -------
    tuple of int
        Tags written, records used (fewer than n: the results are full), `turned`, `overflows`, and index of the first
        record that means nothing, or -1.
    """
    n = 0
    for k in range(len(records)):
        if n + MARKERS > len(ticks):
            return n, k, turned, overflows, -1
        record = np.int64(records[k])
        if layout == _PICOHARP:
            code, time = record >> 28, record & 0xFFFFFFF
            special, bits = code > 14, time & 15
            more, times, overflow = PICOHARP_WRAP, 1, special and bits == 0
            photon, sync, known = code < _PICOHARP_INPUTS, False, special
        else:
            code, time = (record >> 25) & 63, record & 0x1FFFFFF
            special, bits = record > 0x7FFFFFFF, code  # type: ignore[assignment]
            overflow = special and code == 63
            more, times = (HYDRAHARP_1_WRAP, 1) if layout == _HYDRAHARP_1 else (WRAP, time + (time == 0))
            photon, sync, known = not special, special and code == 0, code < 16  # type: ignore[assignment]
        if photon:
            ticks[n], source[n] = turned + time, code + 1
            n += 1
        elif overflow:
            turned += more * times
            overflows += times
            if turned > most:
                return n, k, turned, overflows, k
        elif sync:
            ticks[n], source[n] = turned + time, SYNC
            n += 1
        elif known:
            for marker in range(MARKERS):
                if bits >> marker & 1:
                    ticks[n], source[n] = turned + time, MARKER + 1 + marker
                    n += 1
        else:
            return n, k, turned, overflows, k
    return n, len(records), turned, overflows, -1
