"""Bags: what was on the station's topics during a pass, written, repaired, read, and turned into figures."""

from qkd_gs.recording.about import About
from qkd_gs.recording.metrics import differences, metrics_of_bag
from qkd_gs.recording.reader import Bag, open_bag
from qkd_gs.recording.repair import needs_repair, repair
from qkd_gs.recording.replayed import Replayed, replayed, settings_of
from qkd_gs.recording.summary import Topic
from qkd_gs.recording.telemetry import telemetry_of_bag
from qkd_gs.recording.writer import BagWriter

__all__ = [
    'About',
    'Bag',
    'BagWriter',
    'Replayed',
    'Topic',
    'differences',
    'metrics_of_bag',
    'needs_repair',
    'open_bag',
    'repair',
    'replayed',
    'settings_of',
    'telemetry_of_bag',
]
