"""Benchmarks of tags and of the whole chain: small runs, and their figures mean what they say."""

import json

from qkd_gs.bench import pipeline, tags
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.sim.synthetic_session import SyntheticSession


def test_tag_figures():
    figures = tags.run(tags=200_000)
    json.dumps(figures, allow_nan=False)
    assert 0.6 * 200_000 < figures['gated_events'] < 0.66 * 200_000  # 65 % are photons
    assert all(value > 0 for name, value in figures.items() if name.endswith('_mtags_s'))


def test_figures_of_the_chain(tmp_path):
    keys = KeyFolder.create(tmp_path / 'keys')
    figures = pipeline._measure(tmp_path / 'session', keys, SyntheticSession(7.0, 3.5, gain=4.0))
    json.dumps(figures, allow_nan=False)
    assert figures['secret_bits'] > 0
    assert figures['slow_link_seconds'] > figures['seconds'] + figures['round_trips'] * 0.25
    assert figures['round_trips'] <= 200
    assert figures['slow_link_seconds'] < 180  # three minutes over 250 ms and 1 Mbit/s
    assert figures['slow_link_least_seconds'] < figures['link_bytes']['DETECTIONS'] * 8e-6
