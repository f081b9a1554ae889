"""A driver under test, the counterpart that it talks to, and the time of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest

from qkd_gs.devices.driver import Driver, DriverContext
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

D = TypeVar('D')

START_NS = 1_700_000_000 * 10**9  # a station time for counterparts without one of their own
STEP_NS = 10_000_000


class Counterpart:
    """Counterpart of a driver; a subclass overrides what it can do, the checks of the rest are skipped."""

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""

    def silence(self) -> None:
        """Stop answering."""
        pytest.skip('the counterpart cannot fall silent')

    def fail(self) -> None:
        """Report a fault of the hardware."""
        pytest.skip('the counterpart cannot report a fault')

    def open_interlock(self) -> None:
        """Open the interlock chain."""
        pytest.skip('the counterpart has no interlock')

    def lose_fix(self) -> None:
        """Lose all satellites."""
        pytest.skip('the counterpart cannot lose its fix')


class Rig(Generic[D]):
    """Makes devices of one driver and advances their time.

    Parameters
    ----------
    driver : Driver
    options : Section
        Of the class that the driver registers.
    counterpart : Counterpart, optional
    kind : str
        Kind of the device; needed only by a driver that serves several.
    station, site : optional
        Settings; those of config/ unless given.
    link : object
        Of simulated devices.
    start_ns : int
        Station time of the beginning, UTC ns.
    """

    def __init__(
        self,
        driver: Driver[Any, D],
        options: Section,
        counterpart: Counterpart | None = None,
        kind: str = '',
        station: StationSettings | None = None,
        site: Site | None = None,
        link: Any = None,
        start_ns: int = START_NS,
    ) -> None:
        self.driver, self.counterpart = driver, counterpart or Counterpart()
        self.station = station or load_yaml(share_path('config', 'station.yaml'), StationSettings)
        self._context = DriverContext(kind, self.station, site or load_site('shanghai'), options, link)
        self._opened: list[Any] = []
        self.now_ns = start_ns

    def make(self) -> D:
        """Make a new device, not open yet."""
        return self.driver.make(self._context)

    def open(self) -> D:
        """Make a new device and open it; `close` closes it at the end of the test."""
        device: Any = self.make()
        device.open()
        self._opened.append(device)
        self.advance(STEP_NS * 1e-9)
        return device  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close every device that is still open."""
        while self._opened:
            self._opened.pop().close()

    def advance(self, seconds: float) -> int:
        """Let time pass in steps of 10 ms; returns the new station time."""
        return self.run(seconds, lambda now_ns: None)

    def run(self, seconds: float, step: Callable[[int], object]) -> int:
        """As `advance`, calling ``step(now_ns)`` before every step of time."""
        end_ns = self.now_ns + round(seconds * 1e9)
        while self.now_ns < end_ns:
            step(self.now_ns)
            self.now_ns = min(self.now_ns + STEP_NS, end_ns)
            self.counterpart.advance(self.now_ns)
        return self.now_ns

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until a condition holds; False if it does not within `seconds`."""
        end_ns = self.now_ns + round(seconds * 1e9)
        while not condition():
            if self.now_ns >= end_ns:
                return False
            self.advance(STEP_NS * 1e-9)
        return True
