"""Reconciliation and verification at the ground: of a pass as a whole, or of its parts one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.exchange_cascade import correct
from qkd_gs.qkd.protocol.exchange_ldpc import correct_by_syndromes, design_rate, planned_bits
from qkd_gs.qkd.protocol.leakage import LeakageAccount
from qkd_gs.qkd.protocol.progress import Progress
from qkd_gs.qkd.protocol.result import Corrected
from qkd_gs.qkd.reconciliation.cascade_bob import QUICK, CascadeOptions
from qkd_gs.qkd.reconciliation.key_blocks import key_blocks
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import SiftedKey
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.settings.loader import Section

# the last of several parts is short, and waited for: over a slow link some parities more cost less than the round trips
_LAST_PART = replace(QUICK, hard=False)
_LONG_S = 1.0


class GroundReconciliation:
    """Corrects the ground's bits.

    Parameters
    ----------
    link : AuthenticatedChannel
    terms : Terms
        They say whether Cascade or one-way reconciliation is used.
    leakage : LeakageAccount
        Told of each disclosure before it is made.
    options : CascadeOptions
    progress : callable
    now_s : callable
        A clock that tells how long round trips take.

    Attributes
    ----------
    disclosed : int
        Bits disclosed so far.
    """

    def __init__(
        self,
        link: AuthenticatedChannel,
        terms: Terms,
        leakage: LeakageAccount,
        options: CascadeOptions,
        progress: Progress,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._terms, self._leakage, self._now_s = link, terms, leakage, now_s
        self._options, self._progress = options, progress
        self._earlier: list[PackedBits] = []  # corrected parts
        self.disclosed = self._trips = 0
        self._spent_s = 0.0  # in round trips

    def correct_part(self, bits: PackedBits, qber: float, seed: int) -> None:
        """Correct the bits of a part behind which others follow."""
        payload = messages.Correct(seed=seed).model_dump_json().encode()
        self._leakage.begin(payload)
        self._link.send(Kind.CORRECT, payload)
        self._cascade(bits, qber, seed, self._options)
        self._earlier.append(bits)

    def begin(self, kind: Kind, report: Section, counts: KeyCounts) -> None:
        """Begin the last reconciliation; what a one-way one discloses is recorded now: the answer discloses it."""
        payload = report.model_dump_json().encode()
        self._leakage.begin(payload)
        if self._terms.one_way:
            self._leakage.announce(planned_bits(key_blocks(counts.sifted_bits), design_rate(counts)))
        self._link.send(kind, payload)

    @property
    def slow(self) -> bool:
        """Whether round trips are slow, as those of the earlier parts have shown."""
        return self._spent_s * self._options.deadline > _LONG_S * self._trips

    def correct(self, sifted: SiftedKey, blocks: list[slice], seed: int, few_trips: bool = False) -> None:
        """Correct all bits of the pass; those of earlier parts are corrected already.

        Parameters
        ----------
        few_trips : bool
            Correct the rest in few round trips, which discloses more.  A repeated run that chooses otherwise than the
            first one asks for other parities, and pays for both.
        """
        if self._terms.one_way:  # the syndromes answer the report of errors
            rate = design_rate(sifted.counts)
            self.disclosed = correct_by_syndromes(self._link, sifted.bits, blocks, rate, seed, self._progress)
            return
        at = 0
        for part in self._earlier:
            with part.plain() as right:
                sifted.bits[at : at + len(part)] = right
            at += len(part)
            part.wipe()
        self._cascade(sifted.bits, sifted.qber, seed, _LAST_PART if few_trips else self._options, at)

    def verify(self, blocks: list[slice], bits: PackedBits, seed: bytes) -> Corrected:
        """Compare digests of all blocks; `seed` was drawn only now, so nobody can construct collisions."""
        self._progress('verification', 0.0)
        length = self._terms.verification_bits
        self._leakage.announce_hashes(self.disclosed + len(blocks) * (length + 1))
        self._link.send(Kind.VERIFY_REQUEST, seed)
        theirs = messages.read_digests(self._link.receive(Kind.VERIFY_ANSWER).payload, len(blocks), length)
        mine = verify.digests(bits, blocks, seed, length)
        agreed = np.array([verify.same(*pair) for pair in zip(mine, theirs, strict=True)], np.uint8)
        self._progress('verification', 1.0)
        return self.corrected(bits, blocks, agreed)

    def corrected(self, bits: PackedBits, blocks: list[slice], agreed: ByteArray) -> Corrected:
        """The corrected key, and its leakage."""
        return Corrected(bits, blocks, agreed, self.disclosed, self._trips)

    def _cascade(self, bits: PackedBits, qber: float, seed: int, options: CascadeOptions, start: int = 0) -> None:
        """Correct bits from `start` on, and count what that discloses."""
        before, told, began_s = self._link.round_trips, self.disclosed, self._now_s()

        def record(disclosed: int, *said: bytes) -> None:
            self._leakage.announce(told + disclosed, *said)

        self.disclosed += correct(self._link, bits, qber, seed, options, record, self._progress, start)
        self._trips += self._link.round_trips - before
        self._spent_s += self._now_s() - began_s
