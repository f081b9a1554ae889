"""Conformance of a TDC driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from qkd_gs.devices.conformance.checks import DeviceConformance, Traits, fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import TDC
from qkd_gs.devices.tdc import Tdc
from qkd_gs.timing.tags import Channel, TagBlock

_SECOND_PS = 10**12


@dataclass(frozen=True)
class TdcTraits(Traits):
    """Properties of a TDC driver and of the signals at its inputs.

    Attributes
    ----------
    pps : bool
        The counterpart feeds PPS pulses.
    clock_error : float
        Greatest relative error of the TDC's clock.
    """

    pps: bool = True
    clock_error: float = 1e-4


class TdcConformance(DeviceConformance):
    """Checks of the `Tdc` Protocol."""

    kind = TDC
    traits: ClassVar[TdcTraits] = TdcTraits()

    def make_safe(self, device: Tdc, now_ns: int) -> None:
        """End the run."""
        device.stop(now_ns)

    def calls(self, device: Tdc, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.poll(now_ns), lambda: device.start(now_ns)]

    def tags(self, rig: Rig[Tdc], device: Tdc, seconds: float) -> list[TagBlock]:
        """Poll every 10 ms for a time."""
        blocks: list[TagBlock] = []
        rig.run(seconds, lambda now_ns: blocks.append(device.poll(now_ns)))
        return [*blocks, device.poll(rig.now_ns)]

    def test_it_can_be_opened_again_after_close(self, rig: Rig[Tdc], device: Tdc) -> None:
        device.start(rig.now_ns)
        self.tags(rig, device, 0.5)
        device.close()
        again = rig.open()
        again.start(rig.now_ns)
        assert sum(map(len, self.tags(rig, again, 2.0)))

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[Tdc], device: Tdc) -> None:
        device.start(rig.now_ns)
        blocks = self.tags(rig, device, 3.0)
        times = np.concatenate([block.time_ps for block in blocks])
        channels = np.concatenate([block.channel for block in blocks])
        assert times.dtype == np.dtype(np.int64)
        assert channels.dtype == np.dtype(np.uint8)
        assert len(times)
        assert np.all(np.diff(times) >= 0)
        assert np.ptp(times) <= 3.1 * _SECOND_PS
        assert set(channels.tolist()) <= set(Channel)

    def test_silence_is_a_fault(self, rig: Rig[Tdc], device: Tdc) -> None:
        device.start(rig.now_ns)
        self.tags(rig, device, 0.5)
        rig.counterpart.silence()
        assert rig.until(lambda: self._polled_silent(rig, device), self.traits.silent_s), 'silence is not reported'

    def _polled_silent(self, rig: Rig[Tdc], device: Tdc) -> bool:
        return fault_of(lambda: device.poll(rig.now_ns)) == 'tdc.silent'

    def test_times_are_picoseconds(self, rig: Rig[Tdc], device: Tdc) -> None:
        if not self.traits.pps:
            pytest.skip('the counterpart feeds no PPS pulses')
        device.start(rig.now_ns)
        pps = np.concatenate([block.of(Channel.PPS) for block in self.tags(rig, device, 4.5)])
        assert len(pps) in (4, 5)
        assert np.diff(pps) == pytest.approx(_SECOND_PS, rel=self.traits.clock_error)

    def test_there_are_no_tags_without_a_run(self, rig: Rig[Tdc], device: Tdc) -> None:
        assert not sum(map(len, self.tags(rig, device, 0.5)))
        device.start(rig.now_ns)
        assert sum(map(len, self.tags(rig, device, 2.0)))
        device.stop(rig.now_ns)
        device.stop(rig.now_ns)
        device.poll(rig.now_ns)  # tags in transfer
        assert not sum(map(len, self.tags(rig, device, 0.5)))
