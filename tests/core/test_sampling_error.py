import math

import numpy as np
import pytest
import torch
from coverage import coverage

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import estimate_from_means, tail_shape


def normal(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.8])
def test_tail_shape_is_that_of_a_pareto_distribution(shape):
    uniform = np.random.default_rng(0).random((40, 10_000))
    found = np.mean([tail_shape(row) for row in uniform**-shape])
    assert found == pytest.approx(shape, abs=0.13)  # weighted moments are biased low from 1/2 on
    assert np.mean([tail_shape(-row) for row in uniform**-shape]) == pytest.approx(found)


def test_tail_shape_of_bounded_and_normal_terms_is_below_0_2():
    rows = np.random.default_rng(0).standard_normal((40, 1000))
    assert max(tail_shape(row) for row in rows) < 0.2
    assert max(tail_shape(row) for row in np.tanh(rows)) < 0
    assert tail_shape(np.ones(100)) == -math.inf


def test_error_of_unequal_sides_adds_their_variances():
    a, b = normal(40), 3 * normal(90, 1)
    found = estimate_from_means(0.5, a, b, slope=2.0)
    assert (float(found), found.n, found.caveat) == (0.5, 40, "")
    assert found.error == pytest.approx(2 * math.sqrt(a.var() / 40 + b.var() / 90), rel=1e-9)


def test_error_of_pairs_counts_their_covariance():
    a = normal(200)
    assert estimate_from_means(0.0, a, -a).error == pytest.approx(0.0, abs=1e-12)
    assert estimate_from_means(0.0, a, a).error == pytest.approx(
        float(2 * a.std() / math.sqrt(200)), rel=1e-9
    )


def test_error_of_groups_is_that_of_their_means():
    a = normal(120).repeat_interleave(5)
    found = estimate_from_means(0.0, a, group=5)
    assert (found.error, found.n) == (pytest.approx(float(a[::5].std() / math.sqrt(120)), rel=1e-9), 120)
    few = estimate_from_means(0.0, a[:100], group=5)
    assert few.caveat == ""
    assert few.high == pytest.approx(2.093 * few.error, rel=1e-3)  # Student's t of 19 degrees of freedom
    rare = torch.tensor([1.0] + [0.0] * 19)
    assert estimate_from_means(0.0, rare).caveat == "only 20 independent samples"
    assert estimate_from_means(0.0, a[:5], group=5).error is None


def test_error_of_an_infinite_term_is_none():
    found = estimate_from_means(-math.inf, torch.tensor([math.inf, *[0.0] * 99]))
    assert (found.error, found.caveat) == (None, "a term is not finite")


def test_error_of_equal_terms_is_0_without_a_caveat():
    found = estimate_from_means(1.0, torch.full((100,), 0.1), torch.full((100,), 0.9))
    assert (found.error, found.caveat) == (pytest.approx(0, abs=1e-9), "")


@pytest.mark.parametrize(("events", "has_caveat"), [(8, True), (80, False)])
def test_rare_events_have_a_caveat(events, has_caveat):
    terms = torch.zeros(2000)
    terms[:events] = 1.0
    assert bool(estimate_from_means(0.0, terms).caveat) == has_caveat


@pytest.mark.parametrize("value", [-2.0, -0.3, 0.0, 0.1, 0.5, 1.0])
def test_transformed_error_holds_or_has_a_caveat(value):
    def square(x: float) -> float:
        return x * abs(x)

    found = coverage(
        lambda generator: Estimate(value + 0.1 * float(torch.randn((), generator=generator)), 0.1).transform(
            square
        ),
        square(value),
        1000,
    )
    assert found.is_honest, found


def test_half_of_an_error_is_not_honest():
    def reading(generator: torch.Generator) -> Estimate:
        found = estimate_from_means(0.0, torch.randn(100, generator=generator))
        return Estimate(found + float(torch.randn((), generator=generator)) / 10, found.error / 2)

    found = coverage(reading, 0.0, 500)
    assert not found.is_honest
    assert found.ratio == pytest.approx(2, rel=0.1)
