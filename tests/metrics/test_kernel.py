"""The kernel distance is unbiased at any n: 0 on average for equal distributions, the population's value for others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gantrain.metrics.kernel import BLOCK, kernel


def draw(n: int, d: int, seed: int, mean: float = 0.0) -> Tensor:
    return mean + torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_loops(a: Tensor, b: Tensor) -> float:
    """The definition: sums over pairs, without a sample paired with itself."""

    def k(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / len(x) + 1) ** 3

    def inside(c: Tensor) -> float:
        pairs = [k(c[i], c[j]) for i in range(len(c)) for j in range(len(c)) if i != j]
        return sum(pairs) / len(pairs)

    between = [k(x, y) for x in a for y in b]
    return inside(a) + inside(b) - 2 * sum(between) / len(between)


def population(d: int, mean: float) -> float:
    """MMD^2 of N(0, I) and N(mean, I) from the first three moments of s = x.y / d."""

    def expected(p: float, q: float) -> float:
        one, two, three = (
            p * q,
            (1 + p * p) * (1 + q * q),
            (p**3 + 3 * p) * (q**3 + 3 * q),
        )  # of a product x_i y_i
        second = d * two + d * (d - 1) * one**2
        third = d * three + 3 * d * (d - 1) * two * one + d * (d - 1) * (d - 2) * one**3
        return 1 + 3 * one + 3 * second / d**2 + third / d**3

    return expected(0, 0) + expected(mean, mean) - 2 * expected(0, mean)


@pytest.mark.parametrize(("n", "d"), [(2, 1), (2, 5), (15, 3), (40, 64)])
def test_it_is_the_definition(n, d):
    a, b = draw(n, d, 0), draw(n, d, 1, 0.7)
    assert kernel(a, b) == pytest.approx(by_loops(a, b), rel=1e-9, abs=1e-12)
    assert kernel(b, a) == pytest.approx(kernel(a, b), rel=1e-9)


def test_kernel_of_equal_distributions_is_0_on_average():
    """The error is far below what leaving the diagonal in would add: 2 (E k(x, x) - E k(x, y)) / n, about 0.05."""
    values = [kernel(draw(200, 16, 2 * i), draw(200, 16, 2 * i + 1)) for i in range(100)]
    error = np.std(values) / math.sqrt(len(values))
    assert error < 0.003
    assert abs(np.mean(values)) < 4 * error
    assert 20 < sum(value < 0 for value in values) < 90


@pytest.mark.parametrize("n", [50, 500])
def test_different_distributions_read_the_populations_value(n):
    assert population(16, 0.5) == pytest.approx(1.02930, abs=5e-6)
    values = [kernel(draw(n, 16, 2 * i), draw(n, 16, 2 * i + 1, 0.5)) for i in range(60)]
    error = np.std(values) / math.sqrt(len(values))
    assert error < 0.05
    assert abs(np.mean(values) - population(16, 0.5)) < 4 * error


def test_directions_do_not_matter():
    a, b = draw(100, 8, 0), draw(100, 8, 1, 0.5)
    Q = torch.linalg.qr(draw(8, 8, 2)).Q
    assert kernel(a @ Q, b @ Q) == pytest.approx(kernel(a, b), rel=1e-9)


def test_many_samples_are_read_in_blocks_that_are_as_unbiased():
    n = 2 * BLOCK + 3
    a, b = draw(n, 4, 0), draw(n, 4, 1, 0.5)
    cut = BLOCK + 2
    parts = [kernel(a[:cut], b[:cut]), kernel(a[cut:], b[cut:])]
    assert kernel(a, b) == pytest.approx(sum(parts) / 2, rel=1e-9)
    assert abs(kernel(a, b) / population(4, 0.5) - 1) < 0.2


def test_of_the_longer_side_the_first_are_read():
    a, b = draw(30, 4, 0), draw(50, 4, 1)
    assert kernel(a, b) == kernel(a, b[:30])
    assert kernel(b, a) == kernel(b[:30], a)


def test_nothing_is_drawn_from_the_programs_generators():
    before = torch.get_rng_state(), str(np.random.get_state())
    first = kernel(draw(100, 3, 0), draw(100, 3, 1))
    np.random.RandomState(5).rand(3)
    assert kernel(draw(100, 3, 0), draw(100, 3, 1)) == first
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]
