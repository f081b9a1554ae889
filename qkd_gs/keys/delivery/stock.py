"""Stock of keys that a key folder has left to give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.ledger import Ledger
from qkd_gs.keys.delivery.place import has_users
from qkd_gs.keys.delivery.settings import DeliverySettings
from qkd_gs.keys.entries import KeyStateName
from qkd_gs.keys.folder import KeyFolder

LOW_BITS = DeliverySettings().low_stock_bits


class Stock(NamedTuple):
    """Stock of one store.

    Attributes
    ----------
    left_bits : int
        Bits left to give.
    low : bool
        They are fewer than they should be.
    waiting_keys : int
        Keys that wait for a slave SAE.
    used_today_bits : dict
        Bits that each pair of SAEs has got on this day of UTC.
    """

    left_bits: int
    low: bool
    waiting_keys: int
    used_today_bits: dict[str, int]


def stock_of(folder: KeyFolder, simulated: bool, now: datetime, low_bits: int = LOW_BITS) -> dict[str, Stock]:
    """Stock of each store, by its name."""
    found = {}
    for name, store in folder.all_stores(simulated):
        with store:
            confirmed = [entry for entry in store.entries() if entry.state is KeyStateName.CONFIRMED]
            left = sum(entry.send.left_bits for entry in confirmed)
            ledger = Ledger(store)
            found[name] = Stock(left, left < low_bits, len(ledger.held()), ledger.used_by_pair(now))
    return found


class StockWatch:
    """Stock of a folder as values of a heartbeat; read again when a store has changed.

    Parameters
    ----------
    folder : KeyFolder
    simulated : bool
    now : callable
        UTC.
    """

    def __init__(
        self, folder: KeyFolder, simulated: bool, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._folder, self._simulated, self._now = folder, simulated, now
        self._seen: dict[str, int] | None = None
        self._values: dict[str, str] = {}

    def values(self) -> dict[str, str]:
        """Bits left to give in all stores, and which stores are low."""
        seen = {path.name: path.stat().st_mtime_ns for path in self._folder.path.glob('*.db')}
        if seen != self._seen:
            try:
                self._values = _told(stock_of(self._folder, self._simulated, self._now()))
            except StationError as error:  # an older copy, or damaged: told, and no reason to stop
                self._values = {'key_stock': str(error)}
            self._seen = {path.name: path.stat().st_mtime_ns for path in self._folder.path.glob('*.db')}
        return self._values

    def warning(self) -> str:
        """Stores that are low or cannot be read, where applications are registered; '' if all is well."""
        stock = self.values().get('key_stock', 'ok')
        return f'key stock: {stock}' if stock != 'ok' and has_users(self._folder.path, self._simulated) else ''


def _told(stock: dict[str, Stock]) -> dict[str, str]:
    low = ', '.join(name for name, one in stock.items() if one.low)
    left = sum(one.left_bits for one in stock.values())
    used = {pair: bits for one in stock.values() for pair, bits in one.used_today_bits.items()}
    return {f'bits_today {pair}': str(bits) for pair, bits in used.items()} | {
        'key_bits_left': str(left),
        'key_stock': f'low: {low}' if low else 'ok',
    }
