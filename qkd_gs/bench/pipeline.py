"""A whole session from sealed tags to a stored key: ground and satellite in two processes over TLS on loopback.

The light is the twin's (part of the Shanghai pass on a better link), so the key is a true one of both sides.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from qkd_gs.bench.slow_link import slow_link
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.link.streams import LinkMeter
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.synthetic_session import SyntheticSession

TAGS = 20_000_000
ROUND_TRIP_S, RATE_BIT_S = 0.25, 1e6
_SECONDS, _BEFORE_S = 330.0, 165.0  # above 20 deg
_BEACON_TAGS, _PHOTON_TAGS = 2.43e6, 1.38e6  # of this part on the link as it is
_WARM_UP_S = 10.0


def run(tags: int = TAGS) -> dict[str, Any]:
    """Figures of a pass with the link as published, of one with light enough for `tags` tags, a tenth and ten times it.

    Takes some minutes, two of them for the slow link and most to draw the largest session, and 80 bytes of disk for
    each of `tags`.

    Returns
    -------
    dict
        ``seconds`` is wall time from opening the session to the key in the store, the start of the satellite's
        process included; ``slow_link_seconds`` adds what the traffic would take at 250 ms of round trip and
        1 Mbit/s; for the published link ``slow_link_measured_seconds`` is what it took through a relay like that.
        ``slow_link_least_seconds`` is what naming the detected pulses and their bases alone takes there in the
        shortest code that there is; memory is the peak of each process.  ``tenth`` is a session a tenth as long in
        the same light, ``tenfold`` one of ten times as many tags in the same time (a pass cannot be longer).
        ``growth`` says how the figures grow from the tenth to the whole, and what a further tag needs,
        ``growth_tenfold`` the same from the whole on: memory beyond these sizes is reckoned from that.
    """
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        keys = KeyFolder.create(base / 'keys')
        _measure(base / 'warm-up', keys, SyntheticSession(_WARM_UP_S, _WARM_UP_S / 2))  # compiles what nobody has yet
        published = _measure(base / 'published', keys, _bright(_BEACON_TAGS + _PHOTON_TAGS))
        others = KeyFolder.create(base / 'other-keys')  # the same session once more: these have no key of it yet
        slow = _measure(base / 'slow', others, _bright(_BEACON_TAGS + _PHOTON_TAGS), slowly=True)
        whole = _measure(base / 'whole', keys, _bright(tags))
        short = replace(_bright(tags), seconds=_SECONDS / 10, before_s=_BEFORE_S / 10)
        tenth = _measure(base / 'tenth', keys, short)
        tenfold = _measure(base / 'tenfold', keys, _bright(10 * tags))
    return whole | {
        'round_trip_s': ROUND_TRIP_S,
        'rate_bit_s': RATE_BIT_S,
        'published_link': published | {'slow_link_measured_seconds': slow['seconds']},
        'tenth': tenth,
        'tenfold': tenfold,
        'growth': _growth(tenth, whole),
        'growth_tenfold': _growth(whole, tenfold),
    }


def _bright(tags: float) -> SyntheticSession:
    """The pass above 20 deg, on a link good enough for so many tags."""
    return SyntheticSession(_SECONDS, _BEFORE_S, gain=max((tags - _BEACON_TAGS) / _PHOTON_TAGS, 0.1))


def _growth(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """Ratios, and what each further tag costs."""
    more = large['tags'] - small['tags']
    ratios = {name: large[name] / small[name] for name in ('session_s', 'tags', 'seconds')}
    memory = {
        f'{side}_bytes_a_tag': (large[f'{side}_memory_mb'] - small[f'{side}_memory_mb']) * 2**20 / more
        for side in ('ground', 'satellite')
    }
    return ratios | memory | {'seconds_a_million_tags': (large['seconds'] - small['seconds']) / more * 1e6}


def _measure(folder: Path, keys: KeyFolder, session: SyntheticSession, slowly: bool = False) -> dict[str, Any]:
    begin = perf_counter()
    session.write(folder, keys.session_public_key)
    drawn_s = perf_counter() - begin
    fresh = multiprocessing.get_context('spawn')  # so that the memory is that of processing alone
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        found: dict[str, Any] = pool.submit(_process, folder, keys.path, slowly).result()
    return found | {'session_s': session.seconds, 'seconds_to_draw': drawn_s}


def _process(folder: Path, key_path: Path, slowly: bool) -> dict[str, Any]:
    """Process a session, over the slow link if `slowly`; runs in a process of its own."""
    keys = KeyFolder(key_path)
    meters: list[LinkMeter] = []
    steps: list[tuple[str, float]] = []
    peaks: dict[str, float] = {}

    @contextmanager
    def link() -> Iterator[LinkMeter]:
        with simulated_satellite(folder, keys, _slow if slowly else nullcontext) as channel:
            meters.append(LinkMeter(channel))
            yield meters[0]

    def progress(step: str, done: float) -> None:
        if not steps or steps[-1][0] != step:
            steps.append((step, perf_counter()))
        peaks[step] = _memory_mb(resource.RUSAGE_SELF)

    before_s = _processor_s(resource.RUSAGE_SELF)
    begin = perf_counter()
    result = process_session(folder, keys, link, progress)
    end = perf_counter()
    ends = [at for _, at in steps[1:]] + [end]
    link_s = meters[0].link_s(ROUND_TRIP_S, RATE_BIT_S)
    key = result['key']
    return {
        'tags': result['timing']['tags'],
        'sifted_bits': key['sifted_bits'],
        'secret_bits': key['secret_bits'],
        'f_ec': key['f_ec'],
        'sync_rms_ns': result['timing']['sync_rms_ns'],
        'seconds': end - begin,
        'slow_link_seconds': end - begin + link_s,
        'slow_link_least_seconds': _least_bits(key['detections'], result['timing']['counted_s']) / RATE_BIT_S,
        'link_bytes': meters[0].bytes_by_kind,
        'round_trips': key['round_trips'],
        'steps_s': {step: until - at for (step, at), until in zip(steps, ends, strict=True)},
        'ground_processor_s': _processor_s(resource.RUSAGE_SELF) - before_s,
        'satellite_processor_s': _processor_s(resource.RUSAGE_CHILDREN),
        'memory_up_to_mb': peaks,
        'ground_memory_mb': _memory_mb(resource.RUSAGE_SELF),
        'satellite_memory_mb': _memory_mb(resource.RUSAGE_CHILDREN),
    }


def _slow(port: int) -> AbstractContextManager[int]:
    return slow_link(port, ROUND_TRIP_S, RATE_BIT_S)


def _least_bits(detections: int, seconds: float, pulse_rate_hz: float = 1e8) -> float:
    """Entropy of which pulses were detected, and of their bases."""
    pulses = seconds * pulse_rate_hz
    return pulses * binary_entropy(detections / pulses) + detections


def _processor_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _memory_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024  # Linux counts in KiB
