"""Bags: recordings of the station's topics during a pass, written, repaired, read, and evaluated."""

from qkd_gs.recording.about import About
from qkd_gs.recording.metrics import differences, metrics_of_bag
from qkd_gs.recording.reader import Bag, open_bag
from qkd_gs.recording.repair import needs_repair, repair
from qkd_gs.recording.replay_comparison import ReplayComparison, compare_replay, settings_of
from qkd_gs.recording.summary import Topic
from qkd_gs.recording.telemetry import telemetry_of_bag
from qkd_gs.recording.writer import BagWriter

__all__ = [
    'About',
    'Bag',
    'BagWriter',
    'ReplayComparison',
    'Topic',
    'compare_replay',
    'differences',
    'metrics_of_bag',
    'needs_repair',
    'open_bag',
    'repair',
    'settings_of',
    'telemetry_of_bag',
]
