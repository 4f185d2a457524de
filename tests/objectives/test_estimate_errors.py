"""The errors of D's estimates hold what they promise, or the estimate says that they do not: known pairs, best D's."""

import math
from collections.abc import Callable

import pytest
import torch
from coverage import coverage
from torch import Tensor

from gantrain.objectives.base import Logits, Separable
from gantrain.objectives.conditional import Conditional
from gantrain.objectives.cross_entropy import NonSaturating
from gantrain.objectives.divergences import ROWS
from gantrain.objectives.fgan import FGAN
from gantrain.objectives.hinge import Hinge
from gantrain.objectives.least_squares import LeastSquares
from gantrain.objectives.relativistic import Relativistic

Mixture = list[tuple[float, float, float]]  # weight, mean, standard deviation of each part


def modes(std: float, *weights: float) -> Mixture:
    return [(weight, 4.0 * i, std) for i, weight in enumerate(weights)]


# Data and samples. ``circle`` has eight modes as the ring, on a line, and its reverse KL an infinite variance.
PAIRS: dict[str, tuple[Mixture, Mixture]] = {
    "shift 1": ([(1, 0, 1)], [(1, 1, 1)]),
    "shift 2": ([(1, 0, 1)], [(1, 2, 1)]),
    "shift 4": ([(1, 0, 1)], [(1, 4, 1)]),
    "scale 1.2": ([(1, 0, 1)], [(1, 0, 1.2)]),
    "scale 2": ([(1, 0, 1)], [(1, 0, 2)]),
    "circle": (modes(0.1, *[1 / 8] * 8), modes(0.2, *[1 / 8] * 8)),
    "a mode nearly lost": (modes(0.1, *[1 / 8] * 8), modes(0.1, *[0.98 / 7] * 7, 0.02)),
}
# The logit of the best D from log p/q, where it is another function.
BEST: dict[str, Callable[[Tensor], Tensor]] = {
    "jeffrey": lambda u: 1 + u - torch.exp(-u),
    "pearson": lambda u: 2 * torch.expm1(u),
    "neyman": lambda u: 2 * u,
    "squared_hellinger": lambda u: u / 2,
    "total_variation": lambda u: 20 * u.sign(),
    "hinge": torch.sign,
    "triangular": lambda u: torch.tanh(u / 2) / 2,
}
GAMES: dict[str, Separable] = {name: FGAN(divergence=name) for name in (*ROWS, "js_weighted")}
GAMES |= {"hinge": Hinge(), "triangular": LeastSquares()}
# Always right for shifts: bounded terms, or those of a logarithm.
LIGHT = ("js", "js_weighted", "total_variation", "hinge", "triangular", "squared_hellinger")


def log_density(x: Tensor, parts: Mixture) -> Tensor:
    terms = [math.log(w / s) - 0.5 * math.log(2 * math.pi) - ((x - m) / s) ** 2 / 2 for w, m, s in parts]
    return torch.logsumexp(torch.stack(terms), 0)


def samples(parts: Mixture, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    weights, means, stds = torch.tensor(parts, dtype=torch.float64).T
    part = torch.multinomial(weights, math.prod(shape), True, generator=generator).view(shape)
    return means[part] + stds[part] * torch.randn(shape, generator=generator, dtype=torch.float64)


def best_logits(name: str, x: Tensor, pair: tuple[Mixture, Mixture]) -> Tensor:
    return BEST.get(name, lambda u: u)(log_density(x, pair[0]) - log_density(x, pair[1]))


def truth(name: str, pair: tuple[Mixture, Mixture]) -> float:
    """Return the bound at the best D by a sum over a fine grid."""
    if name == "jeffrey":  # whose terms overflow where both densities are 0
        return truth("kl", pair) + truth("reverse_kl", pair)
    game, x = GAMES[name], torch.linspace(-20, 50, 700_001, dtype=torch.float64)
    v, log_p, log_q = best_logits(name, x, pair), log_density(x, pair[0]), log_density(x, pair[1])
    terms = [
        torch.where(log.exp() < 1e-290, 0.0, log.exp() * loss)
        for log, loss in ((log_p, game.on_real(v)), (log_q, game.on_fake(v)))
    ]
    return game.offset - game.slope * 1e-4 * float(sum(terms).sum())


def readings(name: str, pair: tuple[Mixture, Mixture], n: int, repetitions: int, quantity: str = ""):
    """Return the coverage of an estimate at the best D, and the truth."""
    generator = torch.Generator().manual_seed(n)
    logits = [best_logits(name, samples(parts, (repetitions, n), generator), pair).float() for parts in pair]
    rows, game, known = iter(zip(*logits, strict=True)), GAMES[name], truth(name, pair)
    return coverage(
        lambda _: game.estimate(Logits(*next(rows)))[quantity or game.quantity], known, repetitions
    )


@pytest.mark.parametrize("name", LIGHT)
def test_errors_of_light_tails_hold_and_have_no_caveat(name):
    found = readings(name, PAIRS["shift 2"], 1000, 300)
    assert found.is_honest, found
    assert found.caveat < 0.15


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "jeffrey", "pearson", "neyman"])
def test_errors_of_heavy_tails_have_a_caveat(name):
    found = readings(name, PAIRS["shift 2"], 1000, 200)
    assert found.caveat > 0.7, found
    assert found.silent < 0.1


def paired_logits(n: int, generator: torch.Generator) -> Logits:
    """Logits of a D whose offset depends on a label that data, samples and wrong pairs share."""
    offset = 3 * torch.randint(-1, 2, (n,), generator=generator)
    real, fake, wrong = (shift - offset + torch.randn(n, generator=generator) for shift in (1.0, -1.0, -2.0))
    return Logits(real, fake + 2 * offset, wrong)


@pytest.mark.parametrize(
    ("game", "quantity"), [(Conditional(), "js"), (Conditional(), "game"), (Relativistic(), "game")]
)
def test_errors_of_pairs_that_share_a_condition_hold(game, quantity):
    known = game.estimate(paired_logits(2_000_000, torch.Generator().manual_seed(9)))[quantity]
    found = coverage(lambda generator: game.estimate(paired_logits(300, generator))[quantity], known, 400)
    assert found.is_honest, found
    assert found.ratio == pytest.approx(1, rel=0.12)
    assert found.caveat < 0.05


@pytest.mark.parametrize(("batches", "has_caveat"), [(40, False), (4, True)])
def test_errors_of_a_d_that_looks_across_batches_hold(batches, has_caveat):
    def reading(generator: torch.Generator, batches: int = batches):
        shared = torch.randn(2, batches, 1, generator=generator)
        rows = (
            shared
            + torch.randn(2, batches, 16, generator=generator)
            + torch.tensor([1.0, -1.0])[:, None, None]
        )
        return NonSaturating().estimate(Logits(*rows.flatten(1), group=16))["js"]

    found = coverage(reading, reading(torch.Generator().manual_seed(9), 100_000), 400)
    assert found.is_honest, found
    assert (found.caveat > 0.5) == has_caveat
    assert reading(torch.Generator(), 40).n == 40


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000, 10_000])
@pytest.mark.parametrize("pair", PAIRS)
def test_errors_hold_or_have_a_caveat(pair, n):
    wrong = {}
    for name in GAMES:
        found = readings(name, PAIRS[pair], n, {300: 800, 1000: 600, 10_000: 300}[n])
        print(
            f"{pair:18} {n:6} {name:18} {found.holds:.3f} {found.caveat:.2f} {found.silent:.3f} {found.above:.3f}"
        )
        # The limit: in 300 terms a tail of k = 3/4 hides behind Jeffrey's linear part (0.917 hold, 35 % have a caveat).
        # Readings that miss are those whose samples show no tail: with 0.39 for 0.42 as the doubtful shape, 41 % have a
        # caveat and of the others 0.898 hold instead of 0.906; with 0.35 it is 50 % and 0.888.
        is_hidden = name == "jeffrey" and n == 300 and pair in ("circle", "scale 2")
        if not found.is_honest and not (is_hidden and found.holds > 0.9 and found.caveat > 0.3):
            wrong[name] = found
    assert not wrong
