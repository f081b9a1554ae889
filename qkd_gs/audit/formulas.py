"""Charges and bounds of a key, from the formulas of doc/security.md; written apart from those that made the key.

Counts are an array (3, 2, 3): pulses sent, sifted bits, errors; bases HV and DA; signal, decoy, vacuum.  The errors of
the signal are not told, and 0 here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import lambertw

from qkd_gs.arrays import FloatArray

Pair = tuple[float, float]
Ints = tuple[int, int]
# 2^30 runs with seven tags, four for each further part and sixteen attempts at the first one; messages of 2^32 bytes
_TAG_FAILURES = [2**30 * (3 + 4 * parts + 16) * (-(-(2**32) // 15) + 3) * 2.0**-127 for parts in range(4)]
_STEPS = 8 * 2.0 ** (-np.arange(16) / 2)  # t, for what was seen of an adversary who knew of it
_MOST_JOINED = 256  # passes of the time for which bits are kept
_LINEARIZED = (0.01, 0.018, 0.03, 0.05, 0.08)  # values of e0
_LAMBDA = 10.0 ** (-np.arange(240) / 40.0)


def tag_key_bits(parts: int) -> int:
    """A pad for each of eight tags and the point of the hash; twice as many for a pass in parts."""
    return 128 * 9 * min(parts, 2)


def expected_error(counts: FloatArray, signal: float, decoy: float) -> float:
    """Error rate of the signal as decoy and vacuum tell it; 0.5 without data."""
    sent, sifted, errors = (part.sum(axis=0) for part in counts)
    if not (sifted[0] and sent[1] and sent[2]):
        return 0.5
    noise = errors[2] / sent[2]
    light = max(0.0, errors[1] / sent[1] - noise) * signal / decoy
    return float(min(0.5, (noise + light) * sent[0] / sifted[0]))


def entropy_of_single_photons(
    counts: FloatArray, means: Pair, tolerances: Pair, unequal: Pair, failure: float, expected: int = 0
) -> float:
    """Lower bound L of doc/security.md, "Entropy of the single photons", in bits; minus infinity without data.

    Parameters
    ----------
    counts : (3, 2, 3) array
    means, tolerances, unequal : (float, float)
        mu and nu; relative tolerances of means and probabilities; inequality of detectors within a basis, of the bases.
    failure : float
        Probability p.
    expected : int
        Detections for which lambda is best; 0: as many as there are.
    """
    sent, sifted, errors = counts
    (mu_lo, nu_lo), (mu_hi, nu_hi) = ([m * (1 + s * tolerances[0]) for m in means] for s in (-1, 1))
    if not sifted.sum() or not sent.sum(axis=0).all() or nu_hi >= mu_lo:
        return -np.inf
    p = sent.sum(axis=0) / sent.sum()
    p_lo, p_hi = p * (1 - tolerances[1]), p * (1 + tolerances[1])
    mu, nu = np.meshgrid((mu_lo, mu_hi), (nu_lo, nu_hi))
    r1, r2 = (np.exp(mu - nu) * (nu / mu) ** photons for photons in (1, 2))
    r1_lo, r1_hi, r2_hi = p_lo[1] / p_hi[0] * r1.min(), p_hi[1] / p_lo[0] * r1.max(), p_hi[1] / p_lo[0] * r2.max()
    w_lo, w_hi = p_lo * np.exp([-mu_hi, -nu_hi, 0.0]), p_hi * np.exp([-mu_lo, -nu_lo, 0.0])
    other = (sent.sum(axis=1)[::-1] / sent.sum(axis=1))[:, None]  # pulses of the other basis over those of this one
    seen, price = _classes(sifted.sum(axis=0), errors), np.log(len(_LINEARIZED) / failure)

    def empty(z_s: Any, z_d: Any) -> Any:
        """Weight of a vacuum bit."""
        excess = sum(np.maximum((z - 1) * w_lo[k], (z - 1) * w_hi[k]) for k, z in enumerate((z_s, z_d)))
        return 1 - np.maximum(excess / w_lo[2], excess / w_hi[2])

    best = -np.inf
    for e0 in _LINEARIZED:
        f, g = _raised(unequal, e0)
        a, w = np.exp(-_LAMBDA * (1 + np.log2(1 - e0))), np.exp(-_LAMBDA * (1 + np.log2(e0)))
        with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
            u, q = a + (w - a) * g, r2_hi / r1_hi
            z_s = (1 - q) / (1 - u * q)
            z_d = 1 + (1 - u * z_s) / r1_hi
            z_db = z_d - (w - a) * z_s * f * other / r1_lo
            z = np.vstack([z_s, z_d, empty(z_s, z_d), z_db, empty(z_s, z_db)])
            usable, logs = (u * q < 1) & (q < 1) & (z > 0).all(axis=0), np.log(z)
            ordinary = (_ordinary(sent, means, e0, expected or sifted.sum()) @ logs - price) / _LAMBDA
        if usable.any():
            k = int(np.argmax(np.where(usable, ordinary, -np.inf)))
            best = max(best, float((seen @ logs[:, k] - price) / _LAMBDA[k]))
    return best


def _classes(sifted: FloatArray, errors: FloatArray) -> FloatArray:
    """Bits for each weight: without an error by intensity; errors of decoys and of vacuum, each in both bases."""
    wrong = errors[:, 1:]
    return np.concatenate([sifted - [0, *wrong.sum(axis=0)], wrong[:, 0], wrong[:, 1]])


def _ordinary(sent: FloatArray, means: Pair, e0: float, total: float) -> FloatArray:
    """Classes of an ordinary pass with as many detections."""
    light, pulses = np.array([*means, 0.0]), sent.sum(axis=0)
    rates, wrong = pulses * (0.004 + light), pulses * (0.002 + 0.6 * e0 * light)
    return _classes(rates, np.stack([wrong / 2] * 2)) * (total / float(rates.sum()))


def _raised(unequal: Pair, e0: float) -> Pair:
    """Factor and floor by which unequal detectors raise the phase error."""
    m, b = unequal
    root = np.sqrt((1 + m) / (1 - m))
    tilt, bases = (root - 1) / (root + 1), (1 + b) / (1 - b) / (1 - m)
    return float((1 + tilt / np.sqrt(e0)) * bases), float((tilt + np.sqrt(e0)) * tilt / (1 - m))


def largest_expectation(count: int, failure: float) -> float:
    """Largest expectation E of independent events of which `count` were seen: E - n + n ln(n / E) = ln(2 / failure)."""
    exponent = np.log(2 / failure)
    return float(-count * lambertw(-np.exp(-1 - exponent / count), -1).real if count else exponent)


def largest_adaptive(count: int, failure: float) -> float:
    """The same of events that may depend on those before: the least (n t + ln(16 / failure)) / (1 - exp(-t))."""
    return float(((count * _STEPS + np.log(len(_STEPS) / failure)) / -np.expm1(-_STEPS)).min())


def _given_away(receiver: dict[str, Any], failure: float, parts: int) -> float:
    """Bits that a receiver gives away: D of doc/security.md."""
    m, b = receiver['within_basis'], receiver['between_bases']
    least = (1 - m) * (1 - b) / ((1 + m) * (1 + b))
    largest = (largest_adaptive if parts > 1 else largest_expectation)(receiver['cross_clicks'], failure)
    return float(largest / (least**2 / 2) + receiver['excess_dark_bits'] + receiver['edge_bits'])


def key_bits(
    counts: FloatArray, terms: dict[str, Any], receivers: list[Any], choices: int, blocks: int, told: Ints, parts: Ints
) -> tuple[float, dict[str, float]]:
    """Length of the key before rounding, and the ledger of its failure probability.

    Parameters
    ----------
    counts : (3, 2, 3) array
        Of a joined key, the sums of its passes.
    terms : dict
        As said in the first message.
    receivers : list of dict or None
        Flaws of the receiver in each pass, as said with the errors.
    choices : int
        Passes that a joined key could choose from; 0 for a key of one pass.
    blocks : int
        Verified blocks.
    told : (int, int)
        Everything that was disclosed of the key, without hashes and tags of this run; that by earlier runs among it.
    parts : (int, int)
        Parts in which a pass may be sifted, and detections as expected before the first answer.
    """
    known, (leaked, before), (most, expected) = [one for one in receivers if one], told, parts
    hashes = blocks * (terms['verification_bits'] + 1)  # disclosed by each run that compared them
    correct = blocks * 2.0 ** -terms['verification_bits'] * (1 + (before // hashes if hashes else 0))
    tags = _TAG_FAILURES[most] * (1 + len(receivers) if choices else 1)
    ledger, left = {'verification': correct, 'authentication': tags}, terms['epsilon_total'] - correct - tags
    if left <= 0:
        return -np.inf, ledger
    amplification, several = 0.05 * left, 0.01 * left if known else 0.0
    smoothing = left - amplification - several
    ledger |= {'privacy_amplification': amplification, 'single_photons_and_phase_errors': smoothing}
    ledger |= {'several_photons_at_the_receiver': several} if known else {}
    failure = (smoothing / 2) ** 2 / (240 * 2 ** (choices - 1) if choices else 1)
    means = terms['intensities']['signal'], terms['intensities']['decoy']
    tolerances = terms['tolerance']['intensity'], terms['tolerance']['probability']
    m, b = (max((one[name] for one in known), default=0.0) for name in ('within_basis', 'between_bases'))
    length = entropy_of_single_photons(counts, means, tolerances, (m, b), failure, expected)
    length -= sum(_given_away(one, several / (_MOST_JOINED if choices else 1), most) for one in known)
    length -= leaked + hashes + tag_key_bits(most)
    return float(length + 2 * np.log2(2 * amplification)), ledger
