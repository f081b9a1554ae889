"""Every usable pass of a day or more in lockstep in one process, the time between them left out."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs.api.passes import find_passes
from qkd_gs.api.simulation import simulate_pass
from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.share import share_path
from qkd_gs.station.usage import usage_of

_NOON = '2018-10-03T04:00:00Z'
_SITE = 'Shanghai'
_HOUR_NS = 3600 * 10**9


def run(hours: float = 24.0) -> dict[str, Any]:
    """Calibrate, track, and make a key, pass after pass.

    Parameters
    ----------
    hours : float
        Of station time, from noon at Shanghai on 2018-10-03.

    Returns
    -------
    dict
        ``hours``; ``passes``: of each ``culmination``, ``secret_bits``, and of the process after it ``memory_mb``,
        ``files``, ``threads``; ``failed``: the reasons of passes that gave no key; ``memory_mb_per_pass`` with its
        standard error, without the first pass, which loads what all need; None with fewer than four passes.
    """
    elements = share_path('config', 'elements', 'micius.tle')
    start_ns = parse_utc(_NOON, 'start')
    end_ns = start_ns + int(hours * _HOUR_NS)
    passes = find_passes(load_elements(elements), _SITE, start_ns, end_ns)
    done, failed = [], []
    for number, found in enumerate(one for one in passes if one.usable):
        at = format_utc(found.culmination_ns, 0)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            try:
                session = simulate_pass(elements, _SITE, at, folder / 'session', seed=number + 1, keys=folder / 'keys')
            except StationError as error:
                failed.append(f'{at}: {error}')
                continue
            done.append({'culmination': at, 'secret_bits': (session.result or {})['key']['secret_bits']} | _usage())
    memory_mb = [float(one['memory_mb']) for one in done[1:]]
    return {
        'hours': hours,
        'passes': done,
        'failed': failed,
        'memory_mb_per_pass': _slope(memory_mb) if len(memory_mb) > 2 else None,
    }


def _usage() -> dict[str, Any]:
    gc.collect()
    usage = usage_of(os.getpid())
    files, threads = (len(os.listdir(f'/proc/self/{what}')) for what in ('fd', 'task'))
    return {'memory_mb': round(usage.memory_mb - usage.shared_mb), 'files': files, 'threads': threads}


def _slope(values: list[float]) -> list[float]:
    """Slope of a line through equidistant values, and its standard error."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    y = np.asarray(values) - np.mean(values)
    slope = float(x @ y / (x @ x))
    rest = y - slope * x
    return [round(slope, 2), round(float(np.sqrt(rest @ rest / (len(values) - 2) / (x @ x))), 2)]
