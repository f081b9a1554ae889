"""Secret key length of a 300 s pass against the loss of the link, with finite statistics.

The counts are expectation values of a simple channel: every detector click is a signal photon, or noise at random.
Run from the root of the repository: .venv/bin/python examples/key_length_vs_loss.py [PLOT.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import qkd_gs

PULSES_PER_S = 100e6
SECONDS = 300.0
INTENSITIES = {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0}
SHARES = {'signal': 0.5, 'decoy': 0.25, 'vacuum': 0.25}  # of the pulses
OPTICS_ERROR = 0.012
NOISE = 300.0 * 2e-9  # clicks in one gate: 300 a second in all detectors, 2 ns wide
F_EC, EPSILON = 1.06, 1e-10


def counts(loss_db: float, seconds: float) -> qkd_gs.KeyCounts:
    """Expected counts; a quarter of all pulses is sent and measured in each basis."""
    transmission = 10 ** (-loss_db / 10)
    basis = {}
    for name, mean_photons in INTENSITIES.items():
        sent = PULSES_PER_S * seconds * SHARES[name] / 4
        light = 1 - np.exp(-mean_photons * transmission)
        clicks, errors = light + NOISE, light * OPTICS_ERROR + NOISE / 2
        basis[name] = {'sent': round(sent), 'sifted': round(sent * clicks), 'errors': round(sent * errors)}
    return qkd_gs.KeyCounts(intensities=INTENSITIES, hv=basis, da=basis)


def main(plot: str = 'key_length_vs_loss.png') -> None:
    """Print a table, and draw the key for three lengths of a pass."""
    losses_db = np.arange(25.0, 45.1, 0.5)
    figure, axes = plt.subplots(figsize=(7, 4.5), layout='constrained')
    for factor, style in ((1, '-'), (10, '--'), (100, ':')):
        seconds = SECONDS * factor
        keys = [
            qkd_gs.key_length(counts(loss, seconds), epsilon_total=EPSILON, f_ec=F_EC).secret_bits for loss in losses_db
        ]
        rate = np.array(keys, dtype=float) / seconds
        axes.semilogy(losses_db, np.where(rate > 0, rate, np.nan), style, label=f'{seconds:,.0f} s')
        if factor == 1:
            for loss, bits in list(zip(losses_db, keys, strict=True))[::4]:
                print(f'{loss:5.1f} dB  {bits:9d} bits')
    axes.set(
        title=f'Secret key rate, total failure probability {EPSILON:g}',
        xlabel='loss of the link with receiver and detectors, dB',
        ylabel='secret bits a second',
    )
    axes.grid(alpha=0.3)
    axes.legend(title='counted time')
    figure.savefig(plot, dpi=100)
    print(f'plot: {plot}')


if __name__ == '__main__':
    main(*sys.argv[1:])
