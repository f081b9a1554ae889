"""Attacks on the light and the detectors, through the whole chain from photons to key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs.bench.security.delayed_light import drifting, two_delays
from qkd_gs.bench.security.measured_light import (
    BlindedSource,
    Interceptor,
    SomeIntercepted,
    SplittingSource,
    each_block,
    source_with,
)
from qkd_gs.bench.security.row import Attack, Row
from qkd_gs.bench.security.short_sessions import make
from qkd_gs.timing.tags import Channel, TagBlock

_DELAY = 'the delay of each pulse, and with it which detector of a gate of its own would click'


def _light(changes: Callable[[], dict[str, Any]], most_bits: int) -> Callable[[Path, str, str], Row]:
    """Carry out an attack on the light; it is held if no more than `most_bits` are certified."""

    def run(folder: Path, name: str, eve: str) -> Row:
        key = make(folder, **changes()).key
        kinds = [anomaly['kind'] for anomaly in key['anomalies']]
        stopped = '; '.join([*key['reasons'], *kinds]) or 'nothing: the key is shorter by what she may know'
        bits = key['secret_bits']
        return Row(name, eve, key['qber'], bits, stopped, bits <= most_bits)

    return run


def _weak_diode() -> dict[str, Any]:
    rng = np.random.default_rng(6)

    def weak(_: int, block: TagBlock) -> TagBlock:
        keep = (block.channel != Channel.V) | (rng.random(len(block)) < 0.3)
        return TagBlock(block.time_ps[keep], block.channel[keep])

    return {'change': each_block(weak)}


def _source(kind: Any, **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {'source': kind} | more


def light_attacks(honest_bits: int) -> list[Attack]:
    """Attacks on the light.

    Parameters
    ----------
    honest_bits : int
        Of the same eight seconds without an eavesdropper.
    """
    long = {'seconds': 40.0, 'before_s': 20.0, 'gain': 2.0}
    twelve = {'seconds': 12.0, 'before_s': 6.0, 'gain': 5.0}
    table = (
        ('time shift, each pulse +-1.5 ns', _DELAY, _source(two_delays(-1500, 1500)), 0),
        ('two peaks, 0 or +3 ns', _DELAY, _source(two_delays(0, 3000)), 0),
        ('time shift of 5 % of the pulses', _DELAY, _source(two_delays(-1000, 1000, 1 / 16)), 0),
        ('slow drift, +-0.45 ns in 80 s', _DELAY, _source(drifting(450, 80.0), **long), 0),
        ('bright light blinds the diodes', 'every bit', _source(BlindedSource, **twelve), 0),
        ('one diode made less efficient', 'which bit is likelier', _weak_diode, 0),
        ('intercept and resend, all', '3/4 of the bits', _source(source_with(Interceptor)), 0),
        ('intercept and resend, a tenth', '3/4 of a tenth', _source(source_with(SomeIntercepted)), honest_bits // 2),
        ('photon-number splitting', 'every bit of several photons', _source(SplittingSource), 0),
    )
    return [Attack(name, eve, _light(changes, most)) for name, eve, changes, most in table]
