"""Figures of a key as they follow from a replayed run, against those of the session."""

from __future__ import annotations

from math import floor, isclose
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.audit import decoding, formulas
from qkd_gs.audit.replay import Run

_ROUNDING = 1e-6  # bits: that two computations of one formula may differ by


def figures_of(run: Run, key: dict[str, Any]) -> dict[str, Any]:
    """Every count, charge and length of the key; the run notes where those of the session (`key`) differ."""
    terms, given_up, counts = run.hello['terms'], bool(run.report.get('reason')), run.counts()
    blocks, agreed = ([], []) if given_up else (run.blocks, run.agreed)
    dropped = sum(size for size, good in zip(blocks, agreed, strict=True) if not good)
    one_way, told = terms['reconciliation'] == 'ldpc', sum(run.named[0].values())
    disclosed = key['disclosed_bits'] if one_way else told  # syndromes are told in whole bytes
    receivers = [one.report.get('receiver') for one in run.members or [run]]
    choices = run.report['choices'] if run.members else 0
    leaked = disclosed + dropped + run.earlier
    charged, parts, tag_key = (leaked, run.earlier), (run.parts, run.expected), formulas.tag_key_bits(run.parts)
    length, ledger = formulas.key_bits(counts, terms, receivers, choices, len(blocks), charged, parts)
    secret = 0 if given_up else floor(max(0.0, length) + _ROUNDING)
    figures = {
        'sifted_bits': int(run.sifted[:, 0].sum()),
        'disclosed_bits': disclosed,
        'disclosed_before': run.earlier,
        'blocks': len(blocks),
        'failed_blocks': agreed.count(False),
        'pre_shared_bits': tag_key,
        'key_id': run.key_id,
        'epsilon': sum(ledger.values()),
        'secret_bits': secret,
    }
    if not run.members:  # nothing is kept of which parities were disclosed, or that nobody wants
        figures['kept'] = bool(run.report.get('keep')) and terms['keep'] != 'never' and not (run.earlier + told)
    for name, value in figures.items():
        same = key.get(name) == value or (isinstance(value, float) and isclose(key.get(name, 0), value, rel_tol=1e-6))
        run.check(same, f'{name} is {key.get(name)} in the session, {value} by the transcript')
    _tables(run, counts, ledger, key)
    qber = formulas.expected_error(counts, terms['intensities']['signal'], terms['intensities']['decoy'])
    said = run.report['qber']
    same = isclose(said, qber, rel_tol=1e-9, abs_tol=1e-12)
    run.check(same, f'the error rate is said to be {said}, the decoys tell {qber}')
    for request in run.said('AMPLIFY')[:1]:
        (bits, said), matrix = decoding.head('>QQ', request)
        fits = bits == secret or (length > 0 and abs(length - round(length)) < _ROUNDING)
        run.check(fits, f'{bits} bits were requested, the counts allow {secret}')
        run.check(said == disclosed, f'{disclosed} bits were disclosed, the request says {said}')
        size = len(matrix) + sum(map(len, run.said('MATRIX')))
        due = -(-(sum(blocks) - dropped + bits + tag_key - 1) // 8) if bits else 0
        run.check(size == due, f'the matrix of privacy amplification has {size} bytes, not {due}')
    if not given_up:
        run.check(not one_way or -(-disclosed // 8) * 8 == told, f'{told} bits of syndromes do not hold {disclosed}')
        run.check(qber <= terms['max_qber'], f'the error rate {qber:.3f} is over the limit of {terms["max_qber"]}')
    return figures


def _tables(run: Run, counts: FloatArray, ledger: dict[str, float], key: dict[str, Any]) -> None:
    """The tables of counts, of failure probabilities and of costs."""
    bases, lights, parts = ('hv', 'da'), ('signal', 'decoy', 'vacuum'), ('sent', 'sifted', 'errors')
    for (p, b, k), due in np.ndenumerate(counts):
        said, what = key['counts'][bases[b]][lights[k]][parts[p]], f'{bases[b]} {lights[k]}: {parts[p]}'
        same = said == due or (p == 2 and k == 0)  # the errors of the signal are not told
        run.check(same, f'counts of {what} is {said} in the session, {due:.0f} by the transcript')
    for name, odds in ledger.items():
        said = key['epsilon_ledger'].get(name)
        run.check(isclose(said, odds, rel_tol=1e-6), f'the ledger has {said} for {name}, {odds} by the transcript')
    total, said = sum(key['epsilon_ledger'].values()), key['epsilon']
    run.check(isclose(total, said, rel_tol=1e-9), f'the ledger adds up to {total}, the session says {said}')
    costs, secret = sum(key['cost'].values()) - key['cost']['secret_bits'], key['secret_bits']
    same = abs(costs - secret) <= 1e-3 and key['cost']['secret_bits'] == secret
    run.check(same, f'the costs add up to {costs:.3f} bits, the session says {secret}')
