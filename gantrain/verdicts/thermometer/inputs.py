"""What samples look like to a classifier: standardised, with functions of their numbers; never by their labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

MAX_STDS = (
    5.0  # beyond it a number grows by its logarithm, so that a heavy tail decides nothing and hides nothing
)
PRODUCT_DIMENSIONS = 64  # coordinates at most, for the products of all pairs
BUMPS = 8  # smooth steps along each coordinate
COMPONENTS = 64  # principal components of pictures
BANDS = 16  # rings of the spectrum of pictures
Array = np.ndarray


def standardise(x: Array) -> Array:
    """Return points [N, d] with median, spread and heavy tails removed, an invertible map of each coordinate."""
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    spread, std = (high - low) / 1.35, x.std(0)
    z = (x - middle) / np.where(spread > 0, spread, np.where(std > 0, std, 1.0))
    beyond = np.maximum(np.abs(z) - MAX_STDS, 0)
    z = np.sign(z) * (np.abs(z) - beyond + np.log1p(beyond))
    std = z.std(0)
    return np.asarray((z - z.mean(0)) / np.where(std > 0, std, 1.0))


def whiten(z: Array) -> Array:
    """Return standardised points [N, d] without correlation."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(z.T)))
    scale = np.sqrt(np.maximum(values, values.max() * 1e-6))
    return np.asarray((z - z.mean(0)) @ (vectors / scale))


def products(z: Array) -> Array:
    """Return points and the products of their coordinates: the log ratio of two Gaussians is linear in these.

    Of more than 64 coordinates there are squares only.
    """
    w = whiten(z).clip(-6, 6).astype(np.float32)
    if w.shape[1] > PRODUCT_DIMENSIONS:
        return np.concatenate([w, (w**2 - 1) / 2**0.5], 1)
    i, j = np.triu_indices(w.shape[1])
    scale = np.where(i == j, 2**-0.5, 1.0).astype(np.float32)
    return np.concatenate([w, (w[:, i] * w[:, j] - (i == j)) * scale], 1)


def squares(z: Array) -> Array:
    """Return points and their squares, few numbers that few samples suffice for: means and spreads of coordinates."""
    return np.concatenate([z, (z.clip(-6, 6) ** 2 - 1) / 2**0.5], 1).astype(np.float32)


def bumps(z: Array) -> Array:
    """Return functions of single coordinates: the log ratio of independent coordinates is a sum of such functions."""
    places = np.linspace(-2.5, 2.5, BUMPS)
    parts = [z, z.clip(-6, 6) ** 2, *(np.exp(-0.5 * ((z - place) / 0.6) ** 2) for place in places)]
    x = np.concatenate(parts, 1)
    std = x.std(0)
    return np.asarray((x - x.mean(0)) / np.where(std > 1e-9, std, 1.0), np.float32)


def principal_components(x: Array) -> Array:
    """Return the first principal components of features [N, d], at most 64 and a quarter of N."""
    centred = x - x.mean(0)
    count = min(COMPONENTS, x.shape[1], len(x) // 4)
    if x.shape[1] <= count:
        return np.asarray(centred)
    q = np.linalg.eigh(centred.T @ centred / len(x))[1][:, : -count - 1 : -1]
    return np.asarray(centred @ q)


def spectrum(x: Tensor) -> Array:
    """Return the log energy of images [N, C, H, W] in rings of frequency, and the mean and spread of each channel."""
    _, _, height, width = x.shape
    rings = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    ring = (rings / rings.max() * (BANDS - 1)).round().long().flatten()
    count = ring.bincount(minlength=BANDS).clamp_min(1)
    parts = []
    for part in x.split(500):
        energy = torch.fft.rfft2(part).abs().square().mean(1).flatten(1)  # [n, frequencies]
        bands = torch.zeros(len(part), BANDS).index_add_(1, ring, energy) / count
        parts.append(torch.cat([(bands + 1e-6).log(), part.mean((2, 3)), part.std((2, 3))], 1))
    return np.asarray(torch.cat(parts).double().numpy())


def small(x: Tensor, size: int = 16) -> Tensor:
    """Return images averaged to about ``size`` pixels a side, for distances between them."""
    step = max(1, min(x.shape[2:]) // size)
    return avg_pool2d(x, step) if step > 1 else x
