"""Attacks on light, link and key stores, each carried out; and how often the bounds fail.

``qkd-gs bench security --json`` prints a row for each attack: what the eavesdropper knows, the error rate, the bits
that are certified in spite of her, and what stopped her.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

PASSES, DRAWN = 1500, 3000


def run() -> dict[str, Any]:
    """Carry out all attacks, and measure the coverage."""
    from qkd_gs.bench.security.coverage import coverage
    from qkd_gs.bench.security.light_attacks import light_attacks
    from qkd_gs.bench.security.link_attacks import link_attacks
    from qkd_gs.bench.security.short_sessions import make
    from qkd_gs.bench.security.store_attacks import store_attacks

    with tempfile.TemporaryDirectory() as folder:
        honest = make(Path(folder)).key
    attacks = [*light_attacks(honest['secret_bits']), *link_attacks(), *store_attacks()]
    rows = [attack.row().to_dict() for attack in attacks]
    covered = coverage(PASSES, DRAWN)
    return {
        'honest': {'qber': honest['qber'], 'certified_bits': honest['secret_bits']},
        'attacks': rows,
        'coverage': covered,
        'held': all(row['held'] for row in (*rows, *covered)),
    }
