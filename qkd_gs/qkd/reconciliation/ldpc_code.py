"""Quasi-cyclic LDPC codes for any number of bits and checks, generated identically on both sides.

Bits and checks are divided into groups of `lanes`; an edge connects a group of bits to a group of checks with a cyclic
shift.  Edges are assigned to the check groups with the fewest edges; shifts are chosen so that two check groups share
as few cycles of length 4 as possible (after Fossorier, IEEE Trans. Inf. Theory 50, 1788).  The caller chooses the
column weights.  Since a code is generated for a given number of checks, no puncturing or shortening is needed; the
last group of checks may be used in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.jit import njit

_LONGEST_GROUP = 256
_FEWEST_GROUPS = 48  # of checks, if there are enough checks: room for columns of weight 20
_SEED = 20200807


@dataclass(frozen=True)
class SparseCode:
    """Sparse parity-check matrix, `checks` by `bits`.

    Attributes
    ----------
    bits, checks, lanes : int
        `lanes` is a power of two.
    starts : (groups of checks + 1,) int64
        First edge of each group of checks.
    columns, shifts : (edges,) int64
        Check z of the group includes bit (z + shift) mod lanes of the bit group `column`.
    """

    bits: int
    checks: int
    lanes: int
    starts: IntArray
    columns: IntArray
    shifts: IntArray

    def grouped(self, values: NDArray[Any], fill: float = 0) -> NDArray[Any]:
        """Values of the bits by group, (groups, lanes), padded with `fill`."""
        out = np.full(-(-self.bits // self.lanes) * self.lanes, fill, values.dtype)
        out[: self.bits] = values
        return out.reshape(-1, self.lanes)

    def syndrome(self, bits: ByteArray) -> ByteArray:
        """Parities of the checks, (checks,) uint8."""
        out = np.zeros((len(self.starts) - 1, self.lanes), np.uint8)
        _syndrome(self.starts, self.columns, self.shifts, self.grouped(bits), out)
        return out.ravel()[: self.checks]


@lru_cache(maxsize=32)
def sparse_code(bits: int, checks: int, weights: tuple[tuple[int, int], ...]) -> SparseCode:
    """Code with `checks` checks over `bits` bits.

    Parameters
    ----------
    bits, checks : int
        At least 1.
    weights : tuple of (weight, per mille)
        Column weights, ascending, and the fraction of the bits that has them; the other bits have weight 3.
    """
    lanes = _LONGEST_GROUP
    while lanes > 1 and checks < lanes * _FEWEST_GROUPS:
        lanes //= 2
    groups, rows = -(-bits // lanes), -(-checks // lanes)
    weight = np.minimum(_column_weights(groups, weights), rows)
    edges = int(weight.sum())
    random = (np.random.PCG64(_SEED).random_raw(2 * edges) >> np.uint64(33)).astype(np.int64)
    row, shift = _place_edges(weight, rows, lanes, random)
    column = np.repeat(np.arange(groups), weight)
    order = np.argsort(row, kind='stable')
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
    return SparseCode(bits, checks, lanes, starts, column[order], shift[order])


def _column_weights(groups: int, weights: tuple[tuple[int, int], ...]) -> IntArray:
    counts = {weight: groups * share // 1000 for weight, share in weights}
    counts[3] = groups - sum(counts.values())
    return np.concatenate([np.full(counts[weight], weight, np.int64) for weight in sorted(counts)])


@njit(cache=True)
def _place_edges(weight, rows, lanes, random):  # type: ignore[no-untyped-def]
    """Row (check group) and shift of every edge, column by column."""
    edges = weight.sum()
    row, shift = np.empty(edges, np.int64), np.empty(edges, np.int64)
    fill = np.zeros(rows, np.int64)
    taken = np.zeros((rows, rows, lanes), np.int16)  # differences of shifts between two rows
    first = 0
    for column in range(len(weight)):
        for edge in range(first, first + weight[column]):
            if weight[column] == 2 and column < rows - 1:
                best = column + edge - first  # a chain: cycles of weight-2 columns give low-weight codewords
            else:
                best = _lightest(fill, row[first:edge], random[2 * edge])
            row[edge] = best
            fill[best] += 1
            start, fewest = random[2 * edge + 1], edges * edges
            for turn in range(lanes):
                tried, cycles = (start + turn) & (lanes - 1), 0
                for other in range(first, edge):
                    cycles += taken[best, row[other], (tried - shift[other]) & (lanes - 1)]
                if cycles < fewest:
                    fewest, shift[edge] = cycles, tried
                if not cycles:
                    break
            for other in range(first, edge):
                taken[best, row[other], (shift[edge] - shift[other]) & (lanes - 1)] += 1
                taken[row[other], best, (shift[other] - shift[edge]) & (lanes - 1)] += 1
        first += weight[column]
    return row, shift


@njit(cache=True)
def _lightest(fill, avoid, random):  # type: ignore[no-untyped-def]
    """Row with the fewest edges that the column does not have yet; the search starts at a random row."""
    rows, best, least = len(fill), -1, np.int64(1) << 62
    for step in range(rows):
        row = (random + step) % rows
        if fill[row] < least and not np.any(avoid == row):
            best, least = row, fill[row]
    return best


@njit(cache=True)
def _syndrome(starts, columns, shifts, bits, out):  # type: ignore[no-untyped-def]
    lanes = bits.shape[1]
    for row in range(len(starts) - 1):
        for edge in range(starts[row], starts[row + 1]):
            for z in range(lanes):
                out[row, z] ^= bits[columns[edge], (z + shifts[edge]) & (lanes - 1)]
