"""What the ground says of its receiver: calibrated where it is, else the limits of the checks."""

import numpy as np
import pytest

from qkd_gs.processing.receiver_report import receiver_report
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.timing.clicks import ClickStatistics

PULSES = 3 * 10**10  # 300 s at 100 MHz


def clicks(inside, outside):
    both, out = np.array([[inside + outside, 0, 0, 0]]), np.array([[outside, 0, 0, 0]])
    return ClickStatistics(both, out, np.zeros(1, np.int64), 0, np.zeros(2), np.zeros(2))


def station(**detectors):
    settings = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return settings.model_copy(update={'detectors': settings.detectors.model_copy(update=detectors)})


def test_without_a_calibration_the_limits_are_charged():
    settings = station()
    found = receiver_report(settings, clicks(1_000_000, 0), 7, PULSES)
    assert found.within_basis == found.between_bases == settings.key.max_efficiency_mismatch
    assert (found.cross_clicks, found.excess_dark_bits) == (7, 0)
    assert found.edge_bits == pytest.approx(settings.key.max_light_outside * 1_000_000 / 2, abs=1)
    assert receiver_report(settings, clicks(1_000_000, 100_000), 7, PULSES).edge_bits > found.edge_bits + 1000


def test_with_a_calibration_what_was_measured_is_charged_with_its_uncertainty():
    measured = {'H': 1.02, 'V': 0.98, 'D': 1.01, 'A': 0.99}
    found = receiver_report(
        station(relative_efficiency=measured, efficiency_uncertainty=0.004), clicks(10, 0), 0, PULSES
    )
    assert found.within_basis == pytest.approx(0.02 + 0.004)
    assert found.between_bases == pytest.approx(0.004)


def test_dark_counts_beyond_the_quietest_detector_are_charged():
    settings = station(dark_cps={'H': 20.0, 'V': 20.0, 'D': 20.0, 'A': 120.0})
    found = receiver_report(settings, clicks(10, 0), 0, PULSES)
    expected = 100 * 300 * settings.key.gate_ns * 1e-9 * 1e8 / 2  # seconds, gate over slot, matching bases
    assert expected < found.excess_dark_bits < expected + 8 * np.sqrt(expected)
    equal = station(dark_cps=dict.fromkeys('HVDA', 50.0))
    assert receiver_report(equal, clicks(10, 0), 0, PULSES).excess_dark_bits == 0
