"""Relativistic games equal their definitions, and have the vector field that Mescheder et al. solve."""

import math

import pytest
import torch
from torch import Tensor

from gantrain.objectives.base import Logits, Objective
from gantrain.objectives.cross_entropy import Minimax
from gantrain.objectives.relativistic import Relativistic

PAIRS, AVERAGE = Relativistic(), Relativistic(pairing="average")
NODES = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
NORMAL = torch.special.ndtri(NODES)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def some_logits(n: int = 7) -> Logits:
    return Logits(*torch.randn(2, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


def test_average_game_is_the_loop_over_its_definition():
    logits = some_logits()
    real, fake = logits.real.tolist(), logits.fake.tolist()
    mean_real, mean_fake = sum(real) / 7, sum(fake) / 7
    d = -sum(log_sigmoid(r - mean_fake) for r in real) / 7 - sum(log_sigmoid(mean_real - f) for f in fake) / 7
    g = -sum(log_sigmoid(f - mean_real) for f in fake) / 7 - sum(log_sigmoid(mean_fake - r) for r in real) / 7
    assert AVERAGE.d_loss(logits).item() == pytest.approx(d, abs=1e-12)
    assert AVERAGE.g_loss(logits.fake, logits.real).item() == pytest.approx(g, abs=1e-12)
    saturating = Relativistic(pairing="average", generator="saturating")
    assert saturating.g_loss(logits.fake, logits.real).item() == pytest.approx(-d, abs=1e-12)


def test_games_of_constant_logits_are_functions_of_the_gap():
    """Of two points the best D is a gap c, and both losses go to 0 as it grows: no bound of JSD is below log 2."""
    for gap in (-2.0, 0.0, 0.5, 30.0):
        logits = Logits(torch.full((4,), gap), torch.zeros(4))
        loss = math.log1p(math.exp(-gap))
        assert PAIRS.d_loss(logits).item() == pytest.approx(loss, abs=1e-6)
        assert AVERAGE.d_loss(logits).item() == pytest.approx(2 * loss, abs=1e-6)
        for game in (PAIRS, AVERAGE):
            assert game.estimate(logits)["game"] == pytest.approx(math.log(2) - loss, abs=1e-6)


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 4.0])
def test_average_game_at_the_log_ratio_is_between_js_and_log_2(d):
    """E_q log p/q <= 0 <= E_p log p/q, so each term is at most that of cross-entropy, whose bound is tight there."""
    logits = Logits(d * d / 2 - d * NORMAL, d * d / 2 - d * (NORMAL + d))
    js, game = Minimax().estimate(logits)["js"], AVERAGE.estimate(logits)["game"]
    assert js < game < math.log(2)
    assert not game.is_lower_bound  # of a divergence with a name


def test_average_games_error_counts_that_a_logit_moves_a_mean():
    generator, values, errors = torch.Generator().manual_seed(0), [], []
    for _ in range(400):
        real, fake = torch.randn(2, 200, generator=generator, dtype=torch.float64)
        estimate = AVERAGE.estimate(Logits(2 * real + 1, fake))["game"]
        values.append(float(estimate))
        errors.append(estimate.error)
    assert torch.tensor(values).std().item() == pytest.approx(sum(errors) / 400, rel=0.12)


def field(game: Objective, theta: float, psi: float) -> Tensor:
    """The steps (theta', psi') of descent where the data are at 0, samples at theta, and D(x) = psi x."""
    at = torch.tensor([theta, psi], dtype=torch.float64, requires_grad=True)
    real, fake = (0 * at[1]).expand(3), (at[0] * at[1]).expand(3)
    (of_g,) = torch.autograd.grad(game.g_loss(fake, real), at, retain_graph=True)
    (of_d,) = torch.autograd.grad(game.d_loss(Logits(real, fake)), at)
    return -torch.stack([of_g[0], of_d[1]])


@pytest.mark.parametrize(("pairing", "times"), [("pairs", 1.0), ("average", 2.0)])
def test_relativistic_dirac_field_is_that_of_the_first_game(pairing, times):
    """f(psi theta) without the constant f(0); each logit against a mean counts it twice."""
    game = Relativistic(pairing=pairing, generator="saturating")
    for theta, psi in [(1.0, 1.0), (-0.3, 2.0), (0.7, -1.2)]:
        torch.testing.assert_close(field(game, theta, psi), times * field(Minimax(), theta, psi))
    step = 1e-5
    jacobian = torch.stack(
        [(field(game, *x) - field(game, *-x)) / (2 * step) for x in step * torch.eye(2)], 1
    )
    eigenvalues = torch.linalg.eigvals(jacobian)
    torch.testing.assert_close(eigenvalues.real, torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        eigenvalues.imag.abs(), times * torch.full((2,), 0.5).double(), atol=1e-6, rtol=0
    )
