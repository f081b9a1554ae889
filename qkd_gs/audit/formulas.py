"""Charges and bounds of a key, from the formulas of doc/security.md; written apart from those that made the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import lambertw

TAG_BITS, TAGS = 128, 8
TAG_KEY_BITS = TAG_BITS * (TAGS + 1)  # a pad for each tag, and the point of the hash
_LONGEST = 2**32  # bytes of a transcript
_FIRST_TAGS = 16
_MOST_JOINED = 256  # passes of the time for which bits are kept
_LINEARIZED = (0.01, 0.018, 0.03, 0.05, 0.08)


def hash_failure(bits: int, digest_bits: int) -> float:
    """Probability that two keys of so many bits have one digest: the polynomial over 2^521 - 1, then Toeplitz."""
    coefficients = -(-(-(-bits // 8) + 8) // 65) + 1
    return 2.0**-digest_bits + (coefficients + 1) * 2.0**-521


def tag_failure() -> float:
    """Probability that a tag of a pass is forged: seven tags, and sixteen attempts at the first."""
    coefficients = -(-_LONGEST // 15) + 1
    return (TAGS - 1 + _FIRST_TAGS) * (coefficients + 2) * 2.0**-127


@dataclass(frozen=True)
class Joined:
    """Passes that are joined: how many there were to choose from, and the receiver of each."""

    choices: int
    receivers: list[dict[str, Any] | None]

    def receiver(self) -> dict[str, Any] | None:
        """The most unequal one."""
        known = [one for one in self.receivers if one]
        return {name: max(one[name] for one in known) for name in known[0]} if known else None


@dataclass(frozen=True)
class Counts:
    """What was sifted, by basis and intensity.

    Attributes
    ----------
    sent, sifted, errors : (2, 3) array
        Bases HV and DA; signal, decoy, vacuum.  Errors of the signal are not known.
    """

    sent: Any
    sifted: Any
    errors: Any

    def expected_error(self, signal: float, decoy: float) -> float:
        """Error rate of the signal as decoy and vacuum tell it; 0.5 without data."""
        sent, sifted, errors = (part.sum(axis=0) for part in (self.sent, self.sifted, self.errors))
        if not (sifted[0] and sent[1] and sent[2]):
            return 0.5
        noise = errors[2] / sent[2]
        light = max(0.0, errors[1] / sent[1] - noise) * signal / decoy
        return float(min(0.5, (noise + light) * sent[0] / sifted[0]))


def entropy_of_single_photons(
    counts: Counts,
    means: tuple[float, float],
    tolerances: tuple[float, float] = (0.0, 0.0),
    unequal: tuple[float, float] = (0.0, 0.0),
    failure: float = 1e-21,
) -> float:
    """Lower bound L of doc/security.md, "Entropy of the single photons"; minus infinity without data.

    Parameters
    ----------
    counts : Counts
    means : (float, float)
        mu and nu.
    tolerances : (float, float)
        Relative, of the means and of the probabilities.
    unequal : (float, float)
        Inequality of the detectors within a basis, and of the bases.
    failure : float
        Probability p.
    """
    total = counts.sifted.sum()
    if not total or not counts.sent.sum(axis=0).all():
        return -np.inf
    (mu_lo, nu_lo), (mu_hi, nu_hi) = ([m * (1 + s * tolerances[0]) for m in means] for s in (-1, 1))
    if nu_hi >= mu_lo:
        return -np.inf
    p = counts.sent.sum(axis=0) / counts.sent.sum()
    p_lo, p_hi = p * (1 - tolerances[1]), p * (1 + tolerances[1])
    corner = [(m, n) for m in (mu_lo, mu_hi) for n in (nu_lo, nu_hi)]

    def odds(photons: int) -> list[float]:
        return [float(np.exp(m - n) * (n / m) ** photons) for m, n in corner]

    r1_lo, r1_hi = p_lo[1] / p_hi[0] * min(odds(1)), p_hi[1] / p_lo[0] * max(odds(1))
    r2_hi = p_hi[1] / p_lo[0] * max(odds(2))
    w_lo = p_lo * np.exp([-mu_hi, -nu_hi, 0.0])
    w_hi = p_hi * np.exp([-mu_lo, -nu_lo, 0.0])
    per_basis = counts.sent.sum(axis=1)
    r = per_basis[::-1] / per_basis  # pulses of the other basis over those of this one

    lam = 10.0 ** (-np.arange(240) / 40.0)
    best = -np.inf
    for e0 in _LINEARIZED:
        f, g = _raised(unequal, e0)
        big_a, big_b = 1 + np.log2(1 - e0), np.log2((1 - e0) / e0)
        with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
            a, w = np.exp(-lam * big_a), np.exp(-lam * (big_a - big_b))
            u = a + (w - a) * g
            q = r2_hi / r1_hi
            z_s = (1 - q) / (1 - u * q)
            z_d = 1 + (1 - u * z_s) / r1_hi
            z_db = z_d - (w - a) * z_s * f * r[:, None] / r1_lo
            z_0, z_0b = (_empty(z_s, z, w_lo, w_hi) for z in (z_d, z_db))
            usable = (u * q < 1) & (q < 1) & (z_0 > 0) & (z_0b > 0).all(axis=0) & (z_db > 0).all(axis=0)
            logs = [np.log(z) for z in (z_s, z_d, z_0, z_db[0], z_db[1], z_0b[0], z_0b[1])]
        if not usable.any():
            continue
        price = np.log(len(_LINEARIZED) / failure)
        ordinary = np.where(usable, (_sum(logs, *_ordinary(counts, means, e0, total)) - price) / lam, -np.inf)
        k = int(np.argmax(ordinary))
        found = _sum([z[k] for z in logs], counts.sifted.sum(axis=0), counts.errors)
        best = max(best, float((found - price) / lam[k]))
    return best


def _raised(unequal: tuple[float, float], e0: float) -> tuple[float, float]:
    """Factor and floor by which unequal detectors raise the phase error."""
    m, b = unequal
    root = np.sqrt((1 + m) / (1 - m))
    tilt = (root - 1) / (root + 1)
    bases = (1 + b) / (1 - b) / (1 - m)
    if tilt == 0.0:
        return float(bases), 0.0
    part = tilt / np.sqrt(e0)
    return float((1 + part) * bases), float((1 + 1 / part) * tilt**2 / (1 - m))


def _empty(z_s: Any, z_d: Any, w_lo: Any, w_hi: Any) -> Any:
    """Weight of a vacuum bit."""
    excess = sum(np.maximum(x * low, x * high) for x, low, high in zip((z_s - 1, z_d - 1), w_lo, w_hi, strict=False))
    return 1 - np.maximum(excess / w_lo[2], excess / w_hi[2])


def _ordinary(counts: Counts, means: tuple[float, float], e0: float, total: float) -> tuple[Any, Any]:
    """Sifted bits and errors of an ordinary pass with as many detections."""
    light = np.array([*means, 0.0])
    sent = counts.sent.sum(axis=0)
    rates, wrong = sent * (0.004 + light), sent * (0.002 + 0.6 * e0 * light)
    unit = total / rates.sum()
    return rates * unit, np.stack([wrong * unit / 2] * 2)


def _sum(logs: list[Any], sifted: Any, errors: Any) -> Any:
    """S of doc/security.md."""
    z_s, z_d, z_0, z_dh, z_dd, z_0h, z_0d = logs
    right = z_s * sifted[0] + z_d * (sifted[1] - errors[:, 1].sum()) + z_0 * (sifted[2] - errors[:, 2].sum())
    return right + z_dh * errors[0, 1] + z_dd * errors[1, 1] + z_0h * errors[0, 2] + z_0d * errors[1, 2]


def largest_expectation(count: int, failure: float) -> float:
    """Largest expectation E of independent events of which `count` were seen: E - n + n ln(n / E) = ln(2 / failure)."""
    exponent = np.log(2 / failure)
    return float(-count * lambertw(-np.exp(-1 - exponent / count), -1).real if count else exponent)


def _given_away(receiver: dict[str, Any], failure: float) -> float:
    """Bits that a receiver gives away: D of doc/security.md."""
    m, b = receiver['within_basis'], receiver['between_bases']
    least = (1 - m) * (1 - b) / ((1 + m) * (1 + b))
    several = largest_expectation(receiver['cross_clicks'], failure) / (least**2 / 2)
    return float(several + receiver['excess_dark_bits'] + receiver['edge_bits'])


def key_bits(
    counts: Counts,
    terms: dict[str, Any],
    receiver: dict[str, Any] | None,
    blocks: list[int],
    leaked: int,
    joined: Joined | None = None,
) -> tuple[float, float]:
    """Length of the key before rounding, and its failure probability.

    Parameters
    ----------
    counts : Counts
    terms : dict
        As said in the first message.
    receiver : dict or None
        Flaws of the receiver, as said with the errors.
    blocks : list of int
        Sizes of the verified blocks.
    leaked : int
        Everything that was disclosed of the key, without hashes and tags.
    joined : Joined, optional
        The counts are the sums of several passes.
    """
    correct, tags = sum(hash_failure(size, terms['verification_bits']) for size in blocks), tag_failure()
    if joined:
        tags *= 1 + len(joined.receivers)
        receiver = joined.receiver()
    left = terms['epsilon_total'] - correct - tags
    if left <= 0:
        return -np.inf, correct + tags
    amplification = 0.05 * left
    several = 0.01 * left if receiver else 0.0
    smoothing = left - amplification - several
    tolerance = terms.get('tolerance') or {}
    means = terms['intensities']['signal'], terms['intensities']['decoy']
    unequal = (receiver['within_basis'], receiver['between_bases']) if receiver else (0.0, 0.0)
    length = entropy_of_single_photons(
        counts,
        means,
        (tolerance.get('intensity', 0.0), tolerance.get('probability', 0.0)),
        unequal,
        (smoothing / 2) ** 2 / (240 * 2 ** (joined.choices - 1) if joined else 1),
    )
    parts = joined.receivers if joined else [receiver]
    length -= sum(_given_away(one, several / (_MOST_JOINED if joined else 1)) for one in parts if one)
    length -= leaked + len(blocks) * (terms['verification_bits'] + 1) + TAG_KEY_BITS
    length += 2 * np.log2(2 * amplification)
    return float(length), correct + tags + smoothing + several + amplification
