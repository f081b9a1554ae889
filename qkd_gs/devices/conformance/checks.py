"""Checks that hold for every kind of device."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import DeviceKind
from qkd_gs.errors import DeviceFault


@dataclass(frozen=True)
class Traits:
    """Properties of a driver that the checks allow for.

    Attributes
    ----------
    silent_s : float
        Time without an answer after which ``read()`` must raise ``KIND.silent``.
    age_s : float
        Greatest age of a reading while the counterpart answers.
    """

    silent_s: float = 5.0
    age_s: float = 1.0


def fault_of(call: Callable[[], object]) -> str:
    """Code of the `DeviceFault` that a call raises; '' if it raises none."""
    try:
        call()
    except DeviceFault as fault:
        return fault.code
    return ''


class DeviceConformance:
    """Base of the suites; see the package."""

    kind: ClassVar[DeviceKind[Any]]
    traits: ClassVar[Any] = Traits()

    @pytest.fixture
    def rig(self) -> Rig[Any]:
        """Rig with the driver and its counterpart; a subclass overrides it."""
        raise NotImplementedError('a conformance test names its driver in a fixture `rig`')

    @pytest.fixture
    def device(self, rig: Rig[Any]) -> Iterator[Any]:
        """Open device, closed after the test."""
        yield rig.open()
        rig.close()

    # --- differing by kind ---

    def make_safe(self, device: Any, now_ns: int) -> None:
        """Call that brings the device to its safe state."""

    def calls(self, device: Any, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns)]

    def stamp_ns(self, device: Any, now_ns: int) -> int:
        """Stamp of the newest reading."""
        return int(device.read(now_ns).stamp_ns)

    # --- checks ---

    def test_it_has_every_method_of_the_protocol(self, rig: Rig[Any]) -> None:
        device = rig.make()
        for name, promised in inspect.getmembers(self.kind.protocol, inspect.isfunction):
            if name.startswith('_'):
                continue
            assert callable(getattr(device, name, None)), f'{name}() is missing'
            parameters = list(inspect.signature(promised).parameters)[1:]
            inspect.signature(getattr(device, name)).bind(*parameters)

    def test_calls_to_a_device_that_was_never_opened_are_refused(self, rig: Rig[Any]) -> None:
        device = rig.make()
        for call in self.calls(device, rig.now_ns):
            assert fault_of(call) == f'{self.kind.code}.closed'

    def test_calls_after_close_are_refused(self, rig: Rig[Any], device: Any) -> None:
        device.close()
        for call in self.calls(device, rig.now_ns):
            assert fault_of(call) == f'{self.kind.code}.closed'

    def test_close_and_the_safe_state_are_allowed_in_every_state(self, rig: Rig[Any]) -> None:
        device = rig.make()
        self.make_safe(device, rig.now_ns)
        device.close()
        device = rig.open()
        for _ in range(2):
            self.make_safe(device, rig.advance(0.01))
        for _ in range(2):
            device.close()
            self.make_safe(device, rig.advance(0.01))

    def test_it_can_be_opened_again_after_close(self, rig: Rig[Any], device: Any) -> None:
        device.close()
        again = rig.open()
        now_ns = rig.advance(self.traits.age_s)
        assert self.stamp_ns(again, now_ns) <= now_ns

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[Any], device: Any) -> None:
        rig.advance(self.traits.age_s)
        before_ns = 0
        for _ in range(50):
            now_ns = rig.advance(0.02)
            stamp_ns = self.stamp_ns(device, now_ns)
            assert now_ns - self.traits.age_s * 1e9 <= stamp_ns <= now_ns
            assert stamp_ns >= before_ns
            before_ns = stamp_ns

    def test_silence_is_a_fault(self, rig: Rig[Any], device: Any) -> None:
        rig.advance(self.traits.age_s)
        self.stamp_ns(device, rig.now_ns)
        rig.counterpart.silence()
        assert rig.until(lambda: self._silent(device, rig.now_ns), self.traits.silent_s), 'silence is not reported'

    def _silent(self, device: Any, now_ns: int) -> bool:
        code = fault_of(lambda: self.stamp_ns(device, now_ns))
        assert code in ('', f'{self.kind.code}.silent')
        return bool(code)
