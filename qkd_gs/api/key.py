"""Secret key length from what was sent and counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key import key_length as core
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.counts_file import checked_counts, load_counts
from qkd_gs.qkd.finite_key.key_length import Analysis, KeyLength, Overhead


def key_length(
    counts: KeyCounts | Mapping[str, Any] | str | Path,
    *,
    analysis: Analysis | None = None,
    pooled: bool = False,
    epsilon_per_bound: float | None = None,
    epsilon_total: float | None = None,
    f_ec: float | None = None,
    disclosed_bits: int | None = None,
    overhead: Overhead | None = None,
) -> KeyLength:
    """Length of the secret key of decoy-state BB84 with finite statistics.

    Parameters
    ----------
    counts : KeyCounts, mapping, str or Path
        Counts alone, with the settings as keywords; or a mapping or JSON file in the form of
        ``qkd-gs key-length COUNTS.json``, which holds counts and settings, and then no keyword is allowed.
    analysis : str, optional
        ``joint``, the default with `epsilon_total`; ``sampling``, ``rooted`` or ``additive`` for comparison. All but
        the last are composable; their theorems stand in ``doc/security.md``.
    pooled : bool
        Estimate both bases together (6 bounds), as published figures do (Zhang et al., PRA 95, 012333 (2017)).
    epsilon_per_bound, epsilon_total : float
        Failure probability of each bound, or of everything; exactly one of the two.
    f_ec, disclosed_bits : float, int
        Bits disclosed by error correction: as a multiple of the Shannon limit, or as counted; exactly one of the two.
    overhead : Overhead, optional
        Bits and failure probability of verification and authentication; none if not given.

    Returns
    -------
    KeyLength
        ``secret_bits``, and what each step and assumption took in ``cost``; ``reason`` says why there is no key.

    Raises
    ------
    StationError
        Both or none of two alternatives, or a value out of its range: names the key.

    Examples
    --------
    >>> import qkd_gs
    >>> basis = {'signal': {'sent': 8 * 10**9, 'sifted': 300_000, 'errors': 3900},
    ...          'decoy': {'sent': 4 * 10**9, 'sifted': 19_000, 'errors': 330},
    ...          'vacuum': {'sent': 4 * 10**9, 'sifted': 180, 'errors': 92}}
    >>> document = {'intensities': {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0},
    ...             'bases': {'hv': basis, 'da': basis}, 'epsilon_total': 1e-10, 'f_ec': 1.16}
    >>> key = qkd_gs.key_length(document)
    >>> key.secret_bits
    136108
    >>> f'{key.epsilon:.1e}'
    '1.0e-10'
    """
    settings = {
        'analysis': analysis,
        'epsilon_per_bound': epsilon_per_bound,
        'epsilon_total': epsilon_total,
        'f_ec': f_ec,
        'disclosed_bits': disclosed_bits,
        'overhead': overhead,
    }
    if isinstance(counts, KeyCounts):
        return core.key_length(counts, pooled=pooled, **settings)  # type: ignore[arg-type]
    given = [name for name, value in settings.items() if value is not None] + (['pooled'] if pooled else [])
    if given:
        raise StationError(
            'is given beside a document that has settings of its own', where=given[0], hint='pass KeyCounts with it'
        )
    document = load_counts(counts) if isinstance(counts, str | Path) else checked_counts(counts, 'counts')
    return document.evaluate()
