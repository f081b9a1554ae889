"""Figure of the key budget: from the sifted bits to the secret bits, with the cost of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qkd_gs.report.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, RED, new_figure
from qkd_gs.report.text import HARD, shown, signed
from qkd_gs.report.view import Plot, SessionView, number

# in words; a step that is not listed is shown by its own name
STEPS = {
    'sifted_bits': ('sifted bits', 'signal pulses, same basis on both sides'),
    'multi_photon_and_vacuum': ('several photons, or none', 'Eve may know those bits, or they are noise'),
    'finite_statistics_of_single_photons': ('… not counted exactly', 'single photons are estimated from finite counts'),
    'phase_error': ('phase error', 'what Eve may know of single photons'),
    'finite_statistics_of_phase_error': ('… not measured exactly', 'the phase error is estimated too'),
    'finite_statistics': ('… not known exactly', 'both are estimated from finite counts'),
    'source_tolerance': ('tolerance of the source', 'intensities and their probabilities'),
    'detector_mismatch': ('unequal detectors', 'they may tell Eve something of a bit'),
    'given_away_by_the_receiver': ('known to Eve at the receiver', 'several photons at once, edges of the gate'),
    'error_correction_shannon_limit': ('error correction, at least', 'the Shannon limit at this error rate'),
    'error_correction_above_limit': ('… what the code needs more', 'no code reaches the limit'),
    'verification': ('verification', 'hash that proves the keys equal'),
    'authentication': ('authentication', 'pre-shared key used up, paid back'),
    'privacy_amplification': ('privacy amplification', 'price of its failure probability'),
    'rounding': ('rounding', 'to whole bits'),
    'missing_for_a_key': ('missing for a key', 'the costs are higher than the income'),
    'secret_bits': ('secret bits', 'the key'),
}


@dataclass(frozen=True)
class Step:
    """One step from the single photons to the key."""

    name: str
    why: str
    bits: float  # first and last: totals; between: what was taken, negative
    total: float  # what is left after it
    is_total: bool


def length_steps(key: dict[str, Any]) -> list[Step]:
    """The key's length from `key['cost']`: a total, then changes with their sign, then the total left.

    Returns [] if there is none, or if it does not add up to the key (the report then shows no figure of it).
    """
    cost = key.get('cost')
    if not isinstance(cost, dict) or len(cost) < 3:
        return []
    values = {name: number(cost, name) for name in cost}
    if any(value is None for value in values.values()):
        return []
    names, bits = list(values), [value for value in values.values() if value is not None]
    if abs(sum(bits[:-1]) - bits[-1]) > 1.0:
        return []
    steps, left = [], 0.0
    for k, (name, value) in enumerate(zip(names, bits, strict=True)):
        is_total = k in (0, len(names) - 1)
        left = value if is_total else left + value
        words, why = STEPS.get(name, (name.replace('_', ' '), ''))
        steps.append(Step(words, why, value, left, is_total))
    return steps


def waterfall(view: SessionView) -> Plot | None:
    """From the sifted bits down to the key."""
    steps = length_steps(view.key)
    if not steps:
        return None
    figure = new_figure(0.31 * len(steps) + 0.75)
    axes = figure.add_subplot()
    whole = max(step.total for step in steps) or 1.0
    before = 0.0
    for row, step in enumerate(steps):
        if step.is_total:
            start, length, colour = 0.0, step.bits, BLUE if row == 0 else GREEN
        else:
            start, length = min(before, step.total), abs(step.bits)
            colour = GREEN if step.bits > 0 else (ORANGE if step.name.startswith('…') else RED)
        axes.barh(row, length / 1000, left=start / 1000, color=colour, height=0.66, zorder=3)
        if row:
            axes.plot([before / 1000] * 2, [row - 0.67, row + 0.33], color=FAINT, lw=0.9, zorder=2)
        edge = max(start + length, before if not step.is_total else 0)
        text = shown(step.bits / 1000, 1) if step.is_total else signed(step.bits / 1000, 1)
        if abs(step.bits) < 100 and not step.is_total:
            text = f'{signed(step.bits)} bit'
        axes.annotate(
            text,
            (edge / 1000, row),
            (5, 0),
            textcoords='offset points',
            va='center',
            fontsize=8,
            color=INK,
            fontweight='bold' if step.is_total else 'normal',
        )
        before = step.total
    axes.set_yticks(range(len(steps)), [step.name for step in steps])
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, min(step.total for step in steps) / 1000), whole / 1000 * 1.12)
    axes.set_xlabel('thousand bits')
    axes.grid(axis='y', visible=False)
    axes.spines['left'].set_visible(False)
    axes.tick_params(axis='y', length=0)
    axes.axvline(0, color=GREY, lw=0.8)
    share = steps[-1].bits / steps[0].bits if steps[0].bits else 0.0
    return Plot(
        'key_account',
        'What each assumption and each step cost',
        figure,
        f'From {shown(steps[0].bits, 0)} sifted bits to {shown(steps[-1].bits, 0)} secret ones '
        f'({100 * share:.1f}{HARD}%), in thousands of bits. Red: taken '
        'by physics and protocol; orange: taken because counts are finite and codes are not perfect.',
        f'Waterfall from {steps[0].bits:.0f} sifted to {steps[-1].bits:.0f} secret bits.',
    )
