"""R1 and R2 by finite differences are R1 and R2: in expectation, and up to sigma^2."""

import pytest
import torch
from penalty_costs import cost_of, pass_of
from small_game import game
from torch import Tensor

from gantrain.penalties.finite_difference import FiniteR1, FiniteR1R2
from gantrain.penalties.r1 import R1, R1R2

N = 100_000  # of the same point, each with noise of its own


def smooth(x: Tensor, y: Tensor | None = None) -> Tensor:
    return (1.5 * x[:, 0]).sin() + 0.5 * x[:, 0] * x[:, 1].exp()


def repeated(seed: int) -> Tensor:
    return torch.randn(1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).expand(N, 3)


def test_finite_difference_of_a_linear_d_is_r1_on_average():
    a, (real, fake) = torch.tensor([1.0, -2.0, 0.5]).double(), (repeated(0), repeated(1))

    def linear(x: Tensor, y: Tensor | None = None) -> Tensor:
        return x @ a + 3

    for sigma in (1e-3, 10.0):  # any
        for finite, exact in (
            (FiniteR1(gamma=0.7, sigma=sigma), R1(gamma=0.7)),
            (FiniteR1R2(gamma=1.0, sigma=sigma), R1R2(gamma=1.0)),
        ):
            expected = cost_of(exact, linear, real, fake)
            # The square of a normal number of variance s has the variance 2 s^2.
            assert cost_of(finite, linear, real, fake) == pytest.approx(
                expected.item(), rel=4 * (2 / N) ** 0.5
            )


def test_finite_difference_of_a_smooth_d_errs_by_sigma_squared():
    real = repeated(0)
    exact = cost_of(R1(), smooth, real, real).item()
    noise = FiniteR1().draw(real, torch.Generator().manual_seed(0))[:, 0]
    (slope,) = torch.autograd.grad(smooth(at := real[:1].clone().requires_grad_(True)), at)
    sampled = 0.5 * (noise.double() @ slope[0]).square().mean().item()  # of sigma = 0, by the same noise
    # Noise and its opposite, so that odd powers of sigma cancel as they do in expectation.
    errors = []
    for sigma in (0.2, 0.1):
        both = [smooth(real + sign * sigma * noise) - smooth(real) for sign in (1, -1)]
        errors.append(sum((one / sigma).square().mean().item() for one in both) / 4 - sampled)
        found = cost_of(FiniteR1(sigma=sigma), smooth, real, real).item()
        assert found == pytest.approx(exact, rel=0.5 * sigma)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_finite_difference_is_the_loop_over_samples():
    real, fake = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    penalty = FiniteR1R2(gamma=0.6, sigma=0.05)
    noise = penalty.draw(real, torch.Generator().manual_seed(4))
    total = 0.0
    for i in range(5):
        for j, x in enumerate((real, fake)):
            one, e = x[i : i + 1], noise[i : i + 1, j]
            total += 0.3 * ((smooth(one) - smooth(one + 0.05 * e)).item() / 0.05) ** 2 / 5
    assert cost_of(penalty, smooth, real, fake, seed=4).item() == pytest.approx(total, rel=1e-6)


def test_finite_difference_in_bfloat16_differs_in_float32():
    """A difference of two numbers of 8 bits, over sigma, would be noise."""
    costs = []
    for precision in ("float32", "bfloat16"):
        g = game(penalty="r1_finite", device={"precision": precision, "kind": "cpu"})
        costs.append(g.move_d()["loss/penalty"].item())
    assert costs[1] == pytest.approx(costs[0], rel=0.02)


def test_finite_difference_leaves_the_second_derivative_out():
    real = torch.randn(4, 3, dtype=torch.float64)
    assert not pass_of(FiniteR1R2(gamma=1.0), smooth, real, real).slopes
