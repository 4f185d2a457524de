"""Distances chosen by matrix products are as exact as those of differences, ties and copies included."""

import pytest
import torch

from gantrain.metrics.tools import pair_distances as module
from gantrain.metrics.tools.pair_distances import closer_pairs, is_closer, nearest_others, pair_distances


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grey(n: int, seed: int, d: int = 784) -> torch.Tensor:
    """Return pixels of 256 levels in [-1, 1]."""
    levels = torch.randint(0, 256, (n, d), generator=torch.Generator().manual_seed(seed))
    return levels.double() / 127.5 - 1


X = grey(40, 0)
SIDES = {
    "pixels": (X, grey(30, 1)),
    "copies": (X, X[::2].clone()),
    "copies of one": (X, X[3].repeat(30, 1)),
    "neighbours as near as radii": (X, torch.cat([X[10:20], X[:3]])),
    "far from the origin": (normal(30, 50, 2) + 1e6, normal(30, 50, 3) + 1e6),
    "an outlier": (torch.cat([normal(30, 40, 4), normal(1, 40, 5) * 1e8]), normal(20, 40, 6)),
    "few dimensions": (normal(30, 3, 7), normal(30, 3, 7)),
    "copies in few dimensions": (normal(30, 2, 8).repeat(3, 1), normal(30, 2, 8)[:1].repeat(40, 1)),
    "a lattice": (torch.cartesian_prod(*[torch.arange(6.0)] * 2).double(), torch.ones(6, 2).double()),
}


@pytest.mark.parametrize("side", SIDES)
def test_what_is_closer_is_what_differences_show(side):
    a, b = SIDES[side]
    exact = (a[:, None] - b).norm(dim=2)
    for radius in (
        nearest_others(a, 1)[0][:, 0],
        nearest_others(a, 5)[0][:, -1],
        exact[:, 4],
        torch.zeros(len(a)),
    ):
        assert torch.equal(is_closer(a, b, radius), exact < radius[:, None])
        pairs = torch.cat([torch.stack(found, 1) for found in closer_pairs(a, b, radius)])
        found = torch.zeros(len(a), len(b)).index_put((*pairs.T,), torch.ones(()), accumulate=True)
        assert torch.equal(found, (exact < radius[:, None]).float())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("k", [1, 6])
def test_nearest_others_are_those_of_differences(side, k):
    x = torch.cat(SIDES[side])
    exact = (x[:, None] - x).norm(dim=2).fill_diagonal_(torch.inf)
    gaps, which = nearest_others(x, k)
    assert torch.equal(gaps, exact.sort(dim=1).values[:, :k])
    assert torch.equal(exact.gather(1, which), gaps)


def test_the_radius_is_the_distance_to_the_kth_other_sample():
    x = torch.tensor([[0.0], [1.0], [3.0], [7.0], [7.0]], dtype=torch.float64)
    for k, radii in {1: [1, 1, 2, 0, 0], 3: [7, 6, 4, 6, 6], 4: [7, 6, 4, 7, 7]}.items():
        assert nearest_others(x, k)[0][:, -1].tolist() == radii


def test_numbers_that_are_none_are_not_put_into_a_tree():
    x = normal(30, 2, 8)
    x[3] = torch.nan
    gaps, _ = nearest_others(x, 3)
    rest = torch.arange(30) != 3
    assert torch.equal(gaps[rest], nearest_others(x[rest], 3)[0])
    assert [len(i) for i, _ in closer_pairs(x, x, torch.full((30,), 1e3).double())] == [29**2]


@pytest.mark.parametrize("rows", [1, 7, 39, 40])
def test_how_many_rows_are_in_memory_does_not_matter(rows, monkeypatch):
    whole = nearest_others(X, 3)
    monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(module, "BYTES", 8 * 784 * rows)
    for part, own in zip(nearest_others(X, 3), whole, strict=True):
        assert torch.equal(part, own)
    i = torch.arange(40)
    assert pair_distances(X, X.clone(), i, i).tolist() == [0] * 40
    assert pair_distances(X, X, i[:0], i[:0]).shape == (0,)
