"""Key of the window about culmination, in the setting of the paper, so that like stands beside like."""

from __future__ import annotations

from collections.abc import Mapping

from qkd_gs.qkd.finite_key.counts import BasisCounts, KeyCounts, Tally
from qkd_gs.qkd.finite_key.key_length import key_length
from qkd_gs.report.view import SessionView, number

_PAPER_EPSILON, _PAPER_F = 1e-5, 1.16


def counts_of(view: SessionView) -> KeyCounts | None:
    """Counts of the key; None if they were not recorded."""
    counts = view.key.get('counts')
    return KeyCounts.model_validate(counts) if isinstance(counts, Mapping) else None


def window_key_bits(view: SessionView) -> int | None:
    """Key of the window about culmination in the setting of the paper, estimated from the counts of the whole pass.

    All counts are scaled by the window's share of the sifted bits: gains and error rates inside the window are
    somewhat better than those of the whole pass.
    """
    counts, inside = counts_of(view), number(view.key, 'sifted_bits_window')
    window_s, counted_s = number(view.key, 'window_s'), number(view.timing, 'counted_s')
    if counts is None or not inside or not counts.sifted_bits or not window_s or not counted_s:
        return None
    share, time_share = inside / counts.sifted_bits, min(window_s / counted_s, 1.0)

    def scaled(tally: Tally) -> Tally:
        sifted = round(tally.sifted * share)
        sent = max(round(tally.sent * time_share), sifted)
        return Tally(sent=sent, sifted=sifted, errors=min(round(tally.errors * share), sifted))

    hv, da = (
        BasisCounts(signal=scaled(basis.signal), decoy=scaled(basis.decoy), vacuum=scaled(basis.vacuum))
        for basis in (counts.hv, counts.da)
    )
    # the published setting knows neither tolerances of the source nor flaws of the receiver
    window = KeyCounts(intensities=counts.intensities, hv=hv, da=da)
    return key_length(window, pooled=True, epsilon_per_bound=_PAPER_EPSILON, f_ec=_PAPER_F).secret_bits
