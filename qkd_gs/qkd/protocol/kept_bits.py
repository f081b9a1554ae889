"""Sifted bits of a pass that wait to be joined with those of other passes: doc/security.md, "Passes joined"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.joined import joined_counts
from qkd_gs.qkd.sifting.packed_bits import PackedBits


@dataclass(frozen=True)
class KeptPass:
    """Public part of the kept bits of a session.

    Attributes
    ----------
    session_id : str
    last_ns : int
        When its last pulse was sent, UTC ns by the transmitter's clock.
    counts : KeyCounts
        Without errors of the signal, of which nothing was said.
    joined_by : str
        The joined session that these bits were taken for; empty if they wait.
    """

    session_id: str
    last_ns: int
    counts: KeyCounts
    joined_by: str = ''

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal: both sides keep the same."""
        said = [self.session_id, self.last_ns, self.counts.model_dump(mode='json')]
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class KeptBits:
    """Sifted bits of the signal state, before anything of them was disclosed.

    Attributes
    ----------
    about : KeptPass
    bits, basis : PackedBits
        The bits, and the basis of each (0 HV, 1 DA), which the satellite does not keep.
    """

    about: KeptPass
    bits: PackedBits = field(repr=False)
    basis: PackedBits = field(repr=False)

    def wipe(self) -> None:
        """Overwrite the bits."""
        self.bits.wipe()


def joined_session(session_ids: Sequence[str]) -> str:
    """Identifier of the session that joins these; the same in every run of it."""
    return sha256(f'qkd_gs joins {" ".join(sorted(session_ids))}'.encode()).hexdigest()[:32]


def counts_of_joined(passes: Sequence[KeptPass], keep_ns: int, choices: int) -> KeyCounts:
    """Counts of kept passes together.

    Parameters
    ----------
    passes : sequence of KeptPass
    keep_ns : int
        Time for which bits are kept at most; the first and the last pass are not further apart.
    choices : int
        Passes announced within that time before the end of the last one, these among them.

    Raises
    ------
    StationError
        They are further apart, too many, or of different sources.
    """
    in_order = sorted(passes, key=lambda one: one.last_ns)
    if in_order[-1].last_ns - in_order[0].last_ns >= keep_ns:
        raise StationError('the first and the last pass are further apart than key.keep_days')
    return joined_counts([one.counts for one in in_order], choices)


def not_kept(session_id: str) -> StationError:
    """Error: bits are asked for that this side does not keep."""
    return StationError(
        'no sifted bits are kept',
        where=f'session {session_id}',
        hint='it was processed without key.keep, has a key of its own, or key.keep_days are over',
    )


def taken_already(one: KeptPass) -> StationError:
    """Error: bits are to be joined a second time."""
    return StationError(
        f'its bits were taken for the joined session {one.joined_by}',
        where=f'session {one.session_id}',
        hint='join the same sessions as then',
    )
