"""Reconciliation beside the Slepian-Wolf limit (f = 1): efficiency, speed, round trips; Cascade and one message.

Speed is sifted bits over processor time, both ends in one process.  A frame has failed if any error is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.reconciliation import ldpc
from qkd_gs.qkd.reconciliation.cascade import reconcile
from qkd_gs.qkd.reconciliation.cascade_bob import EFFICIENT, QUICK, CascadeOptions
from qkd_gs.qkd.reconciliation.key_blocks import even_slices

FRAME_BITS = 100_000
FRAMES = 1000
QBERS = (0.01, 0.02, 0.03)
PASS_BITS = 630_000
PASS_QBER = 0.014
BRIGHT_PASS_FRAMES = 77  # all frames of a pass of 20 million tags, corrected together
ONE_WAY_QBERS = (0.005, 0.01, 0.02, 0.03, 0.04)


@dataclass(frozen=True)
class _Outcome:
    bits: ByteArray
    disclosed_bits: int
    round_trips: int


_Method = Callable[[ByteArray, ByteArray, float, int], _Outcome]


def run(frames: int = FRAMES, frame_bits: int = FRAME_BITS, qbers: tuple[float, ...] = QBERS) -> dict[str, Any]:
    """Figures over many frames with independent errors, and of one key of a pass's size.

    All frames are measured with Cascade as used; the quick setting and one message take a fifth of them each rate.
    """
    figures: dict[str, Any] = {'frames': frames, 'frame_bits': frame_bits, 'slepian_wolf_f': 1.0}
    some, passes = max(1, frames // 5), max(1, frames // 250)
    for qber in qbers:
        figures[f'qber_{qber:g}'] = _measure(frames, frame_bits, qber, _cascade(EFFICIENT))
        figures[f'few_round_trips_qber_{qber:g}'] = _measure(max(1, some // 4), frame_bits, qber, _cascade(QUICK))
        bright = max(1, passes // 2), BRIGHT_PASS_FRAMES * frame_bits, qber
        figures[f'bright_pass_qber_{qber:g}'] = _measure(*bright, _cascade(EFFICIENT))
        figures[f'bright_pass_few_round_trips_qber_{qber:g}'] = _measure(*bright, _cascade(QUICK))
    figures['whole_pass'] = _measure(passes, PASS_BITS, PASS_QBER, _cascade(EFFICIENT))
    figures['whole_pass_few_round_trips'] = _measure(passes, PASS_BITS, PASS_QBER, _cascade(QUICK))
    for qber in ONE_WAY_QBERS:
        block = ldpc.codeword_slices(even_slices(60 * frame_bits, 60), qber)[0]  # of frames that share a syndrome
        figures[f'one_way_qber_{qber:g}'] = _measure(some, block.stop - block.start, qber, _one_message)
    return figures


def _cascade(options: CascadeOptions) -> _Method:
    def method(alice: ByteArray, bob: ByteArray, qber: float, seed: int) -> _Outcome:
        found = reconcile(alice, bob, qber, seed, options)
        return _Outcome(found.bits, found.disclosed_bits, found.round_trips)

    return method


def _one_message(alice: ByteArray, bob: ByteArray, qber: float, seed: int) -> _Outcome:
    sent = ldpc.syndrome(alice, qber, seed)
    return _Outcome(ldpc.decode(bob, qber, seed, sent)[0], len(sent), 0)


def _measure(frames: int, bits: int, qber: float, method: _Method) -> dict[str, float]:
    rng = np.random.default_rng(20200807)
    method(np.zeros(1000, np.uint8), np.zeros(1000, np.uint8), qber, 0)  # compiles, if nobody has yet
    ratios, trips, failures, seconds = [], [], 0, 0.0
    for number in range(frames):
        alice = rng.integers(0, 2, bits, dtype=np.uint8)
        errors = rng.random(bits) < qber
        bob = alice ^ errors.astype(np.uint8)
        begin = process_time()
        found = method(alice, bob, qber, number)
        seconds += process_time() - begin
        failures += not np.array_equal(found.bits, alice)
        ratios.append(found.disclosed_bits / (bits * binary_entropy(float(errors.mean()))))
        trips.append(found.round_trips)
    return {
        'frames': frames,
        'bits': bits,
        'qber': qber,
        'f': float(np.mean(ratios)),
        'f_worst': float(np.max(ratios)),
        'mbit_s': frames * bits / seconds / 1e6,
        'round_trips': float(np.mean(trips)),
        'round_trips_worst': int(np.max(trips)),
        'failures': failures,
    }
