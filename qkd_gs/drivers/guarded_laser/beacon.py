"""The station's beacon on a laser that a guard owns."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isnan, nan
from typing import Protocol, TypeVar

from qkd_gs.devices.beacon import Beacon, BeaconReading
from qkd_gs.devices.driver import DriverContext
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.guarded_laser.control import LaserControl
from qkd_gs.drivers.guarded_laser.guard import GuardProcess
from qkd_gs.drivers.guarded_laser.options import LaserOptions
from qkd_gs.drivers.guarded_laser.state import LaserState
from qkd_gs.errors import DeviceFault, StationError

L = TypeVar('L', bound=LaserOptions)

_TEST_S = 5.0
_FIRST_NS = 2_000_000_000  # until the laser has answered all questions once
_STALE_NS = 1_000_000_000  # the guard itself notices a silent laser much earlier


class Guarded(Protocol):
    """Owner of the laser: a `GuardProcess`, which describes the methods, or a stand-in that follows a test's time."""

    state: LaserState

    def start(self) -> None: ...  # noqa: D102

    def order(self, on: bool) -> None: ...  # noqa: D102

    def poll(self) -> bool: ...  # noqa: D102

    def age_ns(self) -> int: ...  # noqa: D102

    def replace(self) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class GuardedBeacon:
    """Implements `Beacon`; orders go to the guard process, which owns the laser."""

    def __init__(self, guard: Guarded) -> None:
        self._guard = guard
        self._state = OpenState('beacon')
        self._lost: DeviceFault | None = None
        self._opened_ns = self._stamp_ns = 0

    def open(self) -> None:
        """Start the guard, which switches the laser off and identifies it.

        Raises
        ------
        DeviceFault
            ``beacon.silent``: the port cannot be opened; ``beacon.guard``: the guard does not start.
        """
        self.close()
        self._lost, self._opened_ns, self._stamp_ns = None, 0, 0
        self._guard.start()
        if self._guard.state.fault:
            self._guard.close()
            raise self._reported()
        self._state.is_open = True

    def on(self, now_ns: int) -> None:
        """Emit for the watchdog time; see the Protocol."""
        self._check()
        self._poll()
        if self._guard.state.at_ns and not self._guard.state.interlock_closed:
            raise DeviceFault('beacon.interlock', 'the interlock chain is open, or its fault is not cleared')
        self._order(on=True)

    def off(self, now_ns: int) -> None:
        """Switch the laser off at once."""
        if self._state.is_open and self._lost is None:
            try:
                self._order(on=False)
            except DeviceFault as fault:
                self._lose(fault)  # read() reports it

    def read(self, now_ns: int) -> BeaconReading:
        """Newest state of the laser; off, with an open interlock, before it has answered.

        Raises
        ------
        DeviceFault
            ``beacon.silent``: the laser or its port; ``beacon.guard``: the guard; ``beacon.stuck_on``: the laser emits
            although it was switched off; ``beacon.temperature``, ``beacon.power`` ...: faults of the laser.
        """
        self._check()
        self._poll()
        state = self._guard.state
        if state.fault:
            self._lose(self._reported(), replace=False)  # the guard goes on switching the laser off
        self._opened_ns = self._opened_ns or now_ns
        if not state.at_ns:
            if now_ns - self._opened_ns > _FIRST_NS:
                self._lose(DeviceFault('beacon.silent', 'the laser has not answered since it was opened'))
            self._check()
            return BeaconReading(now_ns, False, nan, False)
        age_ns = self._guard.age_ns()
        if age_ns > _STALE_NS:
            self._lose(DeviceFault('beacon.silent', f'no state of the laser for {age_ns * 1e-9:.1f} s'))
        self._check()
        self._stamp_ns = min(max(now_ns - age_ns, self._stamp_ns), now_ns)
        return BeaconReading(self._stamp_ns, state.emitting, state.power_w, state.interlock_closed)

    def close(self) -> None:
        """Let the guard switch the laser off and end."""
        if self._state.is_open:
            self._guard.close()
        self._state.is_open = False

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._guard.state.health

    def self_test(self, move: bool = False) -> str:
        """Identity and state of the laser; with `move`, a flash of light at the beginning of the ramp."""
        self._wait(lambda state: state.at_ns > 0 and state.off_confirmed, 'the laser is not off', on=False)
        state = self._guard.state
        words = ', '.join(f'{name} {value}' for name, value in state.health.items())
        said = f'{words}, off, interlock {"closed" if state.interlock_closed else "open"}'
        if not move:
            return said
        if not state.interlock_closed:
            raise DeviceFault('beacon.interlock', f'{said}; not switched on')
        self._wait(lambda state: state.emitting and not state.power_w <= 0, 'no light', on=True)
        power_w = self._guard.state.power_w
        self._wait(lambda state: state.off_confirmed and not state.emitting, 'the light stays on', on=False)
        with_power = '' if isnan(power_w) else f' with {power_w:.3f} W'
        return f'{said}; lit{with_power} and went off'

    def _wait(self, condition: Callable[[LaserState], bool], otherwise: str, on: bool) -> None:
        end_s = time.monotonic() + _TEST_S
        self._poll()
        while not condition(self._guard.state):
            if self._guard.state.fault:
                raise self._reported()
            if time.monotonic() > end_s:
                raise DeviceFault('beacon.test', otherwise)
            self._order(on)
            time.sleep(0.05)
            self._poll()

    def _check(self) -> None:
        self._state.require()
        if self._lost is not None:
            raise self._lost

    def _order(self, on: bool) -> None:
        try:
            self._guard.order(on)
        except DeviceFault as fault:
            self._lose(fault)
            raise

    def _poll(self) -> None:
        try:
            self._guard.poll()
        except DeviceFault as fault:
            self._lose(fault)
            raise

    def _reported(self) -> DeviceFault:
        return DeviceFault(self._guard.state.fault, self._guard.state.message)

    def _lose(self, fault: DeviceFault, replace: bool = True) -> None:
        """Report `fault` from now on; the laser may emit, so another guard switches it off."""
        if self._lost is None:
            self._lost = fault
            if replace:
                self._guard.replace()


def guarded_beacon(context: DriverContext[L], control: type[LaserControl]) -> Beacon:
    """Beacon whose laser a guard process owns, by the `control` of its kind.

    Raises
    ------
    StationError
        The station's power is more than the laser's rated one.
    """
    power_w, rated_w = context.station.beacon.power_w, context.options.rated_power_w
    if power_w > rated_w:
        raise StationError(
            f'{power_w:g} W is more than the rated {rated_w:g} W of the laser', where='beacon.power_w of the station'
        )
    return GuardedBeacon(GuardProcess(control, context.options, power_w))
