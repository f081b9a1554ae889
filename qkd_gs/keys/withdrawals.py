"""Handing out bits of a key store: each at most once, in one direction, and destroyed in the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import (
    KeyEntry,
    KeyPiece,
    KeyStateName,
    Purpose,
    Side,
    entry_of,
    parse_piece_name,
)
from qkd_gs.keys.pieces import PieceRange, allocate, cut_bits, wipe_bits
from qkd_gs.keys.sealed_database import SealedDatabase
from qkd_gs.keys.secret import Secret


class Withdrawals:
    """Hands out pieces of the keys of a store, many in one change.

    Parameters
    ----------
    database : SealedDatabase
    simulated : bool
        Kind of the keys.
    side : Side
        End of the link; it decides which partition is for sending.
    """

    def __init__(self, database: SealedDatabase, simulated: bool, side: Side) -> None:
        self._database, self._simulated, self._side = database, simulated, side

    def take_groups(
        self,
        groups: Sequence[Sequence[int]],
        purpose: Purpose = Purpose.SEND,
        *,
        simulated: bool = False,
        among: Collection[str] | None = None,
    ) -> list[list[KeyPiece] | None]:
        """Hand out several groups of pieces in one change, as `take` does one piece.

        Parameters
        ----------
        groups : sequence of sequences of int
            Bits of each piece.  A group is handed out whole or not at all.
        purpose, simulated : Purpose, bool
            As of `take`.
        among : collection of str, optional
            Keys that may be used; all if not given.

        Returns
        -------
        list
            Pieces of each group; None where too few bits are left.
        """
        self._check_sort(simulated)
        with self._database.change():
            usable = [
                entry
                for entry in self._entries('ORDER BY created_utc, rowid')
                if entry.state is KeyStateName.CONFIRMED and (among is None or entry.key_id in among)
            ]
            plan = allocate({one.key_id: one.partition(purpose) for one in usable}, groups)
            ranges = [one for group in plan if group is not None for one in group]
            given = {
                (piece.key_id, piece.first_bit): piece
                for entry in usable
                for piece in self._give(entry, purpose, [one for one in ranges if one.key_id == entry.key_id])
            }
            return [None if group is None else [given[one.key_id, one.first_bit] for one in group] for group in plan]

    def take_named(self, names: Sequence[str], *, simulated: bool = False) -> list[KeyPiece | StationError]:
        """Hand out several pieces in one change, as `take_named` does one.

        Returns
        -------
        list
            For each name, in their order, its piece or why there is none.
        """
        self._check_sort(simulated)
        with self._database.change():
            found: dict[str, KeyEntry] = {entry.key_id: entry for entry in self._entries()}
            next_bit = {key_id: entry.receive.next_bit for key_id, entry in found.items()}
            plan: list[PieceRange | StationError] = []
            for name in names:
                try:
                    one = PieceRange(*parse_piece_name(name))
                    self._check_named(one, found.get(one.key_id), next_bit)
                except StationError as error:
                    plan.append(error)
                else:
                    next_bit[one.key_id] = one.end_bit
                    plan.append(one)
            ranges = [one for one in plan if isinstance(one, PieceRange)]
            given = {
                (piece.key_id, piece.first_bit): piece
                for key_id in dict.fromkeys(one.key_id for one in ranges)
                for piece in self._give(found[key_id], Purpose.RECEIVE, [one for one in ranges if one.key_id == key_id])
            }
            return [one if isinstance(one, StationError) else given[one.key_id, one.first_bit] for one in plan]

    def _entries(self, clause: str = '') -> list[KeyEntry]:
        return [entry_of(row, self._side, self._simulated) for row in self._database.rows(clause)]

    def _check_named(self, one: PieceRange, entry: KeyEntry | None, next_bit: dict[str, int]) -> None:
        if entry is None:
            raise StationError(f'there is no key {one.key_id}', where=self._database.path)
        if entry.state is not KeyStateName.CONFIRMED:
            raise StationError(f'key {one.key_id} is {entry.state}', where=self._database.path)
        if not entry.receive.start <= one.first_bit < one.end_bit <= entry.receive.end:
            raise StationError(f'{one.name} is not for receiving on this side', where=self._database.path)
        if one.first_bit < next_bit[one.key_id]:
            raise StationError(
                f'bits before bit {next_bit[one.key_id]} of key {one.key_id} are given already',
                where=self._database.path,
            )

    def _give(self, entry: KeyEntry, purpose: Purpose, ranges: Sequence[PieceRange]) -> list[KeyPiece]:
        """Mark bits as given, in ascending order, and destroy them in the store."""
        if not ranges:
            return []
        (row,) = self._database.rows('WHERE key_id = ?', entry.key_id)
        start, used, part = ranges[0].first_bit // 8, ranges[-1].end_bit, entry.partition(purpose)
        packed = self._database.read(row, start, -(-used // 8))
        given = [self._piece(packed, start, one) for one in ranges]
        wipe_bits(packed, 0, 8 * len(packed))
        column = 'sent_bits' if purpose is Purpose.SEND else 'received_bits'
        self._database.sql.execute(f'UPDATE keys SET {column} = ? WHERE key_id = ?', (used, entry.key_id))
        if entry.left_bits == used - part.next_bit:
            self._database.destroy(row)
            self._database.set_state(row, KeyStateName.GIVEN)
        else:
            self._database.wipe(row, part.next_bit, used)
        return given

    def _piece(self, packed: bytearray, start_byte: int, one: PieceRange) -> KeyPiece:
        material = Secret(cut_bits(packed, one.first_bit - 8 * start_byte, one.bits))
        return KeyPiece(one.key_id, one.first_bit, one.bits, self._simulated, material)

    def _check_sort(self, simulated: bool) -> None:
        if simulated != self._simulated:
            raise StationError(
                'keys of simulated sessions are not handed out as real ones'
                if self._simulated
                else 'keys of real sessions are not handed out as simulated ones',
                where=self._database.path,
            )
