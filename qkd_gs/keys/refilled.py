"""Pre-shared bits of a side: slots refilled from earlier keys, and the key that was shared beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from qkd_gs.keys.preshared import OFFERED, PreSharedKey, SimulatedPreSharedKey
from qkd_gs.keys.secret import Secret
from qkd_gs.keys.store import KeyStore

_PREFIX = 'key-'


class RefilledKey:
    """Slots of the pre-shared key; those that earlier passes refilled are used first.

    A refilled slot is named after its key and lies in the key store until it is used.  Both sides have it once both
    have confirmed the key.

    Parameters
    ----------
    original : PreSharedKey or SimulatedPreSharedKey
        For runs before which no slot was refilled; it also counts the failed runs.
    store : KeyStore
    """

    def __init__(self, original: PreSharedKey | SimulatedPreSharedKey, store: KeyStore) -> None:
        self._original, self._store = original, store

    @property
    def runs_left(self) -> int:
        """Number of unused slots."""
        return self._original.runs_left + len(self._store.refills())

    def offers(self) -> list[str]:
        """As `PreSharedKey.offers`."""
        refilled = [_PREFIX + key_id for key_id in self._store.refills()[: OFFERED // 2]]
        if refilled and not self._original.runs_left:
            return refilled
        return refilled + self._original.offers()[: OFFERED - len(refilled)]

    def choose(self, offered: Sequence[str]) -> str:
        """As `PreSharedKey.choose`."""
        refilled = {_PREFIX + key_id for key_id in self._store.refills()}
        common = next((slot for slot in offered if slot in refilled), None)
        return self._original.choose(offered) if common is None else common

    def take(self, slot: str) -> Secret:
        """As `PreSharedKey.take`."""
        if not slot.startswith(_PREFIX):
            return self._original.take(slot)
        self._original.count_attempt()
        key_id = slot.removeprefix(_PREFIX)
        secret = self._store.refill(key_id)
        self._store.drop_refills([key_id])
        return secret

    def attempt(self, slot: str) -> Secret:
        """As `PreSharedKey.attempt`."""
        if not slot.startswith(_PREFIX):
            return self._original.attempt(slot)
        self._original.count_attempt()
        return self._store.refill(slot.removeprefix(_PREFIX))

    def accept(self, slot: str, offered: Sequence[str] = ()) -> None:
        """As `PreSharedKey.accept`."""
        if not slot.startswith(_PREFIX):
            self._original.accept(slot, offered)
            return
        gone = [slot.removeprefix(_PREFIX)]
        for key_id in self._store.refills():  # older ones that the other side has no more
            if offered and _PREFIX + key_id == slot:
                break
            if offered and _PREFIX + key_id not in offered:
                gone.append(key_id)
        self._store.drop_refills(gone)
        self._original.reset_attempts()
