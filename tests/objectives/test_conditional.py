"""The game with wrong pairs: its floor, its true fixed point, and what stays readable from right pairs."""

import math

import pytest
import torch
from torch import Tensor

from gantrain.errors import ConfigError
from gantrain.objectives.base import Logits
from gantrain.objectives.conditional import Conditional
from gantrain.objectives.cross_entropy import Minimax, NonSaturating

WEIGHTS = [0.1, 0.3, 0.5, 0.75]


def jsd(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon divergence of two finite distributions in nats; 0 log 0 = 0."""
    m = (p + q) / 2
    return 0.5 * (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).nansum().item()


def alphabet() -> tuple[Tensor, Tensor]:
    """p(letter | class) of two overlapping classes in hundredths [2, 6], and p_mis, the other class's row."""
    p = torch.tensor([22.0, 20.0, 18.0, 15.0, 13.0, 12.0], dtype=torch.float64)
    p = torch.stack([p, p.flip(0)])
    return p, p.flip(0)


def optimum(p: Tensor, mis: Tensor, q: Tensor, w: float) -> Tensor:
    """Logits of the D that is best against q: log p - log(w p_mis + (1 - w) q)."""
    return torch.log(p) - torch.log(w * mis + (1 - w) * q)


@pytest.mark.parametrize("w", [0.0, *WEIGHTS])
def test_conditional_floor_is_the_jsd_of_separated_classes(w):
    right_and_wrong_pairs = torch.tensor([1.0, 0.0], dtype=torch.float64)
    called_fake = torch.tensor([1 - w, w], dtype=torch.float64)
    floor = Conditional(mismatch_weight=w).floor
    assert floor == pytest.approx(jsd(right_and_wrong_pairs, called_fake), abs=1e-12)


@pytest.mark.parametrize("base", ["minimax", "non_saturating"])
def test_conditional_d_at_a_perfect_generator_is_two_thirds(base):
    game = Conditional(base=base, mismatch_weight=0.5)
    d = 1 / (1 + 0.5)  # p / (p + (p_mis + p_G) / 2) where p_G = p and p_mis = 0
    logit = math.log(d / (1 - d))
    logits = Logits(
        real=torch.full((8,), logit, dtype=torch.float64),
        fake=torch.full((8,), logit, dtype=torch.float64),
        mismatched=torch.full(
            (8,), -200.0, dtype=torch.float64
        ),  # only wrong pairs lie here, so the best D is sure
    )
    loss = -math.log(d) - 0.5 * math.log(1 - d)
    estimate = game.estimate(logits)
    assert logit == pytest.approx(math.log(2), rel=1e-12)
    assert game.d_loss(logits).item() == pytest.approx(loss, rel=1e-12) == pytest.approx(0.9548, abs=5e-5)
    assert (
        estimate["game"]
        == pytest.approx(math.log(2) - loss / 2, rel=1e-12)
        == pytest.approx(game.floor, rel=1e-12)
    )
    assert game.floor == pytest.approx(0.2158, abs=5e-5)
    right_pairs_only = math.log(2) + (math.log(d) + math.log(1 - d)) / 2
    assert estimate["js"] == pytest.approx(right_pairs_only, rel=1e-12) == pytest.approx(-0.0589, abs=5e-5)


@pytest.mark.parametrize("w", [0.25, 0.5])
def test_conditional_best_d_estimates_the_jsd_to_the_mixture(w):
    # Letters stand in proportion to their probability, so that the loss's means are exact expectations.
    game, (p, mis) = Conditional(mismatch_weight=w), alphabet()
    q = torch.tensor([[30, 10, 10, 10, 20, 20], [5, 25, 20, 20, 20, 10]], dtype=torch.float64)
    table = optimum(p, mis, q, w).requires_grad_(True)
    logits = Logits(*(table.flatten().repeat_interleave(counts.flatten().long()) for counts in (p, q, mis)))
    (slope,) = torch.autograd.grad(game.d_loss(logits), table)
    truth = jsd(p.flatten() / 200, (w * mis + (1 - w) * q).flatten() / 200)
    assert slope.abs().max() < 1e-15
    estimate = game.estimate(Logits(logits.real.detach(), logits.fake.detach(), logits.mismatched.detach()))
    assert estimate["game"] == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("w", [0.1, 0.3, 0.5])  # above 0.54 a letter's best share would be negative
def test_the_best_generator_is_the_fixed_point_and_not_p(w):
    """q* = (p - w p_mis) / (1 - w), which is 2p - p_mis at w = 1/2."""
    game = Conditional(base="minimax", mismatch_weight=w)
    p, mis = (rows / 100 for rows in alphabet())
    weights = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)

    def value(q: Tensor) -> Tensor:
        """The game's estimate in nats under the best D, by the package's two elementwise terms."""
        logits = optimum(p, mis, q, w)
        loss = (p * game.on_real(logits) + (w * mis + (1 - w) * q) * game.on_fake(logits)).sum() / 2
        return math.log(2) - loss / 2

    descent = torch.optim.LBFGS(
        [weights], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=1e-13
    )

    def closure() -> Tensor:
        descent.zero_grad()
        loss = value(torch.softmax(weights, 1))
        loss.backward()
        return loss

    descent.step(closure)
    best = torch.softmax(weights, 1).detach()
    torch.testing.assert_close(best, (p - w * mis) / (1 - w), atol=1e-5, rtol=0)
    assert value(best).item() == pytest.approx(0, abs=1e-9)
    assert value(p).item() == pytest.approx(
        jsd(p.flatten() / 2, (w * mis + (1 - w) * p).flatten() / 2), abs=1e-12
    )
    # q* - p = (p - p_mis) w / (1 - w): as far as the classes are from each other, 0.20 here, in that proportion.
    assert 0.5 * (best - p).abs().sum(1)[0].item() == pytest.approx(0.20 * w / (1 - w), abs=1e-5)
    assert value(p).item() > 1e-4


@pytest.mark.parametrize("w", WEIGHTS)
def test_d_loss_is_the_weighted_sum_of_three_kinds_of_pairs(w):
    generator = torch.Generator().manual_seed(2)
    real, fake, wrong = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (6, 4, 6))
    terms = [
        sum(math.log1p(math.exp(sign * v)) for v in logits.tolist()) / len(logits)
        for sign, logits in ((-1, real), (1, fake), (1, wrong))
    ]
    loss = Conditional(mismatch_weight=w).d_loss(Logits(real, fake, wrong)).item()
    assert loss == pytest.approx(terms[0] + (1 - w) * terms[1] + w * terms[2], rel=1e-12)


@pytest.mark.parametrize("base", [Minimax(), NonSaturating()], ids=lambda game: game.name)
def test_weight_0_is_the_base_game(base):
    game = Conditional(base=base.name, mismatch_weight=0.0)
    real, fake = torch.randn(2, 9, generator=torch.Generator().manual_seed(3))
    logits = Logits(real, fake)
    assert torch.equal(game.d_loss(logits), base.d_loss(logits))
    assert torch.equal(game.g_loss(fake), base.g_loss(fake))
    assert game.estimate(logits) == base.estimate(logits)
    assert game.chance == base.chance
    assert game.floor == 0


def test_js_is_read_from_right_pairs_whatever_the_wrong_ones_say():
    game = Conditional()
    real, fake = torch.randn(2, 50, generator=torch.Generator().manual_seed(4))
    alone = NonSaturating().estimate(Logits(real, fake))
    for wrong in (-50.0, 0.0, 50.0):
        estimate = game.estimate(Logits(real, fake, torch.full((50,), wrong)))
        assert {tag: estimate[tag] for tag in alone} == alone


@pytest.mark.parametrize("base", ["conditional", "relativstic", ""])
def test_a_base_that_cannot_be_played_is_refused_by_its_key(base):
    with pytest.raises(ConfigError, match=r"^objective\.base: "):
        Conditional(base=base)
