"""Reconciliation: efficiency, speed and round trips of Cascade, beside the Slepian-Wolf limit (f = 1)."""

from __future__ import annotations

from time import process_time
from typing import Any

import numpy as np

from qkd_gs.qkd.corrector import EFFICIENT, QUICK, CascadeOptions
from qkd_gs.qkd.entropy import binary_entropy
from qkd_gs.qkd.reconcile import reconcile

FRAME_BITS = 100_000
FRAMES = 1000
QBERS = (0.01, 0.02, 0.03)
PASS_BITS = 630_000
PASS_QBER = 0.014


def run(frames: int = FRAMES, frame_bits: int = FRAME_BITS, qbers: tuple[float, ...] = QBERS) -> dict[str, Any]:
    """Figures over many frames with independent errors, and of one key of a pass's size.

    Speed is sifted bits over processor time, both ends in one process.  A frame has failed if any error is left.
    """
    figures: dict[str, Any] = {'frames': frames, 'frame_bits': frame_bits, 'slepian_wolf_f': 1.0}
    for qber in qbers:
        figures[f'qber_{qber:g}'] = _measure(frames, frame_bits, qber, EFFICIENT)
    passes = max(1, frames // 250)
    figures['whole_pass'] = _measure(passes, PASS_BITS, PASS_QBER, EFFICIENT)
    figures['whole_pass_few_round_trips'] = _measure(passes, PASS_BITS, PASS_QBER, QUICK)
    return figures


def _measure(frames: int, bits: int, qber: float, options: CascadeOptions) -> dict[str, float]:
    rng = np.random.default_rng(20200807)
    reconcile(np.zeros(1000, np.uint8), np.zeros(1000, np.uint8), qber, 0, options)  # compiles, if nobody has yet
    ratios, trips, failures, seconds = [], [], 0, 0.0
    for number in range(frames):
        alice = rng.integers(0, 2, bits, dtype=np.uint8)
        errors = rng.random(bits) < qber
        bob = alice ^ errors.astype(np.uint8)
        begin = process_time()
        found = reconcile(alice, bob, qber, number, options)
        seconds += process_time() - begin
        failures += not np.array_equal(found.bits, alice)
        ratios.append(found.disclosed_bits / (bits * binary_entropy(float(errors.mean()))))
        trips.append(found.round_trips)
    return {
        'bits': bits,
        'qber': qber,
        'f': float(np.mean(ratios)),
        'f_worst': float(np.max(ratios)),
        'mbit_s': frames * bits / seconds / 1e6,
        'round_trips': float(np.mean(trips)),
        'round_trips_worst': int(np.max(trips)),
        'failures': failures,
    }
