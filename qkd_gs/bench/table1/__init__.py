"""Table 1 of the paper: the key that its sifted bits and error rates allow, beside the key it reports.

The table gives sifted bits, error rate and duration of each pass, but no decoy counts.  They are modelled, alike for
all rows: one transmittance and one optical error a pass, and a constant rate of noise counts in the gate.
"""

from __future__ import annotations

from math import exp, log
from typing import Any

from qkd_gs.bench.table1 import joined_passes
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Tally
from qkd_gs.qkd.finite_key.key_length import Analysis, key_length
from qkd_gs.session.published import PublishedPass, published_passes

PULSE_RATE_HZ = 1e8
PROBABILITY = {'signal': 0.5, 'decoy': 0.25, 'vacuum': 0.25}
INTENSITY = {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0}
GATE_S = 2e-9
F_EC = 1.16
EPSILON_PER_BOUND = 1e-5
EPSILON_TOTAL = 1e-10
ANALYSES: tuple[Analysis, ...] = ('joint', 'sampling', 'rooted', 'additive')
NOISE_PAPER_HZ = 300.0  # all four detectors together
NOISE_CLEAN_HZ = 150.0


def modelled_counts(row: PublishedPass, noise_hz: float) -> KeyCounts:
    """Counts of a pass with these sifted bits and errors.

    A sifted pulse of intensity m is detected with probability y0 + 1 - exp(-eta m), y0 being the noise in one gate;
    eta follows from the sifted signal bits, the optical error from their error rate (noise errs in one half).  Both
    bases get one half of everything.
    """
    noise = noise_hz * GATE_S
    sent = {name: PULSE_RATE_HZ * row.time_s * p / 2 for name, p in PROBABILITY.items()}
    gain = row.sifted_bits / sent['signal']
    transmittance = -log(1 - (gain - noise)) / INTENSITY['signal']
    optical_error = max(0.0, (row.qber * gain - noise / 2) / (gain - noise))

    def tally(name: str) -> Tally:
        light = 1 - exp(-transmittance * INTENSITY[name])
        return Tally(
            sent=round(sent[name] / 2),
            sifted=round(sent[name] / 2 * (noise + light)),
            errors=round(sent[name] / 2 * (noise / 2 + optical_error * light)),
        )

    basis = BasisCounts(signal=tally('signal'), decoy=tally('decoy'), vacuum=tally('vacuum'))
    return KeyCounts(intensities=Intensities(**INTENSITY), hv=basis, da=basis)


def run() -> dict[str, Any]:
    """Key of each row in the paper's setting, and certified ones, with all assumptions."""
    rows = [_compare(row) for row in published_passes()]
    published = sum(row['published_bits'] for row in rows)
    return {
        'assumptions': {
            'counts': 'modelled from sifted bits, error rate and duration, alike for all rows; half in each basis',
            'pulse_rate_hz': PULSE_RATE_HZ,
            'intensities': INTENSITY,
            'probabilities': PROBABILITY,
            'gate_s': GATE_S,
            'f_ec': F_EC,
            'paper': f'{NOISE_PAPER_HZ:.0f} noise counts/s in all, bases pooled, {EPSILON_PER_BOUND:.0e} a bound,'
            ' single-photon error from the decoys, hashes not charged',
            'per_basis': f'{NOISE_CLEAN_HZ:.0f} noise counts/s, each basis by itself, {EPSILON_PER_BOUND:.0e} a bound',
            'analyses': f'{NOISE_CLEAN_HZ:.0f} noise counts/s, {EPSILON_TOTAL:.0e} in all, privacy amplification'
            ' charged; additive is not composable',
        },
        'sum_published_bits': published,
        'sum_paper_bits': sum(row['paper_bits'] for row in rows),
        'sum_per_basis_bits': sum(row['per_basis_bits'] for row in rows),
        'sum_certified_bits': sum(row['certified_bits'] for row in rows),
        'analyses': {name: _sums([row['analyses'][name] for row in rows]) for name in ANALYSES},
        'paper_to_published': sum(row['paper_bits'] for row in rows) / published,
        'rows_within_25_percent': sum(abs(row['paper_to_published'] - 1) < 0.25 for row in rows),
        'joined': joined_passes.run(lambda row: modelled_counts(row, NOISE_CLEAN_HZ), EPSILON_TOTAL),
        'rows_without_certified_key': sum(row['certified_bits'] == 0 for row in rows),
        'rows': rows,
    }


def _compare(row: PublishedPass) -> dict[str, Any]:
    noisy, clean = modelled_counts(row, NOISE_PAPER_HZ), modelled_counts(row, NOISE_CLEAN_HZ)
    paper = key_length(noisy, pooled=True, epsilon_per_bound=EPSILON_PER_BOUND, f_ec=F_EC).secret_bits
    certified = {
        name: key_length(clean, analysis=name, epsilon_total=EPSILON_TOTAL, f_ec=F_EC).secret_bits for name in ANALYSES
    }
    return {
        'site': row.site,
        'date': row.date,
        'published_bits': row.key_bits,
        'paper_bits': paper,
        'paper_to_published': paper / row.key_bits,
        'per_basis_bits': key_length(clean, epsilon_per_bound=EPSILON_PER_BOUND, f_ec=F_EC).secret_bits,
        'certified_bits': certified['joint'],
        'analyses': certified,
    }


def _sums(bits: list[int]) -> dict[str, Any]:
    return {'sum_bits': sum(bits), 'rows_without_key': bits.count(0), 'epsilon': EPSILON_TOTAL}
