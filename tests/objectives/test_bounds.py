"""Each game's number is the divergence it is named after, at the D that is best for it, and never more."""

import math

import pytest
import torch
from torch import Tensor

from gantrain.objectives.base import Logits
from gantrain.objectives.hinge import Hinge, least_js
from gantrain.objectives.least_squares import LeastSquares
from gantrain.objectives.relativistic import Relativistic
from gantrain.objectives.wasserstein import Wasserstein

NODES = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
NORMAL = torch.special.ndtri(NODES)  # equal weights: E f(x) is the mean of f over them
GRID = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
STEP = float(GRID[1] - GRID[0])


def density(x: Tensor, mean: float) -> Tensor:
    return torch.exp(-0.5 * (x - mean) ** 2) / math.sqrt(2 * math.pi)


def integral(values: Tensor) -> float:
    return float(values.sum()) * STEP


def divergences(d: float) -> dict[str, float]:
    """Quadrature for N(0, 1) against N(d, 1)."""
    p, q = density(GRID, 0), density(GRID, d)
    m = (p + q) / 2
    js = 0.5 * (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).nan_to_num()
    return {
        "js": integral(js),
        "triangular": integral(((p - q) ** 2 / (p + q)).nan_to_num()),
        "total_variation": 0.5 * integral((p - q).abs()),
    }


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 4.0])
def test_least_squares_is_tight_at_its_best_label(d):
    truth = divergences(d)

    def best(x: Tensor) -> Tensor:
        return torch.sigmoid(d * d / 2 - d * x) - 0.5  # label p / (p + q), logit = label - 1/2

    found = LeastSquares().estimate(Logits(best(NORMAL), best(NORMAL + d)))
    assert found["triangular"] == pytest.approx(truth["triangular"], abs=1e-5)
    assert found["js"] == pytest.approx(truth["triangular"] / 4, abs=1e-5)
    assert found["js"] <= truth["js"] + 1e-9


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 4.0])
def test_hinge_is_tight_at_the_sign_and_its_js_is_a_bound(d):
    truth = divergences(d)
    found = Hinge().estimate(Logits(torch.sign(d / 2 - NORMAL), torch.sign(d / 2 - NORMAL - d)))
    assert found["total_variation"] == pytest.approx(truth["total_variation"], abs=1e-5)
    assert 0 < found["js"] <= truth["js"] + 1e-6


@pytest.mark.parametrize("slope", [-3.0, -0.5, 0.3, 2.0])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.5])
def test_no_critic_exceeds_the_divergence(slope, shift):
    truth = divergences(1.0)
    logits = Logits(slope * NORMAL + shift, slope * (NORMAL + 1) + shift)
    assert LeastSquares().estimate(logits)["triangular"] <= truth["triangular"] + 1e-5
    assert Hinge().estimate(logits)["total_variation"] <= truth["total_variation"] + 1e-5


def test_least_js_of_two_coins_is_their_own_js():
    for t in (0.0, 0.1, 0.5, 0.9, 1.0):
        a, b = (1 + t) / 2, (1 - t) / 2
        js = sum(0.5 * u * math.log(2 * u / (u + v)) for u, v in ((a, b), (b, a), (b, a), (a, b)) if u)
        assert least_js(t) == pytest.approx(js, abs=1e-12)


def test_least_js_is_signed():
    assert least_js(-0.4) == -least_js(0.4) < 0


def test_wasserstein_of_unit_slope_is_the_translation():
    found = Wasserstein().estimate(Logits(-NORMAL, -(NORMAL + 1.7)))
    assert found["game"] == pytest.approx(1.7, abs=1e-9)
    assert "js" not in found
    assert "wasserstein" not in found


def test_relativistic_at_its_best_is_the_js_of_ordered_pairs():
    """For N(0,1) and N(d,1) the best logit is log p - log q = d^2/2 - d x, and pairs (x, y) are 2-D Gaussians apart."""
    d, n = 1.0, 1200
    nodes = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    x, y = torch.meshgrid(nodes, nodes + d, indexing="ij")
    found = Relativistic().estimate(Logits((d * d / 2 - d * x).flatten(), (d * d / 2 - d * y).flatten()))
    # JSD of N(0, I) and N((d, -d), I), which are sqrt(2) d apart along one axis.
    assert found["game"] == pytest.approx(divergences(math.sqrt(2) * d)["js"], abs=2e-3)
    assert found["game"] > divergences(d)["js"]


def test_relativistic_generators_descend_what_they_say():
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0], requires_grad=True)
    saturating, other = Relativistic(generator="saturating"), Relativistic()
    (a,) = torch.autograd.grad(saturating.g_loss(fake, real), fake)
    (b,) = torch.autograd.grad(saturating.d_loss(Logits(real, fake)), fake)
    assert torch.equal(a, -b)
    (c,) = torch.autograd.grad(other.g_loss(fake, real), fake)
    torch.testing.assert_close(c, -torch.sigmoid(real - fake.detach()) / 2)
