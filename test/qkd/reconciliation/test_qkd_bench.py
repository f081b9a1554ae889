"""Benchmarks of the key run, and their figures mean what they say."""

import json

from qkd_gs.bench import amplify, reconcile


def test_reconciliation_figures():
    figures = reconcile.run(frames=2, frame_bits=20_000, qbers=(0.02,))
    json.dumps(figures, allow_nan=False)
    for part in ('qber_0.02', 'whole_pass', 'whole_pass_few_round_trips'):
        assert figures[part]['failures'] == 0
        assert 1.0 < figures[part]['f'] <= figures[part]['f_worst'] < 1.2
        assert figures[part]['round_trips'] <= figures[part]['round_trips_worst'] <= 200


def test_amplification_figures():
    figures = amplify.run(key_bits=20_000, out_bits=10_000)
    json.dumps(figures, allow_nan=False)
    assert figures['bit_exact']
