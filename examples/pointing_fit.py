"""Fit a pointing model to stars measured with a mount whose errors are known, and plot the residuals.

Run from the root of the repository: .venv/bin/python examples/pointing_fit.py [PLOT.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import qkd_gs

STARS = 30
NOISE_RAD = 20e-6  # of a measured star, per axis: seeing and the scatter of the mount
TRUTH = qkd_gs.MountModel(IA=0.17, IE=-0.05, AN=4e-3, AW=-2e-3, NPAE=1.5e-4, CA=5e-4, TF=1e-4)


def measured_stars(rng: np.random.Generator) -> np.ndarray:
    """Apparent direction and encoder reading of each star, rad (n, 4): az, el, enc_az, enc_el."""
    az = rng.uniform(0, 2 * np.pi, STARS)
    el = np.arcsin(rng.uniform(np.sin(np.radians(20)), np.sin(np.radians(80)), STARS))  # evenly over the sky
    enc_az, enc_el = TRUTH.encoder(az, el)
    enc_az += rng.normal(0, NOISE_RAD, STARS) / np.cos(el)
    enc_el += rng.normal(0, NOISE_RAD, STARS)
    enc_el[3] += 2e-3  # a wrong star, 7 arcmin off
    return np.column_stack([az, el, enc_az, enc_el])


def main(plot: str = 'pointing_fit.png') -> None:
    """Fit, print each term beside the truth, and draw the residuals on the sky."""
    stars = measured_stars(np.random.default_rng(7))
    fit = qkd_gs.fit_pointing(stars)
    print('term       fitted   +-      truth, urad')
    for name, sigma_rad in fit.sigma_rad.items():
        print(f'{name:5} {fit.model[name] * 1e6:11.1f} {sigma_rad * 1e6:5.1f} {TRUTH[name] * 1e6:10.1f}')
    for star in fit.rejected:
        print(f'rejected: star {star.index}, {star.reason}')
    print(f'RMS {fit.rms_rad * 1e6:.1f} urad, held out {fit.heldout_rms_rad * 1e6:.1f} urad')

    figure, axes = plt.subplots(figsize=(5.5, 5.5), subplot_kw={'projection': 'polar'}, layout='constrained')
    az, distance = stars[fit.kept, 0], 90 - np.degrees(stars[fit.kept, 1])
    x, y = fit.x_rad[fit.kept] * 1e6, fit.y_rad[fit.kept] * 1e6
    # x runs along growing azimuth, y towards the zenith; in the plot north is up and east is right
    right, up = x * np.cos(az) - y * np.sin(az), -x * np.sin(az) - y * np.cos(az)
    arrows = axes.quiver(az, distance, right, up, angles='uv', scale=400, width=0.004)
    axes.quiverkey(arrows, 0.9, 0.98, 50, '50 µrad', labelpos='E')
    axes.set(theta_zero_location='N', theta_direction=-1, rlim=(0, 80), rticks=[20, 40, 60])
    axes.set_xticks(np.radians([0, 90, 180, 270]), ['N', 'E', 'S', 'W'])
    axes.set_title(f'Residuals of {fit.kept.sum()} stars, RMS {fit.rms_rad * 1e6:.0f} µrad (zenith in the centre)')
    figure.savefig(plot, dpi=100)
    print(f'plot: {plot}')


if __name__ == '__main__':
    main(*sys.argv[1:])
