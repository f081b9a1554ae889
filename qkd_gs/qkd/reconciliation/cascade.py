"""Cascade: interactive reconciliation, in which Bob corrects his bits with parities of blocks of Alice's bits.

After Brassard and Salvail (EUROCRYPT '93), with later improvements (Yan et al. 2008; Martinez-Mateo et al.,
arXiv:1407.3257): all known parities are kept and shorten the search of later errors (sub-block reuse), the parity of
one half gives that of the other, and the search continues in the smallest block known to differ.  All blocks are
searched in parallel, so that the whole key shares its round trips; when few blocks are left, several bisection steps
share one round trip, which costs a few more parities.  Finally, parities of random subsets of the whole key confirm
that no error is left.

A key is corrected as a whole.  A bit is flipped only if the parity of its single position proves an error.  Alice's
parities are disclosed, and each is counted.  Bob's queries show which blocks differ, so the security proof must treat
the error pattern as public (Tupkary, Lütkenhaus, arXiv:2307.00576).
"""

from __future__ import annotations

from dataclasses import dataclass

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.reconciliation.cascade_alice import ParityServer
from qkd_gs.qkd.reconciliation.cascade_bob import EFFICIENT, QUICK, CascadeOptions, Corrector

__all__ = ['EFFICIENT', 'QUICK', 'CascadeOptions', 'Corrector', 'ParityServer', 'Reconciled', 'reconcile']


@dataclass(frozen=True)
class Reconciled:
    """Result of `reconcile`; `bits` are Bob's, corrected."""

    bits: ByteArray
    disclosed_bits: int
    round_trips: int
    corrected_errors: int

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<Reconciled {len(self.bits)} bits, {self.disclosed_bits} disclosed, {self.round_trips} round trips>'


def reconcile(
    alice_bits: ByteArray, bob_bits: ByteArray, qber: float, seed: int, options: CascadeOptions = EFFICIENT
) -> Reconciled:
    """Reconcile two keys with both sides in one process, for measurements.

    Parameters
    ----------
    alice_bits, bob_bits : (n,) uint8
        0 or 1.
    qber : float
        Estimated error rate, 0 to 0.11; a wrong estimate costs more parities, but the result stays correct.
    seed : int
        Public seed of the permutations, 0 to 2^64 - 1.

    Raises
    ------
    StationError
        The estimated or the actual error rate is above `MAX_QBER`.
    ValueError
        The lengths differ, or a value is not 0 or 1.

    Examples
    --------
    >>> import numpy as np, qkd_gs
    >>> rng = np.random.default_rng(1)
    >>> alice = rng.integers(0, 2, 100_000, dtype=np.uint8)
    >>> bob = alice ^ (rng.random(len(alice)) < 0.02)
    >>> result = qkd_gs.reconcile(alice, bob, qber=0.02, seed=7)
    >>> np.array_equal(result.bits, alice)
    True
    """
    if len(alice_bits) != len(bob_bits):
        raise ValueError(f'{len(alice_bits)} and {len(bob_bits)} bits cannot be the same key')
    server, corrector = ParityServer(alice_bits, seed), Corrector(bob_bits, qber, seed, options)
    while (batch := corrector.next_batch()) is not None:
        corrector.feed(server.answer(batch))
    return Reconciled(corrector.bits, server.disclosed_bits, corrector.round_trips, corrector.corrected_errors)
