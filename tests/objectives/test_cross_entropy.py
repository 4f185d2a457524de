"""The original game: closed forms, the bound at the optimal D, and what each generator loss descends."""

import math

import pytest
import torch
from torch import Tensor

from gantrain.objectives.base import Logits
from gantrain.objectives.cross_entropy import CrossEntropy, Minimax, NonSaturating

GAMES = [Minimax(), NonSaturating()]
NAMES = ["minimax", "non_saturating"]
each_game = pytest.mark.parametrize("game", GAMES, ids=NAMES)

# Pairs (mean, sd) of p and q: shifts of 0, 1, 2, 4, and unequal variances.
PAIRS = [
    ((0, 1), (0, 1)),
    ((0, 1), (1, 1)),
    ((0, 1), (2, 1)),
    ((0, 1), (4, 1)),
    ((0, 1), (0, 2)),
    ((1, 0.5), (-1, 2)),
]
NODES = 200_000


def quantiles(n: int = NODES) -> Tensor:
    """Midpoint quantiles of N(0, 1): equal weights, so a mean over them is a quadrature, float64."""
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return math.sqrt(2) * torch.erfinv(2 * u - 1)


def log_normal(x: Tensor, mean: float | Tensor, sd: float) -> Tensor:
    return -0.5 * ((x - mean) / sd) ** 2 - math.log(sd * math.sqrt(2 * math.pi))


def divergences(p: tuple, q: tuple) -> tuple[Tensor, Tensor]:
    """KL(q || p) and JSD(p, q) in nats by the trapezoid rule; differentiable in the parameters."""
    x = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    log_p, log_q = log_normal(x, *p), log_normal(x, *q)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    kl = torch.trapezoid(log_q.exp() * (log_q - log_p), x)
    jsd = 0.5 * torch.trapezoid(log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m), x)
    return kl, jsd


@each_game
def test_cross_entropy_terms_are_minus_log_sigmoid(game):
    for value in (-19.0, -3.0, -0.5, 0.0, 0.25, 2.0, 19.0):
        logit = torch.tensor([value], dtype=torch.float64)
        real, fake = math.log1p(math.exp(-value)), math.log1p(math.exp(value))
        assert game.on_real(logit).item() == pytest.approx(real, rel=1e-12)
        assert game.on_fake(logit).item() == pytest.approx(fake, rel=1e-12)


@each_game
def test_d_loss_is_the_binary_cross_entropy_of_both_kinds(game):
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, generator=generator, dtype=torch.float64) * 3 for n in (7, 5))
    by_hand = -sum(math.log(1 / (1 + math.exp(-r))) for r in real.tolist()) / 7
    by_hand -= sum(math.log(1 - 1 / (1 + math.exp(-f))) for f in fake.tolist()) / 5
    assert game.d_loss(Logits(real, fake)).item() == pytest.approx(by_hand, rel=1e-12)


def test_generator_losses_are_cross_entropies_of_fakes():
    fake = torch.tensor([-4.0, 0.0, 1.5], dtype=torch.float64)
    d = [1 / (1 + math.exp(-v)) for v in fake.tolist()]
    assert Minimax().g_loss(fake).item() == pytest.approx(sum(math.log(1 - p) for p in d) / 3, rel=1e-12)
    assert NonSaturating().g_loss(fake).item() == pytest.approx(-sum(math.log(p) for p in d) / 3, rel=1e-12)


@each_game
def test_gradients_of_d_are_finite_where_the_sigmoid_is_0_or_1(game):
    real = torch.tensor([-100.0, 0.0, 100.0], requires_grad=True)
    fake = torch.tensor([-100.0, 0.0, 100.0], requires_grad=True)
    loss = game.d_loss(Logits(real, fake))
    loss.backward()
    assert loss.item() == pytest.approx(2 * (100 + math.log(2)) / 3, rel=1e-6)
    torch.testing.assert_close(real.grad * 3, torch.tensor([-1.0, -0.5, 0.0]))
    torch.testing.assert_close(fake.grad * 3, torch.tensor([0.0, 0.5, 1.0]))


@pytest.mark.parametrize("logit", [-100.0, -30.0, -20.0, -5.0, 0.0, 5.0, 15.0])
def test_minimax_gradient_vanishes_where_d_is_confident(logit):
    fake = torch.tensor([logit], requires_grad=True)
    Minimax().g_loss(fake).backward()
    assert fake.grad.item() == pytest.approx(-1 / (1 + math.exp(-logit)), rel=1e-5, abs=1e-42)


@pytest.mark.parametrize("logit", [-100.0, -30.0, -20.0, -5.0, 0.0, 5.0, 15.0])
def test_non_saturating_gradient_is_1_where_d_is_confident(logit):
    # -log(sigmoid(l) + 1e-8) would give -0.17 at -20 and about -1e-5 at -30: saturating by another name.
    fake = torch.tensor([logit], requires_grad=True)
    NonSaturating().g_loss(fake).backward()
    assert fake.grad.item() == pytest.approx(-1 / (1 + math.exp(logit)), rel=1e-5, abs=1e-42)


@each_game
def test_estimate_is_log_2_minus_half_the_loss_and_never_clipped(game):
    for shift in (-3.0, -0.1, 0.0, 0.4, 6.0):
        logits = Logits(
            torch.tensor([shift, 2 * shift]).double(), torch.tensor([-shift, -shift, 0.5]).double()
        )
        estimate = game.estimate(logits)["js"]
        assert estimate == pytest.approx(math.log(2) - game.d_loss(logits).item() / 2, abs=1e-14)
    wrong_way_round = Logits(torch.full((4,), -3.0), torch.full((4,), 3.0))
    assert game.estimate(wrong_way_round)["js"] == pytest.approx(
        math.log(2) - math.log1p(math.exp(3)), rel=1e-6
    )


@each_game
@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_estimate_at_the_optimal_d_is_the_jsd(game, p, q):
    z = quantiles()
    real, fake = p[0] + p[1] * z, q[0] + q[1] * z
    logits = Logits(*(log_normal(x, *p) - log_normal(x, *q) for x in (real, fake)))
    jsd = divergences(p, q)[1].item()
    assert game.estimate(logits)["js"] == pytest.approx(jsd, abs=2e-5)
    assert -game.d_loss(logits).item() == pytest.approx(2 * jsd - 2 * math.log(2), abs=4e-5)


def test_quadrature_of_the_jsd_gives_the_published_values():
    published = {0: 0.0, 1: 0.111421, 2: 0.336831, 4: 0.632720}
    for d, value in published.items():
        assert divergences((0, 1), (d, 1))[1].item() == pytest.approx(value, abs=1e-6)


@each_game
@pytest.mark.parametrize(
    ("scale", "shift"), [(0.5, 0.0), (2.0, 0.0), (1.0, 1.0), (1.0, -1.0), (0.0, 0.0), (-1.0, 0.0)]
)
def test_any_other_d_gives_a_lower_bound(game, scale, shift):
    z = quantiles(20_000)
    logits = Logits(*(scale * (0.5 - x) + shift for x in (z, 1 + z)))
    assert game.estimate(logits)["js"] < divergences((0, 1), (1, 1))[1].item() - 0.005


@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0, 4.0])
def test_generator_gradients_at_the_optimal_d(theta):
    """Arjovsky and Bottou 2017, thm. 2.5: minimax descends 2 JSD, non-saturating KL(q, p) - 2 JSD."""
    mean = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    kl, jsd = divergences((0, 1), (mean, 1))
    (d_kl,) = torch.autograd.grad(kl, mean, retain_graph=True)
    (d_jsd,) = torch.autograd.grad(jsd, mean)

    def gradient(game: CrossEntropy) -> float:
        at = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        x = at + quantiles()
        logits = theta**2 / 2 - theta * x  # log p - log q of the D that stands still while G moves
        (slope,) = torch.autograd.grad(game.g_loss(logits), at)
        return slope.item()

    assert d_kl.item() == pytest.approx(theta, rel=1e-9)
    assert gradient(Minimax()) == pytest.approx(2 * d_jsd.item(), abs=1e-5)
    assert gradient(NonSaturating()) == pytest.approx((d_kl - 2 * d_jsd).item(), abs=1e-5)


@pytest.mark.parametrize("n", [50, 400])
def test_standard_error_is_the_spread_of_repeated_readings(n):
    game, repeats, generator = Minimax(), 3000, torch.Generator().manual_seed(1)
    real = 2 - 2 * torch.randn(repeats, n, generator=generator)
    fake = 2 - 2 * (2 + torch.randn(repeats, 2 * n, generator=generator))
    readings = [game.estimate(Logits(r, f)) for r, f in zip(real, fake, strict=True)]
    spread = torch.tensor([reading["js"] for reading in readings]).std().item()
    said = torch.tensor([reading["js"].error for reading in readings]).square().mean().sqrt().item()
    assert said == pytest.approx(spread, rel=0.06)  # the spread of 3,000 readings is itself known to 1.3 %


def test_standard_error_by_hand():
    logits = Logits(torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([-1.0, 3.0]).double())
    real = [math.log1p(math.exp(-v)) for v in (0, 1, 2)]
    fake = [math.log1p(math.exp(v)) for v in (-1, 3)]

    def variance_of_mean(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)

    expected = 0.5 * math.sqrt(variance_of_mean(real) + variance_of_mean(fake))
    assert NonSaturating().estimate(logits)["js"].error == pytest.approx(expected, rel=1e-12)
