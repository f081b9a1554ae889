"""List the passes of a satellite over a site, and plot elevation against time of those that the station can use.

Run from the root of the repository: .venv/bin/python examples/pass_list.py [PLOT.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import qkd_gs

ELEMENTS = 'config/elements/micius.tle'
SITE = 'Shanghai'
START, END = '2018-09-24', '2018-10-04'  # the nearest elements are of 15 September 2018


def main(plot: str = 'pass_list.png') -> None:
    """Print every usable pass, and draw them on one time axis with culmination at 0."""
    micius = qkd_gs.load_elements(ELEMENTS)
    passes = [one for one in qkd_gs.find_passes(micius, SITE, START, END) if one.usable]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout='constrained')
    colours = plt.cm.viridis([one.max_elevation_deg / 90 for one in passes])
    for one, colour in zip(passes, colours, strict=True):
        culmination = qkd_gs.format_utc(one.culmination_ns, 0)
        print(f'{culmination}  {one.max_elevation_deg:5.1f} deg  {one.min_range_km:6.0f} km')
        path = qkd_gs.trajectory(one, SITE)
        t_ns = np.arange(path.start_ns, path.end_ns, 10**9)
        minutes = (t_ns - one.culmination_ns) / 60e9
        axes.plot(minutes, np.degrees(path.table(t_ns).el_rad), color=colour, label=culmination[:16].replace('T', ' '))
    axes.set(
        title=f'Usable passes of Micius over {SITE}, {START} to {END}',
        xlabel='time from culmination, min',
        ylabel='apparent elevation, deg',
        ylim=(0, 90),
    )
    axes.grid(alpha=0.3)
    axes.legend(title='culmination, UTC', fontsize='small', loc='upper left', bbox_to_anchor=(1, 1))
    figure.savefig(plot, dpi=100)
    print(f'plot: {plot}')


if __name__ == '__main__':
    main(*sys.argv[1:])
