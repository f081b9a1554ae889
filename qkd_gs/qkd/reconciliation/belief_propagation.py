"""Belief propagation: the likeliest errors that explain a syndrome.

Layered (Hocevar, SiPS 2004): a group of checks at a time, whose news the next one uses already.  A check combines its
bits' log-likelihood ratios exactly but for ln(1 + e^-x), for which a fourth power stands that needs no table and no
transcendental function; its error is below 0.03.
"""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import ByteArray, Float32Array
from qkd_gs.jit import njit
from qkd_gs.qkd.reconciliation.ldpc_code import SparseCode

_ROUNDS = 80
_SURE = np.float32(30)
_NONE = np.float32(0)
_ONE = np.float32(1)
_REACH = np.float32(1 / 6)
_LN_2 = np.float32(0.6931472)


def find_errors(
    code: SparseCode, syndrome: ByteArray, odds: Float32Array, rounds: int = _ROUNDS
) -> tuple[ByteArray, bool]:
    """Errors with this syndrome.

    Parameters
    ----------
    code : SparseCode
    syndrome : (checks,) uint8
        Parities of the errors.
    odds : (bits,) float32
        ln of how much likelier no error is than an error, for each bit beforehand.
    rounds : int
        Given up after so many.

    Returns
    -------
    errors : (bits,) uint8
    found : bool
        Whether they have this syndrome; otherwise they are a guess.
    """
    rows = len(code.starts) - 1
    signs = np.zeros(rows * code.lanes, np.float32)  # 0: a check that was not sent
    signs[: code.checks] = 1 - 2 * syndrome.astype(np.float32)
    belief = code.grouped(odds, fill=float(_SURE))  # what only fills the groups up is without errors
    news = np.zeros((len(code.columns), code.lanes), np.float32)
    widest = int(np.diff(code.starts).max(initial=1))
    room = np.empty((2, widest + 1, code.lanes), np.float32)
    found = _propagate(
        code.starts, code.columns, code.shifts, signs.reshape(rows, -1), belief, news, room[0], room[1], rounds
    )
    return (belief.ravel()[: code.bits] < 0).astype(np.uint8), bool(found)


@njit(cache=True, fastmath=True)
def _propagate(starts, columns, shifts, signs, belief, news, heard, ahead, rounds):  # type: ignore[no-untyped-def]
    wrong = np.empty(belief.shape[1], np.float32)
    back = np.empty(belief.shape[1], np.float32)
    for _ in range(rounds):
        for row in range(len(signs)):
            first, count = starts[row], starts[row + 1] - starts[row]
            for k in range(count):
                _hear(belief[columns[first + k]], news[first + k], shifts[first + k], heard[k])
            # combinations of all bits before each and of all behind it; those before carry the syndrome
            _scale(heard[0], signs[row], ahead[0])
            for k in range(1, count):
                _combine(ahead[k - 1], heard[k], ahead[k])
            back[:] = _SURE  # the only bit of a check is known
            if count > 1:
                back[:] = heard[count - 1]
                news[first + count - 1] = ahead[count - 2]
            for k in range(count - 2, 0, -1):
                _combine_both(ahead[k - 1], heard[k], back, news[first + k])
            _scale(back, signs[row], news[first])
            for k in range(count):
                _tell(belief[columns[first + k]], news[first + k], shifts[first + k], heard[k])
        if _agrees(starts, columns, shifts, signs, belief, wrong):
            return True
    return False


@njit(inline='always')
def _soft(x):  # type: ignore[no-untyped-def]
    """About ln(1 + e^-x) for x >= 0."""
    rest = _ONE - x * _REACH
    rest = rest if rest > _NONE else _NONE
    rest = rest * rest
    return _LN_2 * rest * rest


@njit(inline='always')
def _box(a, b):  # type: ignore[no-untyped-def]
    """Log-likelihood ratio of the sum modulo 2 of two bits."""
    both, larger = a + b, a if a > b else b
    return (both if both > _NONE else _NONE) - larger + _soft(abs(both)) - _soft(abs(a - b))


@njit(cache=True, fastmath=True)
def _hear(belief, news, shift, heard):  # type: ignore[no-untyped-def]
    lanes = len(heard)
    for z in range(lanes - shift):
        heard[z] = belief[z + shift] - news[z]
    for z in range(shift):
        heard[lanes - shift + z] = belief[z] - news[lanes - shift + z]


@njit(cache=True, fastmath=True)
def _tell(belief, news, shift, heard):  # type: ignore[no-untyped-def]
    lanes = len(heard)
    for z in range(lanes - shift):
        belief[z + shift] = heard[z] + news[z]
    for z in range(shift):
        belief[z] = heard[lanes - shift + z] + news[lanes - shift + z]


@njit(cache=True, fastmath=True)
def _scale(values, factors, out):  # type: ignore[no-untyped-def]
    for z in range(len(out)):
        out[z] = values[z] * factors[z]


@njit(cache=True, fastmath=True)
def _combine(one, other, out):  # type: ignore[no-untyped-def]
    for z in range(len(out)):
        out[z] = _box(one[z], other[z])


@njit(cache=True, fastmath=True)
def _combine_both(ahead, heard, back, out):  # type: ignore[no-untyped-def]
    for z in range(len(out)):
        behind = back[z]
        out[z] = _box(ahead[z], behind)
        back[z] = _box(behind, heard[z])


@njit(cache=True, fastmath=True)
def _agrees(starts, columns, shifts, signs, belief, wrong):  # type: ignore[no-untyped-def]
    """Whether the likeliest errors have the syndrome."""
    lanes = belief.shape[1]
    for row in range(len(signs)):
        wrong[:] = signs[row]
        for edge in range(starts[row], starts[row + 1]):
            shift, likely = shifts[edge], belief[columns[edge]]
            for z in range(lanes - shift):
                wrong[z] = -wrong[z] if likely[z + shift] < _NONE else wrong[z]
            for z in range(shift):
                wrong[lanes - shift + z] = -wrong[lanes - shift + z] if likely[z] < _NONE else wrong[lanes - shift + z]
        for z in range(lanes):
            if wrong[z] < _NONE:
                return False
    return True
