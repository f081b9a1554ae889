"""Belief propagation (BP): the most likely errors with a given syndrome.

Layered schedule (Hocevar, SiPS 2004): check groups are processed one after the other, and each uses the posterior
log-likelihood ratios (LLRs) updated by the ones before.  Check nodes combine LLRs by the exact boxplus rule, but
ln(1 + e^-x) is approximated by a fourth power, without tables or transcendental functions; its error is below 0.03.
"""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import ByteArray, Float32Array
from qkd_gs.jit import njit
from qkd_gs.qkd.reconciliation.ldpc_code import SparseCode

_ROUNDS = 80
_MAX_LLR = np.float32(30)
_ZERO = np.float32(0)
_ONE = np.float32(1)
_SLOPE = np.float32(1 / 6)
_LN_2 = np.float32(0.6931472)


def find_errors(
    code: SparseCode, syndrome: ByteArray, prior_llr: Float32Array, rounds: int = _ROUNDS
) -> tuple[ByteArray, bool]:
    """Errors with this syndrome.

    Parameters
    ----------
    code : SparseCode
    syndrome : (checks,) uint8
        Parities of the errors.
    prior_llr : (bits,) float32
        Prior log-likelihood ratio ln(P(no error) / P(error)) of each bit.
    rounds : int
        Maximum number of iterations.

    Returns
    -------
    errors : (bits,) uint8
    found : bool
        True if they have this syndrome; otherwise BP did not converge.
    """
    rows = len(code.starts) - 1
    signs = np.zeros(rows * code.lanes, np.float32)  # 0: a check that was not sent
    signs[: code.checks] = 1 - 2 * syndrome.astype(np.float32)
    posterior = code.grouped(prior_llr, fill=float(_MAX_LLR))  # padding bits have no errors
    messages = np.zeros((len(code.columns), code.lanes), np.float32)
    widest = int(np.diff(code.starts).max(initial=1))
    workspace = np.empty((2, widest + 1, code.lanes), np.float32)
    found = _propagate(
        code.starts,
        code.columns,
        code.shifts,
        signs.reshape(rows, -1),
        posterior,
        messages,
        workspace[0],
        workspace[1],
        rounds,
    )
    return (posterior.ravel()[: code.bits] < 0).astype(np.uint8), bool(found)


@njit(cache=True, fastmath=True)
def _propagate(starts, columns, shifts, signs, posterior, messages, incoming, forward, rounds):  # type: ignore[no-untyped-def]
    parity = np.empty(posterior.shape[1], np.float32)
    backward = np.empty(posterior.shape[1], np.float32)
    for _ in range(rounds):
        for row in range(len(signs)):
            first, count = starts[row], starts[row + 1] - starts[row]
            for k in range(count):
                _gather(posterior[columns[first + k]], messages[first + k], shifts[first + k], incoming[k])
            # forward and backward recursion over the bits of the check; the forward part includes the syndrome
            _scale(incoming[0], signs[row], forward[0])
            for k in range(1, count):
                _boxplus(forward[k - 1], incoming[k], forward[k])
            backward[:] = _MAX_LLR  # the bit of a check of weight 1 is known
            if count > 1:
                backward[:] = incoming[count - 1]
                messages[first + count - 1] = forward[count - 2]
            for k in range(count - 2, 0, -1):
                _boxplus_both(forward[k - 1], incoming[k], backward, messages[first + k])
            _scale(backward, signs[row], messages[first])
            for k in range(count):
                _scatter(posterior[columns[first + k]], messages[first + k], shifts[first + k], incoming[k])
        if _syndrome_matches(starts, columns, shifts, signs, posterior, parity):
            return True
    return False


@njit(inline='always')
def _softplus(x):  # type: ignore[no-untyped-def]
    """Approximation of ln(1 + e^-x) for x >= 0."""
    rest = _ONE - x * _SLOPE
    rest = rest if rest > _ZERO else _ZERO
    rest = rest * rest
    return _LN_2 * rest * rest


@njit(inline='always')
def _boxplus_pair(a, b):  # type: ignore[no-untyped-def]
    """Log-likelihood ratio of the sum modulo 2 of two bits."""
    both, larger = a + b, a if a > b else b
    return (both if both > _ZERO else _ZERO) - larger + _softplus(abs(both)) - _softplus(abs(a - b))


@njit(cache=True, fastmath=True)
def _gather(posterior, messages, shift, incoming):  # type: ignore[no-untyped-def]
    lanes = len(incoming)
    for z in range(lanes - shift):
        incoming[z] = posterior[z + shift] - messages[z]
    for z in range(shift):
        incoming[lanes - shift + z] = posterior[z] - messages[lanes - shift + z]


@njit(cache=True, fastmath=True)
def _scatter(posterior, messages, shift, incoming):  # type: ignore[no-untyped-def]
    lanes = len(incoming)
    for z in range(lanes - shift):
        posterior[z + shift] = incoming[z] + messages[z]
    for z in range(shift):
        posterior[z] = incoming[lanes - shift + z] + messages[lanes - shift + z]


@njit(cache=True, fastmath=True)
def _scale(values, factors, out):  # type: ignore[no-untyped-def]
    for z in range(len(out)):
        out[z] = values[z] * factors[z]


@njit(cache=True, fastmath=True)
def _boxplus(first, second, out):  # type: ignore[no-untyped-def]
    for z in range(len(out)):
        out[z] = _boxplus_pair(first[z], second[z])


@njit(cache=True, fastmath=True)
def _boxplus_both(forward, incoming, backward, out):  # type: ignore[no-untyped-def]
    for z in range(len(out)):
        old = backward[z]
        out[z] = _boxplus_pair(forward[z], old)
        backward[z] = _boxplus_pair(old, incoming[z])


@njit(cache=True, fastmath=True)
def _syndrome_matches(starts, columns, shifts, signs, posterior, parity):  # type: ignore[no-untyped-def]
    """True if the hard decisions have the syndrome."""
    lanes = posterior.shape[1]
    for row in range(len(signs)):
        parity[:] = signs[row]
        for edge in range(starts[row], starts[row + 1]):
            shift, llr = shifts[edge], posterior[columns[edge]]
            for z in range(lanes - shift):
                parity[z] = -parity[z] if llr[z + shift] < _ZERO else parity[z]
            for z in range(shift):
                parity[lanes - shift + z] = -parity[lanes - shift + z] if llr[z] < _ZERO else parity[lanes - shift + z]
        for z in range(lanes):
            if parity[z] < _ZERO:
                return False
    return True
