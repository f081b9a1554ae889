"""Fit one spot in a small window: plane background, adaptive moments, then a Gaussian by maximum likelihood."""

from __future__ import annotations

import numpy as np

from qkd_gs.jit import njit

# fields of the result of `fit_spot`
X, Y, AMPLITUDE, SIGMA, LEVEL, NOISE, SIGNIFICANCE, ELLIPTICITY, PEAK, SATURATED = range(10)
FIELDS = 10

_SIGMA_MIN, _SIGMA_MAX = 0.45, 8.0
_PRIOR_LN_SIGMA = 0.7  # width of the prior on ln(sigma): it dominates for faint spots, not for bright ones
_CORE_PX = 10.0  # excluded from the background: 3.3 sigma of the widest ordinary spot


@njit(cache=True)
def brightest_within(image, x_px, y_px, radius_px):  # type: ignore[no-untyped-def]
    """Place in a flattened image of its brightest pixel within a circle, of equal ones the first; 0 if all are dark."""
    best, place = 0, 0
    for j in range(image.shape[0]):
        y = j - y_px
        for i in range(image.shape[1]):
            x = i - x_px
            if image[j, i] > best and x * x + y * y <= radius_px * radius_px:
                best, place = image[j, i], j * image.shape[1] + i
    return place


@njit(cache=True)  # type: ignore[misc]
def _solve(a, b, n):  # type: ignore[no-untyped-def]
    """Solve the symmetric n x n system in place by Gauss-Jordan; False if singular."""
    for i in range(n):
        pivot = a[i, i]
        if not abs(pivot) > 1e-30:
            return False
        for k in range(i, n):
            a[i, k] /= pivot
        b[i] /= pivot
        for r in range(n):
            if r != i:
                factor = a[r, i]
                for k in range(i, n):
                    a[r, k] -= factor * a[i, k]
                b[r] -= factor * b[i]
    return True


@njit(cache=True)  # type: ignore[misc]
def _plane(window, good, x0, y0, plane):  # type: ignore[no-untyped-def]
    """Background plane (level at x0, y0; slopes) by clipped least squares outside the core; returns its noise."""
    height, width = window.shape
    step = 2 if height * width > 2048 else 1
    core = min(_CORE_PX, 0.35 * min(height, width))
    normal, right = np.zeros((3, 3)), np.zeros(3)
    plane[:] = 0.0
    noise = 1e30
    for turn in range(4):
        normal[:] = 0.0
        right[:] = 0.0
        square = 0.0
        for y in range(0, height, step):
            dy = y - y0
            for x in range(y // step % 2, width, step):
                dx = x - x0
                if dx * dx + dy * dy < core * core or not good[y, x]:
                    continue
                v = float(window[y, x])
                rest = v - plane[0] - plane[1] * dx - plane[2] * dy
                if abs(rest) > 3.5 * noise + 0.5:
                    continue
                normal[0, 0] += 1.0
                normal[0, 1] += dx
                normal[0, 2] += dy
                normal[1, 1] += dx * dx
                normal[1, 2] += dx * dy
                normal[2, 2] += dy * dy
                right[0] += v
                right[1] += v * dx
                right[2] += v * dy
                square += v * v
        n = normal[0, 0]
        if n < 12:
            return -1.0
        normal[1, 0], normal[2, 0], normal[2, 1] = normal[0, 1], normal[0, 2], normal[1, 2]
        before = right.copy()
        if turn == 0 or not _solve(normal, right, 3):  # first the level alone: outliers would tilt a plane
            right[0], right[1], right[2] = before[0] / n, 0.0, 0.0
        plane[:] = right
        explained = right[0] * before[0] + right[1] * before[1] + right[2] * before[2]
        noise = np.sqrt(max((square - explained) / n, 0.0))
    return noise


@njit(cache=True)  # type: ignore[misc]
def _mark_hot(window, good, x0, y0, reach, level, noise):  # type: ignore[no-untyped-def]
    """Exclude pixels far above all but one of their neighbours: hot pixels and pairs of them."""
    height, width = window.shape
    for y in range(max(y0 - reach, 0), min(y0 + reach + 1, height)):
        for x in range(max(x0 - reach, 0), min(x0 + reach + 1, width)):
            v = window[y, x] - level
            if v < 8.0 * noise:
                continue
            first, second = 0.0, 0.0
            for yy in range(max(y - 1, 0), min(y + 2, height)):
                for xx in range(max(x - 1, 0), min(x + 2, width)):
                    if yy == y and xx == x:
                        continue
                    u = window[yy, xx] - level
                    if u > first:
                        first, second = u, first
                    elif u > second:
                        second = u
            if v > 3.0 * second + 8.0 * noise:
                good[y, x] = False


@njit(cache=True)  # type: ignore[misc]
def _moments(data, good, shape):  # type: ignore[no-untyped-def]
    """Gaussian-weighted centroid and width, the weight following the spot (Bernstein & Jarvis 2002, AJ 123, 583).

    `shape` holds x, y, sigma and takes the result; returns whether it converged.
    """
    height, width = data.shape
    row = np.empty(width)  # the weight is the product of one of x and one of y
    for _ in range(15):
        x0, y0, s2 = shape[0], shape[1], shape[2] ** 2
        reach = int(3.0 * shape[2]) + 1
        total, sx, sy, second = 0.0, 0.0, 0.0, 0.0
        first, end = max(int(x0) - reach, 0), min(int(x0) + reach + 2, width)
        for x in range(first, end):
            row[x] = np.exp(-0.5 * (x - x0) ** 2 / s2)
        for y in range(max(int(y0) - reach, 0), min(int(y0) + reach + 2, height)):
            dy = y - y0
            column = np.exp(-0.5 * dy * dy / s2)
            for x in range(first, end):
                if not good[y, x]:
                    continue
                dx = x - x0
                v = data[y, x] * row[x] * column
                total += v
                sx += v * dx
                sy += v * dy
                second += v * (dx * dx + dy * dy)
        if total <= 0.0 or second <= 0.0:
            return False
        limit = shape[2]
        mx, my = sx / total, sy / total
        shape[0] += min(max(2.0 * mx, -limit), limit)
        shape[1] += min(max(2.0 * my, -limit), limit)
        # weight times spot has 1/m = 1/s2 + 1/sigma2
        inverse = 2.0 * total / second - 1.0 / s2
        sigma = 1.0 / np.sqrt(inverse) if inverse > 1.0 / _SIGMA_MAX**2 else _SIGMA_MAX
        before = shape[2]
        shape[2] = min(max(sigma, 0.6 * before, _SIGMA_MIN), 1.6 * before, _SIGMA_MAX)
        if not (-2.0 < shape[0] < width + 1.0 and -2.0 < shape[1] < height + 1.0):
            return False
        if abs(shape[2] - before) < 0.02 * before and abs(mx) + abs(my) < 0.01:
            return True
    return shape[2] < 0.9 * _SIGMA_MAX


@njit(cache=True)  # type: ignore[misc]
def _normal_equations(data, good, shape, amplitude, noise, per_count, normal, right):  # type: ignore[no-untyped-def]
    """Fisher matrix and score for amplitude, x, y, ln(sigma); returns squared significance and the worst pixel.

    Variance of a pixel: background plus shot noise of the model.  The worst pixel is the one highest above what
    the model can explain (five sigma and a quarter of the model itself), or -1, -1.
    """
    height, width = data.shape
    x0, y0, sigma = shape[0], shape[1], shape[2]
    reach = min(int(3.2 * sigma) + 2, 24)
    first, end = max(int(x0) - reach, 0), min(int(x0) + reach + 2, width)
    row = np.empty(width)  # the model is the product of one of x and one of y
    for x in range(first, end):
        row[x] = np.exp(-0.5 * ((x - x0) / sigma) ** 2)
    slope = np.zeros(4)
    normal[:] = 0.0
    right[:] = 0.0
    square, worst, worst_x, worst_y = 0.0, 0.0, -1, -1
    for y in range(max(int(y0) - reach, 0), min(int(y0) + reach + 2, height)):
        dy = (y - y0) / sigma
        column = np.exp(-0.5 * dy * dy)
        for x in range(first, end):
            if not good[y, x]:
                continue
            dx = (x - x0) / sigma
            r2 = dx * dx + dy * dy
            g = row[x] * column
            model = amplitude * g
            variance = noise * noise + model / per_count
            rest = data[y, x] - model
            excess = rest - 0.25 * model
            if excess > 0 and excess * excess > 25.0 * variance and rest > worst:
                worst, worst_x, worst_y = rest, x, y
            slope[0], slope[1], slope[2], slope[3] = g, model * dx / sigma, model * dy / sigma, model * r2
            for i in range(4):
                w = slope[i] / variance
                right[i] += w * rest
                for k in range(i, 4):
                    normal[i, k] += w * slope[k]
            square += model * model / variance
    for i in range(4):
        for k in range(i):
            normal[i, k] = normal[k, i]
    return square, worst_x, worst_y


@njit(cache=True)  # type: ignore[misc]
def _refine(data, good, shape, amplitude, noise, per_count, prior_sigma, free):  # type: ignore[no-untyped-def]
    """Fisher scoring of amplitude, x, y and (if `free`) ln(sigma); returns amplitude and its significance.

    Excludes single pixels that the model does not explain (a cosmic ray or a weak hot pixel inside the spot), one in
    every second round.
    """
    normal, right = np.zeros((4, 4)), np.zeros(4)
    significance = 0.0
    for turn in range(14):
        sigma = shape[2]
        square, worst_x, worst_y = _normal_equations(data, good, shape, amplitude, noise, per_count, normal, right)
        significance = np.sqrt(square)
        if turn in (2, 4, 6) and worst_x >= 0:
            good[worst_y, worst_x] = False
        if free:
            normal[3, 3] += 1.0 / _PRIOR_LN_SIGMA**2
            right[3] -= np.log(sigma / prior_sigma) / _PRIOR_LN_SIGMA**2
        if not _solve(normal, right, 4 if free else 3):
            return amplitude, 0.0
        limit = 0.7 * sigma
        step = min(max(right[0], -0.7 * amplitude), 3.0 * amplitude)
        amplitude += step
        shape[0] += min(max(right[1], -limit), limit)
        shape[1] += min(max(right[2], -limit), limit)
        if free:
            shape[2] = min(max(sigma * np.exp(min(max(right[3], -0.4), 0.4)), _SIGMA_MIN), _SIGMA_MAX)
        still = abs(right[1]) + abs(right[2]) < 1e-3 and abs(step) < 1e-3 * amplitude
        if turn >= 3 and worst_x < 0 and still:
            break
    return amplitude, significance


@njit(cache=True)  # type: ignore[misc]
def _ellipticity(data, good, shape, amplitude):  # type: ignore[no-untyped-def]
    """Ellipticity of moments weighted by the fitted Gaussian; the model replaces excluded pixels."""
    height, width = data.shape
    x0, y0, s2 = shape[0], shape[1], shape[2] ** 2
    reach = int(3.0 * shape[2]) + 1
    sxx, syy, sxy = 0.0, 0.0, 0.0
    for y in range(int(np.floor(y0)) - reach, int(np.floor(y0)) + reach + 2):
        for x in range(int(np.floor(x0)) - reach, int(np.floor(x0)) + reach + 2):
            dx, dy = x - x0, y - y0
            g = np.exp(-0.5 * (dx * dx + dy * dy) / s2)
            known = 0 <= x < width and 0 <= y < height and good[y, x]
            v = g * (data[y, x] if known else amplitude * g)
            sxx += v * dx * dx
            syy += v * dy * dy
            sxy += v * dx * dy
    return np.hypot(sxx - syy, 2.0 * sxy) / (sxx + syy) if sxx + syy > 0 else 1.0


@njit(cache=True)  # type: ignore[misc]
def _step(window):  # type: ignore[no-untyped-def]
    """Smallest step in counts in the window; quantization adds noise."""
    bits = np.int64(0)
    first = np.int64(window[0, 0])
    for y in range(0, window.shape[0], 2):
        for x in range(0, window.shape[1], 2):
            bits |= np.int64(window[y, x]) ^ first
    return bits & -bits if bits else 1


@njit(cache=True)  # type: ignore[misc]
def _highest(window, good, x_px, y_px):  # type: ignore[no-untyped-def]
    """Highest good pixel near the spot, and how many share its value."""
    height, width = window.shape
    highest, times = 0.0, 0
    for y in range(max(y_px - 16, 0), min(y_px + 17, height)):
        for x in range(max(x_px - 16, 0), min(x_px + 17, width)):
            if good[y, x]:
                if window[y, x] > highest:
                    highest, times = float(window[y, x]), 1
                elif window[y, x] == highest:
                    times += 1
    return highest, times


@njit(cache=True)  # type: ignore[misc]
def fit_spot(window, x_px, y_px, sigma, free, ceiling, per_count, out):  # type: ignore[no-untyped-def]
    """Measure the spot that has its brightest pixel near (x_px, y_px).

    Parameters
    ----------
    window : (h, w) uint16
    x_px, y_px : int
        Starting point, a pixel of the window.
    sigma : float
        Expected width in px: starting value (and weak prior) if `free`, else fixed.
    free : bool
        Fit the width too; by symmetry the position does not suffer.
    ceiling : float
        Counts from which a pixel is saturated and excluded.
    per_count : float
        Photo-electrons per count.
    out : (FIELDS,) float64
        Receives the result, see the constants above: counts and px; position in the window.

    Returns
    -------
    bool
        Whether there is anything to measure.
    """
    height, width = window.shape
    good = np.ones((height, width), np.bool_)
    plane = np.zeros(3)
    noise = _plane(window, good, float(x_px), float(y_px), plane)
    if noise < 0.0:
        return False
    noise = max(noise, 0.3 * _step(window))
    _mark_hot(window, good, x_px, y_px, 16, plane[0], noise)
    highest, times = _highest(window, good, x_px, y_px)
    # an ADC may saturate below the type's range: then several pixels share one far highest value
    if times >= 5 and highest - plane[0] > 50.0 * noise:
        ceiling = min(ceiling, highest)
    data = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            data[y, x] = window[y, x] - plane[0] - plane[1] * (x - x_px) - plane[2] * (y - y_px)
    shape = np.array([float(x_px), float(y_px), sigma])
    settled = _moments(data, good, shape)
    if not settled:
        shape[0], shape[1] = float(x_px), float(y_px)
    if not free or not settled:
        shape[2] = sigma
    saturated = 0
    for y in range(height):
        for x in range(width):
            if good[y, x] and window[y, x] >= ceiling:
                good[y, x] = False
                saturated += 1
    start = max(highest - plane[0], noise)
    amplitude, significance = _refine(data, good, shape, start, noise, per_count, sigma, free)
    out[X], out[Y], out[SIGMA] = shape[0], shape[1], shape[2]
    out[AMPLITUDE], out[SIGNIFICANCE] = amplitude, significance
    out[ELLIPTICITY] = _ellipticity(data, good, shape, amplitude)
    out[LEVEL] = plane[0] + plane[1] * (shape[0] - x_px) + plane[2] * (shape[1] - y_px)
    out[NOISE], out[PEAK], out[SATURATED] = noise, highest, saturated
    return True
