"""Measured delays of the detectors as a message, and back."""

from __future__ import annotations

import qkd_gs.msg as m
from qkd_gs.calibration.measured_delays import DelaysTold
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.conversions.cdr import build


def detector_delays(told: DelaysTold) -> m.DetectorDelays:
    """DetectorDelays."""
    names = 'hvda'
    delays = {f'{name}_ns': value for name, value in zip(names, told.delay_ns, strict=True)}
    clicks = {f'{name}_clicks': value for name, value in zip(names, told.clicks, strict=True)}
    return build(
        m.DetectorDelays,
        header=messages.header(told.begun_ns),
        sigma_ns=told.sigma_ns,
        uncertainty_ns=told.uncertainty_ns,
        fault=told.fault,
        **delays,
        **clicks,
    )


def from_detector_delays(message: m.DetectorDelays) -> DelaysTold:
    """DelaysTold."""
    return DelaysTold(
        messages.stamp_of(message),
        (message.h_ns, message.v_ns, message.d_ns, message.a_ns),
        message.sigma_ns,
        message.uncertainty_ns,
        (message.h_clicks, message.v_clicks, message.d_clicks, message.a_clicks),
        message.fault,
    )
