"""Parity queries as sent over the channel: number of a Cascade pass and node of its tree.

A batch is an ascending int64 array of ``pass << 32 | node``.  Passes from `SUBSETS` on are random subsets of the key,
those before are shuffles of it; node numbers are those of `qkd_gs.qkd.reconciliation.parity`.
"""

from __future__ import annotations

from qkd_gs.arrays import IntArray

ParityQueries = IntArray

PASS_SHIFT = 32
NODE_MASK = (1 << PASS_SHIFT) - 1
SUBSETS = 1 << 10
