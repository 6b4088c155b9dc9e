"""Spectra from one sampling to another, and layers that read or write them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from m3amba_zoo.errors import InputError

SAME_BANDS = 0.5  # nm; band centres that differ by less are the same


def resampling_matrix(given: ArrayLike, wanted: ArrayLike) -> NDArray[np.float64]:
    """Return the matrix ``R`` that takes a spectrum's values at ``given`` to its values at ``wanted``.

    ``R[i, j]`` is the mean of the j-th hat function of linear interpolation on ``given`` over the interval
    ``wanted[i] -+ h[i]``, with ``h[i]`` half of what the spacing of ``wanted`` exceeds that of ``given`` by
    there, or 0. So coarser bands average the finer ones that they span, finer bands interpolate, and equal
    samplings give the identity. Rows sum to 1.

    A layer that reads bands, ``w . x`` with one weight a band, gets the weights ``w' = R^T w`` with R from
    the new sampling to the old one: then ``w' . x' = w . (R x')``, the old layer's answer to the new spectrum
    brought to its bands, however rough ``w`` is (those of a discriminant analysis are rough). The weights'
    sum is kept: where w is smooth and both samplings are even, R integrates and ``w'`` is w interpolated,
    times new spacing / old spacing. A layer that writes bands gets ``R w``, with R from old to new.

    A wanted band further outside the range of ``given`` than one spacing (the larger one) cannot be seen:
    its row is 0, which for standardised bands is their mean, as for missing pixels.

    Args:
        given: wavelengths of n bands in nm, at least 2, in any order, all different.
        wanted: of m bands, alike.

    Returns:
        ``(m, n)``.

    Raises:
        InputError: fewer than 2 bands, or wavelengths that are not different positive numbers.
    """
    given_order, wanted_order = _order(given), _order(wanted)
    g = np.asarray(given, np.float64)[given_order]
    w = np.asarray(wanted, np.float64)[wanted_order]
    fine, coarse = np.interp(w, g, np.gradient(g)), np.gradient(w)
    half = np.maximum(coarse - fine, 0) / 2
    reach = np.maximum(coarse, fine)
    low, high = np.clip(w - half, g[0], g[-1]), np.clip(w + half, g[0], g[-1])
    width = high - low
    averaged = width > 1e-9 * g[-1]
    rows = np.where(
        averaged[:, None],
        (_hat_integrals(g, high) - _hat_integrals(g, low)) / np.where(averaged, width, 1)[:, None],
        _hats(g, np.clip(w, g[0], g[-1])),
    )
    rows[(w < g[0] - reach) | (w > g[-1] + reach)] = 0
    matrix = np.zeros_like(rows)
    matrix[np.ix_(wanted_order, given_order)] = rows
    return matrix


def along_axis(value: Tensor, axis: int, matrix: NDArray[np.float64]) -> Tensor:
    """Multiply an axis of length n with a matrix ``(m, n)``, in float64."""
    product = value.movedim(axis, -1).double() @ torch.from_numpy(matrix).T
    return product.movedim(-1, axis).to(value.dtype)


def same_bands(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two samplings are one, to ``SAME_BANDS``."""
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=SAME_BANDS))


def _order(wavelengths: ArrayLike) -> NDArray[np.intp]:
    values = np.asarray(wavelengths, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"bands are resampled by wavelength where there are at least 2, not {values.size}")
    if not (np.isfinite(values).all() and (values > 0).all() and len(np.unique(values)) == len(values)):
        raise InputError("wavelengths are expected to be positive numbers (nm), each once")
    return np.argsort(values)


def _ramps(g: NDArray, t: NDArray) -> tuple[NDArray, NDArray]:
    """How far points t ``(m,)`` have come on each interval of g, 0 to 1 ``(m, n - 1)``; the lengths."""
    lengths = np.diff(g)
    return np.clip((t[:, None] - g[:-1]) / lengths, 0, 1), lengths


def _hats(g: NDArray, t: NDArray) -> NDArray:
    """Values of the n hat functions on g at points t, ``(m, n)``."""
    u, _ = _ramps(g, t)
    return np.pad(u, ((0, 0), (1, 0)), constant_values=1) - np.pad(u, ((0, 0), (0, 1)))


def _hat_integrals(g: NDArray, t: NDArray) -> NDArray:
    """Integrals of the hat functions from g[0] to t, ``(m, n)``."""
    u, lengths = _ramps(g, t)
    rising, falling = lengths * u**2 / 2, lengths * (u - u**2 / 2)
    return np.pad(rising, ((0, 0), (1, 0))) + np.pad(falling, ((0, 0), (0, 1)))
