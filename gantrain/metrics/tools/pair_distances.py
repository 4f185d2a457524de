"""Which samples are near which, by matrix products where dimensions are many, and as exact as from differences."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1000  # rows of the distance matrix in memory at a time
BYTES = 2**25  # of the differences in memory at a time
FEW_DIMENSIONS = 32  # up to which differences cost no more than a product
SPARE = 8  # neighbours beyond those that are due, among which rounding may have changed the order


def pair_distances(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the Euclidean distances of rows i of ``a`` and j of ``b``, shape of ``i``, from their differences.

    Equal pairs have equal distances, to the last bit, and a sample is at 0 from its copy.
    """
    size = max(1, BYTES // (8 * a.shape[1]))
    pairs = zip(i.flatten().split(size), j.flatten().split(size), strict=True)
    gaps = [(a[rows] - b[columns]).norm(dim=1) for rows, columns in pairs]
    return torch.cat(gaps).view(i.shape) if gaps else a.new_zeros(i.shape)


def nearest_others(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the distances of each sample [N, d] to its k nearest others, nearest first, and which they are, [N, k]."""
    count, found = min(k + SPARE, len(x) - 1), []
    for start in range(0, len(x), ROWS):
        squares, _ = rounded_squares(x[start : start + ROWS], x)
        squares.diagonal(start).fill_(torch.inf)
        found.append(squares.topk(count, largest=False).indices)
    candidates = torch.cat(found)
    owners = torch.arange(len(x), device=x.device)[:, None].expand_as(candidates)
    gaps, order = pair_distances(x, x, owners, candidates).sort(dim=1, stable=True)
    return gaps[:, :k], candidates.gather(1, order)[:, :k]


def is_closer(a: Tensor, b: Tensor, radius: Tensor) -> Tensor:
    """Return whether the samples of ``b`` [M, d] are closer to those of ``a`` [N, d] than ``radius`` [N]: [N, M]."""
    squares, error = rounded_squares(a, b)
    margin = squares - radius.square()[:, None]
    i, j = (margin.abs() <= error + 1e-12 * radius.square()[:, None]).nonzero(as_tuple=True)
    inside = margin < 0
    inside[i, j] = pair_distances(a, b, i, j) < radius[i]
    return inside


def rounded_squares(a: Tensor, b: Tensor) -> tuple[Tensor, float]:
    """Return the squared distances of all pairs, [N, M], float64, and a bound of what rounding adds to them."""
    if a.shape[1] <= FEW_DIMENSIONS:
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square(), 0.0
    middle = b.mean(0)  # of small vectors the product has the smallest rounding errors
    a, b = a - middle, b - middle
    of_a, of_b = a.square().sum(1), b.square().sum(1)
    error = 4 * a.shape[1] * torch.finfo(a.dtype).eps * float(of_a.max() + of_b.max())
    return of_a[:, None] + of_b - 2 * a @ b.T, error
