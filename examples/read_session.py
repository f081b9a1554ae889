"""Read the session of a pass: its figures, its time series, and, if it has one, its bag.

Run from the root of the repository, after `make demo` or `qkd-gs simulate`:
.venv/bin/python examples/read_session.py SESSION [PLOT.png]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import qkd_gs


def main(folder: str, plot: str = 'read_session.png') -> None:
    """Print what the session holds, and draw counts and spot position over the pass."""
    session = qkd_gs.open_session(folder)
    manifest, telemetry = session.manifest, session.telemetry
    print(f'{manifest.satellite} over {manifest.place}, culmination {qkd_gs.format_utc(manifest.culmination_ns, 0)}')
    print('simulated' if manifest.simulated else 'real')
    for part in ('tracking', 'polarization', 'timing', 'key'):
        for name, value in (session.result or {}).get(part, {}).items():
            if isinstance(value, int | float):
                print(f'{part:13} {name:24} {value:.6g}')
    if (Path(folder) / 'bag').is_dir():
        bag = qkd_gs.open_bag(folder)
        print(f'bag: {sum(bag.counts.values())} messages on {len(bag.topics)} topics')

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 5.5), sharex=True, layout='constrained')
    for name, counts in zip('HVDA', telemetry.counts, strict=True):
        upper.plot((telemetry.count_t_ns - manifest.culmination_ns) * 1e-9, counts, label=name)
    upper.set(ylabel='counts in a bin', title=f'{manifest.satellite} over {manifest.place}')
    upper.legend(title='detector', ncols=4, fontsize='small')
    seconds = (telemetry.spot_t_ns - manifest.culmination_ns) * 1e-9
    for name, offset in (('x', telemetry.spot_x_urad), ('y', telemetry.spot_y_urad)):
        rms = np.sqrt(np.nanmean(offset**2))
        lower.plot(seconds, offset, lw=0.6, alpha=0.7, label=f'{name}: {rms:.1f} µrad RMS')
    lower.set(xlabel='time from culmination, s', ylabel='spot in the tracking camera, µrad', ylim=(-30, 30))
    lower.legend(fontsize='small')
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.savefig(plot, dpi=100)
    print(f'plot: {plot}')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit('give the folder of a session: `make demo` leaves one under sessions/')
    main(*sys.argv[1:])
