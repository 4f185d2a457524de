"""The Frechet distance is that of the fitted Gaussians, to the last digits of torch-fidelity's, and so is its slope."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gantrain.metrics.tools.frechet_distance import frechet, frechet_with_influence, mean_of_halves


def draw(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(d: int, seed: int = 7) -> Tensor:
    return torch.linalg.qr(draw(d, d, seed)).Q


def bures(shift: np.ndarray, A: np.ndarray, B: np.ndarray) -> float:
    """|d|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), the root taken of the symmetric product."""
    root = scipy.linalg.sqrtm(A)
    middle = scipy.linalg.eigvalsh(root @ B @ root)
    return float(shift @ shift + np.trace(A) + np.trace(B) - 2 * np.sqrt(np.maximum(middle, 0)).sum())


@pytest.mark.parametrize("d", [1, 2, 16, 64])
def test_it_is_the_closed_form_of_the_fitted_gaussians(d):
    a, b = draw(300, d, 0) @ (rotation(d) + 0.3), 1.7 * draw(200, d, 1) @ rotation(d, 3) + 0.4
    means = [x.mean(0).numpy() for x in (a, b)]
    spreads = [((x - x.mean(0)).T @ (x - x.mean(0)) / (len(x) - 1)).numpy() for x in (a, b)]
    expected = bures(means[0] - means[1], *spreads)
    assert expected > 0.1
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("m1", "s1", "m2", "s2", "truth"), [(0, 1, 2, 1, 4), (0, 1, 0, 2, 1), (1, 0.5, -1, 2, 6.25)]
)
def test_frechet_of_gaussians_is_their_squared_wasserstein(m1, s1, m2, s2, truth):
    """(m1 - m2)^2 + (s1 - s2)^2, with the delta method's standard error of sample means and deviations."""
    n = 100_000
    value = frechet(m1 + s1 * draw(n, 1, 0), m2 + s2 * draw(n, 1, 1))
    error = math.sqrt(((2 * (m1 - m2)) ** 2 + (2 * (s1 - s2)) ** 2 / 2) * (s1**2 + s2**2) / n)
    assert abs(value - truth) < 4 * error


def test_covariances_that_do_not_commute_read_the_closed_form():
    d, n = 3, 20_000
    A, B = torch.diag(torch.tensor([1.0, 4.0, 0.25]).double()), rotation(d) * torch.tensor([3.0, 0.5, 1.0])
    truth = bures(np.full(d, 0.5), (A @ A.T).numpy(), (B @ B.T).numpy())
    values = [frechet(draw(n, d, 2 * i) @ A.T, draw(n, d, 2 * i + 1) @ B.T + 0.5) for i in range(20)]
    assert np.std(values) / math.sqrt(20) < 0.01 * truth
    assert (
        abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(20) + 100 / n
    )  # its bias falls as 1/n


@pytest.mark.parametrize(("d", "n"), [(4, 1000), (16, 2000)])
def test_a_perfect_sampler_reads_the_bias_law(d, n):
    """(d + d (d + 1) / 4)(1/n + 1/m): what ``dims`` and floors are there for."""
    expected = (d + d * (d + 1) / 4) * (1 / n + 2 / n)
    values = [frechet(draw(n, d, 2 * i), draw(n // 2, d, 2 * i + 1)) for i in range(40)]
    error = np.std(values) / math.sqrt(40)
    assert error < 0.1 * expected
    assert abs(np.mean(values) - expected) < 4 * error + 0.02 * expected


@pytest.mark.parametrize("d", [1, 5, 40])
def test_frechet_is_a_squared_distance_invariant_to_motions(d):
    a, b, t, Q = draw(200, d, 0), 1 + 2 * draw(150, d, 1), 3 * draw(1, d, 2), rotation(d)
    value = frechet(a, b)
    assert frechet(b, a) == pytest.approx(value, rel=1e-9)
    assert frechet(a + t, b + t) == pytest.approx(value, rel=1e-9)
    assert frechet(a @ Q, b @ Q) == pytest.approx(value, rel=1e-9)
    assert frechet(3 * a, 3 * b) == pytest.approx(9 * value, rel=1e-9)
    assert frechet(a, a + t) == pytest.approx(float(t.square().sum()), rel=1e-9)
    assert abs(frechet(a, a)) < 1e-9 * d
    assert abs(frechet(a, a.flip(0))) < 1e-9 * d


def of_torch_fidelity(a: Tensor, b: Tensor) -> float:
    statistics = [fid_features_to_statistics(x) for x in (a, b)]
    for each in statistics:
        each["sigma"] = np.atleast_2d(each["sigma"])  # of one dimension it is a scalar there
    (value,) = fid_statistics_to_metric(*statistics, verbose=False).values()
    return value


def positive_parts(n: int, d: int, seed: int, dead: slice) -> Tensor:
    x = draw(n, d, seed).relu()
    x[:, dead] = 0  # as the units of a network that never fire
    return x


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 1), (300, 300, 2), (300, 200, 128), (700, 600, 300)])
def test_frechet_equals_torch_fidelity(n, m, d):
    a, b = draw(n, d, 0) @ (rotation(d) + 0.3), 1.1 * draw(m, d, 1) + 0.1
    assert frechet(a, b) == pytest.approx(of_torch_fidelity(a, b), rel=1e-9)


@pytest.mark.slow
def test_frechet_of_2048_dimensions_equals_torch_fidelity():
    a, b = draw(2100, 2048, 0), 1.1 * draw(2100, 2048, 1) + 0.01
    assert frechet(a, b) == pytest.approx(of_torch_fidelity(a, b), rel=1e-9)


PLANE = draw(10, 128, 9)
FLAT = {
    "dead units": (positive_parts(300, 128, 0, slice(5, 40)), positive_parts(300, 128, 1, slice(20, 60))),
    "one constant": (torch.ones(50, 128, dtype=torch.float64), positive_parts(300, 128, 1, slice(0, 9))),
    "ten dimensions": (draw(500, 10, 0) @ PLANE, 1.2 * draw(400, 10, 1) @ PLANE + 0.1),
    "few samples": (draw(40, 128, 0), 1.2 * draw(40, 128, 1)),
}


@pytest.mark.parametrize("case", FLAT)
def test_frechet_of_less_than_full_rank_is_exact(case):
    """tr (A B)^1/2 is the sum of the singular values of X Y', which no square root of a rounding error enters."""
    a, b = FLAT[case]
    x, y = ((side - side.mean(0)) / (len(side) - 1) ** 0.5 for side in (a, b))
    shift, spread = a.mean(0) - b.mean(0), float(x.square().sum() + y.square().sum())
    truth = float(shift @ shift) + spread - 2 * float(torch.linalg.svdvals(x @ y.T).sum())
    assert frechet(a, b) == pytest.approx(truth, abs=1e-10 * spread)
    assert of_torch_fidelity(a, b) == pytest.approx(truth, abs=1e-6 * spread)


@pytest.mark.parametrize("d", [1, 6])
def test_influence_is_the_slope_in_the_weight_of_a_pair(d):
    a, b = draw(40, d, 0) @ (rotation(d) + 0.3), 1.3 * draw(40, d, 1) + 0.5
    n, h = len(a), 1e-4

    def weighted(pair: int, weight: float) -> float:
        w = torch.ones(n, dtype=torch.float64)
        w[pair] += weight * n
        means = [(w @ x) / w.sum() for x in (a, b)]
        spreads = [((x - m).T * w) @ (x - m) / w.sum() for x, m in zip((a, b), means, strict=True)]
        return bures((means[0] - means[1]).numpy(), *(s.numpy() for s in spreads))

    value, found = frechet_with_influence(a, b)
    assert value == pytest.approx(frechet(a, b), rel=1e-12)
    slopes = torch.tensor([(weighted(i, h) - weighted(i, -h)) / (2 * h) for i in range(n)])
    torch.testing.assert_close(
        found - found.mean(), slopes.double(), rtol=1e-5, atol=1e-5 * float(slopes.std())
    )


def test_mean_of_halves_is_above_the_distance_by_its_bias():
    """Half as many samples of N(0, I) have twice the bias, (d + d (d + 1) / 4) 2/n, so twice F less theirs is 0."""
    d, n, sides = 4, 400, [draw(400, 4, seed) for seed in range(60)]
    pairs = list(itertools.pairwise(sides))
    infinite = [2 * frechet(a, b) - mean_of_halves(a, b, 0) for a, b in pairs[::2]]
    bias = (d + d * (d + 1) / 4) * 2 / n
    error = np.std(infinite) / math.sqrt(len(infinite))
    assert error < 0.1 * bias
    assert abs(np.mean(infinite)) < 3 * error
