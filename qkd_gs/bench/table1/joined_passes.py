"""Passes of Table 1 over one station made into one key, beside single passes.

A key never joins stations.  Parities and verification of each pass are charged in full; the entropy of the single
photons comes from the counts of all passes together, whose uncertainty grows with the root of their number.  That any
of the passes could have been left out is paid for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qkd_gs.qkd.finite_key.counts import KeyCounts, Receiver
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.joined import joined_counts
from qkd_gs.qkd.finite_key.key_length import key_length
from qkd_gs.session.published import PublishedPass, published_passes

_EFFICIENCIES = (1.16, 1.05)
_CROSS_CLICKS = 20  # a pass
_RECEIVERS = {
    'ideal': None,
    'calibrated to 3 % and 1 %': Receiver(within_basis=0.03, between_bases=0.01, cross_clicks=_CROSS_CLICKS),
    'limits of 5 %': Receiver(within_basis=0.05, between_bases=0.05, cross_clicks=_CROSS_CLICKS),
}


def run(counts_of: Callable[[PublishedPass], KeyCounts], epsilon_total: float) -> list[dict[str, Any]]:
    """Sums over all stations, for each receiver and efficiency of error correction, joined and single.

    Parameters
    ----------
    counts_of : callable
        Counts of a pass, with an ideal receiver.
    epsilon_total : float
        Of each key, joined or single.
    """
    by_site: dict[str, list[PublishedPass]] = {}
    for row in published_passes():
        by_site.setdefault(row.site, []).append(row)
    return [
        {
            'receiver': name,
            'f_ec': f_ec,
            **_sums(
                {
                    site: _of_site([counts_of(row) for row in rows], receiver, f_ec, epsilon_total)
                    for site, rows in by_site.items()
                }
            ),
        }
        for name, receiver in _RECEIVERS.items()
        for f_ec in _EFFICIENCIES
    ]


def _sums(sites: dict[str, dict[str, int]]) -> dict[str, Any]:
    names = ('joined_bits', 'single_bits')
    return {f'sum_{name}': sum(site[name] for site in sites.values()) for name in names} | {'sites': sites}


def _of_site(counts: list[KeyCounts], receiver: Receiver | None, f_ec: float, epsilon_total: float) -> dict[str, int]:
    passes = [one.model_copy(update={'receiver': receiver}) for one in counts]

    def length(of: list[KeyCounts]) -> int:
        disclosed = round(sum(f_ec * one.sifted_bits * binary_entropy(one.qber) for one in of))
        counts = joined_counts(of, len(of)) if len(of) > 1 else of[0]
        return key_length(counts, epsilon_total=epsilon_total, disclosed_bits=disclosed).secret_bits

    return {
        'passes': len(passes),
        'joined_bits': length(passes),
        'single_bits': sum(length([one]) for one in passes),
    }
