"""Which samples are near which, by a tree in few dimensions, by matrix products in many, exact as from differences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROWS = 1000  # rows of the distance matrix in memory at a time
BYTES = 2**22  # of the differences in memory at a time
FEW_DIMENSIONS = 32  # up to which differences cost no more than a product
MAX_TREE_DIMENSIONS = 8  # in which a tree is at least seven times as fast as all pairs
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
    candidates = _candidates(x, min(k + SPARE, len(x) - 1))
    owners = torch.arange(len(x), device=x.device)[:, None].expand_as(candidates)
    gaps = pair_distances(x, x, owners, candidates).masked_fill(candidates == owners, torch.inf)
    gaps, order = gaps.sort(dim=1, stable=True)
    return gaps[:, :k], candidates.gather(1, order)[:, :k]


def _candidates(x: Tensor, count: int) -> Tensor:
    """Return ``count`` others that are nearest to each sample [N, d] up to rounding, and perhaps the sample itself."""
    if suits_tree(x):
        return torch.from_numpy(tree_of(x).query(x.numpy(), k=range(1, count + 2))[1])
    found = []
    for start in range(0, len(x), ROWS):
        squares, _ = rounded_squares(x[start : start + ROWS], x)
        squares.diagonal(start).fill_(torch.inf)
        found.append(squares.topk(count, largest=False).indices)
    return torch.cat(found)


def suits_tree(*sides: Tensor) -> bool:
    """Return whether a tree finds near samples [N, d] faster than all pairs do."""
    return all(
        x.device.type == "cpu" and x.shape[1] <= MAX_TREE_DIMENSIONS and bool(x.isfinite().all())
        for x in sides
    )


def tree_of(x: Tensor) -> Any:
    """Return scipy's tree of samples [N, d], d of at least 1."""
    from scipy.spatial import cKDTree  # takes half a second

    # Points that are unlike all others, as the same one many times, need not be balanced.
    return cKDTree(x.cpu().double().numpy(), balanced_tree=False, compact_nodes=False)


def closer_pairs(a: Tensor, b: Tensor, radius: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the indices i, j of the pairs of ``a`` [N, d] and ``b`` [M, d] that are closer than ``radius`` [N] of i.

    Each time those of the next rows of ``a``, in order of i.
    """
    tree = tree_of(b) if suits_tree(a, b) else None
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        if tree is None:
            i, j = is_closer(a[rows], b, radius[rows]).nonzero(as_tuple=True)
        else:
            # No less than those that are closer, however both round.
            found = tree.query_ball_point(a[rows].numpy(), radius[rows].numpy() * (1 + 1e-9))
            counts = np.fromiter(map(len, found), np.int64, len(found))
            i = torch.from_numpy(np.repeat(np.arange(len(found)), counts))
            j = torch.from_numpy(np.fromiter(chain.from_iterable(found), np.int64, counts.sum()))
            inside = pair_distances(a[rows], b, i, j) < radius[rows][i]
            i, j = i[inside], j[inside]
        yield i + start, j


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
