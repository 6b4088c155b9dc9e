"""Spectra of one sensor's bands brought to another's wavelengths by a matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3amba_zoo.errors import InputError

SAME_BANDS = 0.5  # nm; band centres that differ by no more are the same
FARTHEST_NM = 10.0
"""Bands further apart than this are not the same band, however wide a sensor's bands are spaced."""


def resampling_matrix(given: ArrayLike, wanted: ArrayLike) -> NDArray[np.float64]:
    """Return the matrix ``R`` that takes a spectrum's values at ``given`` to its values at ``wanted``.

    ``R[i, j]`` is the mean of the j-th hat function of linear interpolation on ``given`` over the interval
    ``wanted[i] -+ h[i]``. ``h[i]`` is half the difference between the spacings of ``wanted`` and ``given``
    there, or 0 if ``wanted`` is finer; at the ends of ``given`` it is as much as fits. So coarser bands
    average the finer ones that they span, finer bands interpolate, and equal wavelengths give the identity.
    Rows sum to 1.

    A layer that reads bands, ``w . x`` with one weight per band, gets the weights ``w' = R^T w`` with R from
    the new wavelengths to the old ones. Then ``w' . x' = w . (R x')``: the old layer's answer to the new
    spectrum brought to its bands. This holds for rough ``w`` too, such as those of a discriminant analysis.
    The sum of the weights is kept: if w is smooth and both spacings are even, ``w'`` is w interpolated, times
    new spacing / old spacing. A layer that writes bands gets ``R w``, with R from old to new.

    A wanted band that lies further outside the range of ``given`` than one spacing (the larger one) has a row
    of zeros: for standardised bands that is their mean, as for missing pixels.

    Args:
        given: wavelengths of n bands in nm, at least 2, in any order, all different.
        wanted: likewise of m bands.

    Returns:
        ``(m, n)``.

    Raises:
        InputError: if there are fewer than 2 bands, or wavelengths are not different positive numbers.
    """
    given_order, wanted_order = _order(given), _order(wanted)
    g = np.asarray(given, np.float64)[given_order]
    w = np.asarray(wanted, np.float64)[wanted_order]
    spacing_g, spacing_w = np.interp(w, g, np.gradient(g)), np.gradient(w)
    half = np.maximum(spacing_w - spacing_g, 0) / 2
    half = np.minimum(half, np.maximum(np.minimum(w - g[0], g[-1] - w), 0))  # else the middle would move
    reach = np.maximum(spacing_w, spacing_g)
    low, high = np.clip(w - half, g[0], g[-1]), np.clip(w + half, g[0], g[-1])
    width = high - low
    averaged = width > 1e-9 * g[-1]  # the mean over an empty interval is the value at its place
    rows = np.where(
        averaged[:, None],
        (_hat_integrals(g, high) - _hat_integrals(g, low)) / np.where(averaged, width, 1)[:, None],
        _hats(g, np.clip(w, g[0], g[-1])),
    )
    rows[(w < g[0] - reach) | (w > g[-1] + reach)] = 0
    matrix = np.zeros_like(rows)
    matrix[np.ix_(wanted_order, given_order)] = rows
    return matrix


def same_bands(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two arrays of wavelengths are the same up to ``SAME_BANDS``."""
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=SAME_BANDS))


def _order(wavelengths: ArrayLike) -> NDArray[np.intp]:
    values = np.asarray(wavelengths, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"resampling by wavelength needs at least 2 bands, not {values.size}")
    if not (np.isfinite(values).all() and (values > 0).all() and len(np.unique(values)) == len(values)):
        raise InputError("wavelengths must be different positive numbers (nm)")
    return np.argsort(values)


def _ramps(g: NDArray, t: NDArray) -> tuple[NDArray, NDArray]:
    """Return the share of each interval of g below points t ``(m,)``, ``(m, n - 1)``, and the lengths."""
    lengths = np.diff(g)
    return np.clip((t[:, None] - g[:-1]) / lengths, 0, 1), lengths


def _hats(g: NDArray, t: NDArray) -> NDArray:
    """Return the values of the n hat functions on g at points t, ``(m, n)``."""
    u, _ = _ramps(g, t)
    return np.pad(u, ((0, 0), (1, 0)), constant_values=1) - np.pad(u, ((0, 0), (0, 1)))


def _hat_integrals(g: NDArray, t: NDArray) -> NDArray:
    """Return the integrals of the hat functions from g[0] to t, ``(m, n)``."""
    u, lengths = _ramps(g, t)
    rising, falling = lengths * u**2 / 2, lengths * (u - u**2 / 2)
    return np.pad(rising, ((0, 0), (1, 0))) + np.pad(falling, ((0, 0), (0, 1)))


def matrix_within(given: NDArray[np.float64], wanted: ArrayLike) -> NDArray[np.float64]:
    """Return ``resampling_matrix`` if no wanted band lies off the given ones, where it would be extrapolated.

    A wanted band may lie off the given ones by half their spacing there, 10 nm at most: it is the same band.

    Raises:
        InputError: if they do not; or see ``resampling_matrix``.
    """
    matrix = resampling_matrix(given, wanted)
    centres, ordered = np.asarray(wanted, np.float64), np.sort(given)
    spacing = np.diff(ordered)
    low = ordered[0] - min(spacing[0] / 2, FARTHEST_NM)
    high = ordered[-1] + min(spacing[-1] / 2, FARTHEST_NM)
    outside = centres[(centres < low) | (centres > high)]
    if len(outside):
        raise InputError(
            f"it has {in_words(given)}, but {len(outside)} of {in_words(centres)} lie outside of these (the "
            f"first at {outside[0]:g} nm); bands inside are expected"
        )
    return matrix


def resample(matrix: NDArray[np.float64], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply spectra ``(C, H, W)`` by a matrix ``(m, C)``; a value is NaN if any that it is made of is."""
    missing = np.isnan(values)
    found = np.tensordot(matrix.astype(np.float32), np.where(missing, np.float32(0), values), 1)
    if missing.any():
        found[np.tensordot((matrix != 0).astype(np.float32), missing.astype(np.float32), 1) > 0] = np.nan
    return found


def in_words(wavelengths: NDArray[np.float64]) -> str:
    """Return how many bands there are and what they reach over."""
    return f"{len(wavelengths)} bands of {wavelengths.min():.0f}-{wavelengths.max():.0f} nm"
