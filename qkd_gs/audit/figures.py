"""Figures of a key as they follow from a replayed run, against those of the session."""

from __future__ import annotations

from math import floor, isclose
from typing import Any

from qkd_gs.audit import formulas
from qkd_gs.audit.replay import Run

_ROUNDING = 1e-6  # bits: that two computations of one formula may differ by


def figures_of(
    run: Run, counts: formulas.Counts, key: dict[str, Any], joined: formulas.Joined | None = None
) -> tuple[int, dict[str, Any], list[str]]:
    """Every count, charge and length of the key, and where those of the session differ.

    Parameters
    ----------
    run : Run
    counts : Counts
    key : dict
        As the session has it.
    joined : Joined, optional
        As of `formulas.key_bits`.
    """
    terms, given_up = run.hello['terms'], bool(run.report.get('reason'))
    blocks, dropped, failed = ([], 0, 0) if given_up else (run.blocks, run.dropped, run.agreed.count(False))
    one_way = terms['reconciliation'] == 'ldpc'
    disclosed = key['disclosed_bits'] if one_way else run.parities  # syndromes are told in whole bytes
    leaked = disclosed + dropped + run.earlier()
    length, epsilon = formulas.key_bits(counts, terms, run.report.get('receiver'), blocks, leaked, joined)
    secret = 0 if given_up else floor(max(0.0, length) + _ROUNDING)
    figures = {
        'sifted_bits': int(run.sifted[:, 0].sum()),
        'disclosed_bits': disclosed,
        'disclosed_before': run.earlier(),
        'blocks': len(blocks),
        'failed_blocks': failed,
        'pre_shared_bits': formulas.TAG_KEY_BITS,
        'key_id': run.key_id,
        'epsilon': epsilon,
        'secret_bits': secret,
    }
    if not joined:  # nothing is kept of which parities were disclosed, or that nobody wants
        figures['kept'] = bool(run.report.get('keep')) and terms['keep'] != 'never' and not run.earlier()
    found = [
        f'{name} is {key.get(name)} in the session, {value} by the transcript'
        for name, value in figures.items()
        if not _same(key.get(name), value)
    ]
    qber = counts.expected_error(terms['intensities']['signal'], terms['intensities']['decoy'])
    if not isclose(run.report['qber'], qber, rel_tol=1e-9, abs_tol=1e-12):
        found.append(f'the error rate is said to be {run.report["qber"]}, the decoys tell {qber}')
    found += _tables(counts, key)
    if given_up:
        return secret, figures, found
    asked_bits, asked_disclosed = run.requested or (secret, disclosed)
    near_border = length > 0 and abs(length - round(length)) < _ROUNDING
    if asked_bits != secret and not near_border:
        found.append(f'{asked_bits} bits were requested, the counts allow {secret}')
    if asked_disclosed != disclosed:
        found.append(f'{disclosed} bits were disclosed, the request says {asked_disclosed}')
    if one_way and -(-disclosed // 8) * 8 != run.parities:
        found.append(f'{run.parities} bits of syndromes do not hold {disclosed}')
    if qber > terms['max_qber']:
        found.append(f'the error rate {qber:.3f} is over the limit of {terms["max_qber"]}')
    return secret, figures, found


def _tables(counts: formulas.Counts, key: dict[str, Any]) -> list[str]:
    """The tables of counts, of failure probabilities and of costs."""
    found = []
    parts = ('sent', counts.sent), ('sifted', counts.sifted), ('errors', counts.errors)
    for b, basis in enumerate(('hv', 'da')):
        for k, intensity in enumerate(('signal', 'decoy', 'vacuum')):
            for part, values in parts[: 3 if k else 2]:  # errors of the signal are not told
                said = key['counts'][basis][intensity][part]
                if said != values[b, k]:
                    due = f'{values[b, k]:.0f} by the transcript'
                    found.append(f'counts of {basis} {intensity}: {part} is {said} in the session, {due}')
    total = sum(key['epsilon_ledger'].values())
    if not isclose(total, key['epsilon'], rel_tol=1e-9):
        found.append(f'the ledger adds up to {total}, the session says {key["epsilon"]}')
    costs = sum(value for name, value in key['cost'].items() if name != 'secret_bits')
    if abs(costs - key['secret_bits']) > 1e-3 or key['cost']['secret_bits'] != key['secret_bits']:
        found.append(f'the costs add up to {costs:.3f} bits, the session says {key["secret_bits"]}')
    return found


def _same(said: Any, due: Any) -> bool:
    if isinstance(due, float):
        return isinstance(said, (int, float)) and isclose(said, due, rel_tol=1e-6)
    return bool(said == due)
