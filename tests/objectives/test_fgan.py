"""The f-GAN family against its definitions: conjugates, bounds at the best T, truth by quadrature, and known errors.

``PAPER`` holds the rows as they are printed (f, f*, g, T*), with g's logit shifted so that g(0) = f'(1); the package
holds on_real = -g and on_fake = f*(g) composed by hand. Nothing below is shared between the two.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lambertw
from torch import Tensor

from gantrain.errors import ConfigError
from gantrain.noise import Noise
from gantrain.objectives.base import Logits, Targets
from gantrain.objectives.conditional import Conditional
from gantrain.objectives.cross_entropy import Minimax, NonSaturating
from gantrain.objectives.divergences import NAMES, log_ratio
from gantrain.objectives.fgan import FGAN
from gantrain.registry import build

INF = math.inf


@dataclasses.dataclass
class Row:
    """A row as printed.

    Attributes:
        f: The convex function of u = p/q.
        slope: T* = f'(u), also of u as a function of log u where that is where numbers live.
        conjugate: f*(t).
        domain: Where f* is finite.
        g: The activation.
        best: g's inverse at f'(u), as a function of log u.
        other: h with E -T on fakes at the best T having the gradient of int p h(q/p), as a function of w = q/p.
    """

    f: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]
    domain: tuple[float, float]
    g: Callable[[Tensor], Tensor]
    best: Callable[[Tensor], Tensor]
    other: Callable[[Tensor], Tensor]


def lambert(x: Tensor) -> Tensor:
    return torch.as_tensor(lambertw(x.numpy()).real)


def jeffrey(t: Tensor) -> Tensor:
    w = lambert(torch.exp(1 - t))
    return w + 1 / w + t - 2


def weighted(pi: float) -> Row:
    def mixed(u: Tensor) -> Tensor:
        return 1 - pi + pi * u

    return Row(
        f=lambda u: pi * torch.xlogy(u, u) - mixed(u) * mixed(u).log(),
        slope=lambda u: pi * (u / mixed(u)).log(),
        conjugate=lambda t: (1 - pi) * torch.log((1 - pi) / (1 - pi * torch.exp(t / pi))),
        domain=(-INF, -pi * math.log(pi)),
        g=lambda v: pi * torch.log(v.exp() / mixed(v.exp())),
        best=lambda log_u: log_u,
        other=lambda w: pi / (1 - pi) * ((1 - pi) * w + pi) * ((1 - pi) * w + pi).log(),
    )


def alpha(a: float) -> Row:
    b = 2 - a
    return Row(
        f=lambda u: (u**a - 1 - a * (u - 1)) / (a * (a - 1)),
        slope=lambda u: (u ** (a - 1) - 1) / (a - 1),
        conjugate=lambda t: ((t * (a - 1) + 1) ** (a / (a - 1)) - 1) / a,
        domain=(-INF, 1 / (1 - a)) if a < 1 else (-1 / (a - 1), INF),
        g=lambda v: (v.exp() ** (a - 1) - 1) / (a - 1),
        best=lambda log_u: log_u,
        other=lambda w: (w**b - 1 - b * (w - 1)) / (b * (b - 1)) if b else -w.log(),
    )


def goodfellow(w: Tensor) -> Tensor:
    return (1 + w) * torch.log1p(w) - w


PAPER = {
    "gan": Row(
        f=lambda u: torch.xlogy(u, u) - (u + 1) * torch.log1p(u),
        slope=lambda u: torch.log(u / (1 + u)),
        conjugate=lambda t: -torch.log(1 - torch.exp(t)),
        domain=(-INF, 0),
        g=lambda v: -torch.log(1 + torch.exp(-v)),
        best=lambda log_u: log_u,
        other=goodfellow,
    ),
    "js": Row(
        f=lambda u: -(u + 1) * torch.log((1 + u) / 2) + torch.xlogy(u, u),
        slope=lambda u: torch.log(2 * u / (1 + u)),
        conjugate=lambda t: -torch.log(2 - torch.exp(t)),
        domain=(-INF, math.log(2)),
        g=lambda v: math.log(2) - torch.log(1 + torch.exp(-v)),
        best=lambda log_u: log_u,
        other=goodfellow,
    ),
    "kl": Row(
        f=lambda u: torch.xlogy(u, u),
        slope=lambda u: 1 + torch.log(u),
        conjugate=lambda t: torch.exp(t - 1),
        domain=(-INF, INF),
        g=lambda v: v + 1,
        best=lambda log_u: log_u,
        other=lambda w: w * w.log(),
    ),
    "reverse_kl": Row(
        f=lambda u: -torch.log(u),
        slope=lambda u: -1 / u,
        conjugate=lambda t: -1 - torch.log(-t),
        domain=(-INF, 0),
        g=lambda v: -torch.exp(-v),
        best=lambda log_u: log_u,
        other=lambda w: w**2 / 2,
    ),
    "jeffrey": Row(
        f=lambda u: (u - 1) * torch.log(u),
        slope=lambda u: 1 + torch.log(u) - 1 / u,
        conjugate=jeffrey,
        domain=(-INF, INF),
        g=lambda v: v,
        best=lambda log_u: 1 + log_u - torch.exp(-log_u),
        other=lambda w: w * w.log() + w**2 / 2,
    ),
    "pearson": Row(
        f=lambda u: (u - 1) ** 2,
        slope=lambda u: 2 * (u - 1),
        conjugate=lambda t: torch.where(t < -2, -1.0, t**2 / 4 + t),
        domain=(-INF, INF),
        g=lambda v: v,
        best=lambda log_u: 2 * torch.expm1(log_u),
        other=lambda w: -2 * w.log(),
    ),
    "neyman": Row(
        f=lambda u: (1 - u) ** 2 / u,
        slope=lambda u: 1 - 1 / u**2,
        conjugate=lambda t: 2 - 2 * torch.sqrt(1 - t),
        domain=(-INF, 1),
        g=lambda v: 1 - torch.exp(-v),
        best=lambda log_u: 2 * log_u,
        other=lambda w: w**3 / 3,
    ),
    "squared_hellinger": Row(
        f=lambda u: (torch.sqrt(u) - 1) ** 2,
        slope=lambda u: (torch.sqrt(u) - 1) / torch.sqrt(u),
        conjugate=lambda t: t / (1 - t),
        domain=(-INF, 1),
        g=lambda v: 1 - torch.exp(-v),
        best=lambda log_u: log_u / 2,
        other=lambda w: w**1.5 * 2 / 3,
    ),
    "total_variation": Row(
        f=lambda u: (u - 1).abs() / 2,
        slope=lambda u: torch.sign(u - 1) / 2,
        conjugate=lambda t: t,
        domain=(-0.5, 0.5),
        g=lambda v: torch.tanh(v) / 2,
        best=lambda log_u: 20 * torch.sign(log_u),
        other=lambda w: (w - 1).abs() / 2,
    ),
}
CASES: dict[str, tuple[FGAN, Row]] = {name: (FGAN(divergence=name), row) for name, row in PAPER.items()}
for weight in (0.1, 0.25, 0.5, 0.9):
    CASES[f"js_weighted {weight}"] = FGAN(divergence="js_weighted", pi=weight), weighted(weight)
for order in (-1.0, -0.5, 0.3, 0.5, 0.9, 1.5, 2.0):
    CASES[f"alpha {order}"] = FGAN(divergence="alpha", alpha=order), alpha(order)
each_row = pytest.mark.parametrize(("game", "row"), CASES.values(), ids=CASES.keys())
EVERY = {
    **CASES,
    "alpha 0": (FGAN(divergence="alpha", alpha=0.0),),
    "alpha 1": (FGAN(divergence="alpha", alpha=1.0),),
}
every_game = pytest.mark.parametrize("game", [case[0] for case in EVERY.values()], ids=EVERY.keys())


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def line(start: float, stop: float, n: int) -> Tensor:
    return torch.linspace(start, stop, n, dtype=torch.float64)


def moderate(row: Row) -> Tensor:
    """Logits at which the paper's step-by-step f*(g(v)) neither overflows nor leaves the open domain."""
    v = line(-8, 8, 161)
    t = row.g(v)
    return v[(t > row.domain[0] + 1e-9) & (t < row.domain[1] - 1e-4)]


# --------------------------------------------------------------------------------------- the table itself


def test_every_divergence_that_can_be_chosen_is_tested_here():
    assert {game.divergence for game, *_ in EVERY.values()} == set(NAMES)


@each_row
def test_the_conjugate_is_the_supremum_of_ut_less_f(game, row):
    """On a grid of u that is dense near 0 and reaches past the best u of every t."""
    u = torch.exp(line(-18, 18, 200_001))
    for t in row.g(line(-3, 3, 25)):
        if row.domain[0] < t < row.domain[1]:
            sup = (u * t - row.f(u)).max()
            assert row.conjugate(t.reshape(1)).item() == pytest.approx(sup.item(), rel=1e-6, abs=1e-6)


@each_row
def test_the_composed_terms_are_those_of_the_paper_step_by_step(game, row):
    v = moderate(row)
    assert len(v) > 60
    torch.testing.assert_close(game.on_real(v), -row.g(v), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(game.on_fake(v), row.conjugate(row.g(v)), rtol=1e-9, atol=1e-9)


@each_row
def test_fgan_logit_0_is_p_equal_to_q(game, row):
    at_1 = row.slope(doubles(1.0)).item()
    assert -game.on_real(doubles(0.0)).item() == pytest.approx(at_1, abs=1e-12)
    assert game.on_fake(doubles(0.0)).item() == pytest.approx(at_1 - row.f(doubles(1.0)).item(), abs=1e-12)
    assert at_1 == pytest.approx(
        {"kl": 1.0, "reverse_kl": -1.0, "gan": -math.log(2)}.get(game.divergence, 0.0)
    )
    u = torch.exp(line(-4, 4, 40))
    torch.testing.assert_close(-game.on_real(row.best(u.log())), row.slope(u), rtol=1e-9, atol=1e-9)


@each_row
def test_t_is_the_slope_of_f_by_differentiation(game, row):
    u = torch.exp(line(-3, 3, 20)).requires_grad_(True)
    (slope,) = torch.autograd.grad(row.f(u).sum(), u)
    torch.testing.assert_close(slope, row.slope(u.detach()), rtol=1e-9, atol=1e-12)


@each_row
def test_fgan_every_t_of_the_domain_can_be_reached(game, row):
    """A sigmoid at the end of D, or a wrong activation, cuts the domain; some public f-GANs have one."""
    low, high = (-game.on_real(doubles(v)).item() for v in (-700.0, 700.0))
    for reached, end in ((low, row.domain[0]), (high, row.domain[1])):
        assert abs(reached) > 50 if math.isinf(end) else reached == pytest.approx(end, abs=1e-6)
    best = -game.on_real(row.best(line(-8, 8, 17)))
    assert ((best >= row.domain[0]) & (best <= row.domain[1])).all()


@every_game
def test_both_terms_are_monotone_so_positive_means_real(game):
    v = line(-40, 40, 4001)
    assert (game.on_real(v).diff() <= 0).all()
    assert (game.on_fake(v).diff() >= 0).all()
    near = line(-1.5, 1.5, 301)
    assert (game.on_real(near).diff() < 0).all()
    assert (game.on_fake(near).diff() > 0).all()


@every_game
def test_fgan_loss_on_fakes_rises_by_u_where_data_falls_by_1(game):
    """(f*)'(T) = u, the density ratio that the logit claims: 1 at 0, and for classifiers exp(v)."""
    v = line(-1.9, 8, 100).requires_grad_(True)
    (fake,) = torch.autograd.grad(game.on_fake(v).sum(), v)
    (real,) = torch.autograd.grad(game.on_real(v).sum(), v)
    u = -(fake / real).detach()
    if game.divergence == "total_variation":
        assert torch.equal(u, torch.ones_like(u))
    else:
        assert (u.diff() > 0).all()
    if game.classifies:
        torch.testing.assert_close(u, v.detach().exp(), rtol=1e-6, atol=0)


@each_row
def test_fgan_classifies_iff_its_best_logit_is_log_p_over_q(game, row):
    log_u = line(-3, 3, 12)
    best = row.best(log_u)
    assert game.classifies == bool(torch.allclose(best, log_u))


# ------------------------------------------------------------------------------------------ numerics


@every_game
def test_fgan_float32_equals_float64_for_logits_up_to_40(game):
    v = torch.linspace(-40, 40, 3201)
    for term in (game.on_real, game.on_fake):
        short, long = v.clone().requires_grad_(True), v.double().requires_grad_(True)
        a, b = term(short), term(long)
        (da,) = torch.autograd.grad(a.sum(), short)
        (db,) = torch.autograd.grad(b.sum(), long)
        assert torch.isfinite(a).all()
        assert torch.isfinite(da).all()
        torch.testing.assert_close(a, b.float(), rtol=3e-5, atol=1e-6)
        torch.testing.assert_close(da, db.float(), rtol=3e-5, atol=1e-7)


@every_game
@pytest.mark.parametrize("generator", ["saturating", "non_saturating"])
def test_fgan_gradients_are_finite_for_logits_up_to_40(game, generator):
    game = dataclasses.replace(game, generator=generator)
    rows = [torch.linspace(-40, 40, 1024).requires_grad_(True) for _ in range(2)]
    losses = [game.d_loss(Logits(*rows)), game.g_loss(rows[1])]
    found = [*torch.autograd.grad(losses[0], rows), *torch.autograd.grad(losses[1], rows[1])]
    assert all(torch.isfinite(value).all() for value in [*losses, *found])


@every_game
def test_first_and_second_derivatives_are_those_of_the_terms(game):
    v = doubles(-7.3, -2.6, -1.1, -0.2, 0.0, 0.4, 1.7, 5.2).requires_grad_(True)  # Pearson's kink is at -2
    for term in (game.on_real, game.on_fake):
        assert torch.autograd.gradcheck(term, v)
        assert torch.autograd.gradgradcheck(term, v)


def test_jeffrey_solves_lamberts_w_beyond_overflow():
    v = torch.cat(
        [-torch.logspace(8, -6, 400, dtype=torch.float64), torch.logspace(-6, 8, 400, dtype=torch.float64)]
    )
    u = log_ratio(v)
    torch.testing.assert_close(1 + u - torch.exp(-u), v, rtol=1e-13, atol=1e-14)
    some = line(-600, 600, 241)
    torch.testing.assert_close(torch.exp(-log_ratio(some)), lambert(torch.exp(1 - some)), rtol=1e-11, atol=0)
    at = torch.tensor([-1000.0, 1000.0])  # exp(1 - t) is no number of single or double precision at -1000
    assert torch.isfinite(log_ratio(at)).all()


def test_jeffrey_at_its_best_is_r_plus_log_r_less_1():
    log_r = line(-30, 30, 121)
    best = 1 + log_r - torch.exp(-log_r)
    torch.testing.assert_close(log_ratio(best), log_r, rtol=0, atol=1e-11)
    expected = torch.exp(log_r) + log_r - 1
    torch.testing.assert_close(FGAN(divergence="jeffrey").on_fake(best), expected, rtol=1e-10, atol=1e-10)


def test_jeffrey_second_derivative_reaches_the_input_of_d():
    x = doubles(-3.0, 0.5, 2.0).requires_grad_(True)
    weight = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)

    def penalty(weight: Tensor) -> Tensor:
        loss = FGAN(divergence="jeffrey").on_fake(weight * x)
        (slope,) = torch.autograd.grad(loss.sum(), x, create_graph=True)
        return slope.square().sum()

    (found,) = torch.autograd.grad(penalty(weight), weight)
    h = 1e-6
    by_difference = (penalty(weight + h) - penalty(weight - h)) / (2 * h)
    assert found.item() == pytest.approx(by_difference.item(), rel=1e-7)


# ------------------------------------------------------------------------------- the bound and the truth

PAIRS = [  # (mean, sd) of p and q
    ((0, 1), (0, 1)),
    ((0, 1), (0.5, 1.3)),
    ((0, 1), (1, 1)),
    ((0, 1), (2, 1)),
    ((0, 1), (4, 1)),
    ((0, 1), (0, 2)),
    ((1, 0.5), (-1, 2)),
]
X = line(-30, 30, 120_001)


@functools.cache
def on_line(mean: float, sd: float) -> Tensor:
    """Return the log density on X."""
    return log_normal(X, mean, sd)


def log_normal(x: Tensor, mean: float | Tensor, sd: float | Tensor) -> Tensor:
    return -0.5 * ((x - mean) / sd) ** 2 - math.log(math.sqrt(2 * math.pi)) - torch.log(torch.as_tensor(sd))


def integral(values: Tensor) -> Tensor:
    return torch.trapezoid(values.nan_to_num(nan=0.0), X)


def bounded(game: FGAN, p: tuple, q: tuple, v: Tensor) -> float:
    """Return the game's estimate for a D of logits ``v`` on X, its two expectations by quadrature."""
    log_p, log_q = on_line(*p), on_line(*q)
    loss = integral(log_p.exp() * game.on_real(v)) + integral(log_q.exp() * game.on_fake(v))
    return game.bound(loss)


def best_logits(row: Row, p: tuple, q: tuple, limit: float = 600.0) -> Tensor:
    return row.best((on_line(*p) - on_line(*q)).clamp(-limit, limit))


def exists(game: FGAN, p: tuple, q: tuple) -> bool:
    """Whether int p^a q^(1 - a), the largest term, is finite: a = 2 for Pearson's, -1 for Neyman's."""
    order = {"pearson": 2, "neyman": -1, "alpha": game.alpha}.get(game.divergence, 0.5)
    return order / p[1] ** 2 + (1 - order) / q[1] ** 2 > 0


def truth(game: FGAN, p: tuple, q: tuple) -> float:
    """Return the divergence by quadrature from its own integral, not from f."""
    log_p, log_q = on_line(*p), on_line(*q)
    pi = game.pi if game.divergence == "js_weighted" else 0.5
    log_m = torch.logaddexp(log_p + math.log(pi), log_q + math.log1p(-pi))
    a, b = log_p.exp(), log_q.exp()
    mixed = pi * a * (log_p - log_m) + (1 - pi) * b * (log_q - log_m)
    order = game.alpha
    power = torch.exp(order * log_p + (1 - order) * log_q)
    by_name = {
        "gan": mixed,
        "js": mixed,
        "js_weighted": mixed,
        "kl": a * (log_p - log_q),
        "reverse_kl": b * (log_q - log_p),
        "jeffrey": (a - b) * (log_p - log_q),
        "pearson": torch.exp(2 * log_p - log_q) - 2 * a + b,
        "neyman": torch.exp(2 * log_q - log_p) - 2 * b + a,
        "squared_hellinger": (torch.exp(log_p / 2) - torch.exp(log_q / 2)) ** 2,
        "total_variation": (a - b).abs() / 2,
        "alpha": (power - order * a - (1 - order) * b) / (order * (order - 1)),
    }
    return integral(by_name[game.divergence]).item()


@each_row
@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_at_the_best_t_the_bound_is_the_divergence(game, row, p, q):
    if exists(game, p, q):
        expected = truth(game, p, q)
        assert bounded(game, p, q, best_logits(row, p, q)) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    else:  # any number is a lower bound of infinity, and D can reach any
        assert bounded(game, p, q, best_logits(row, p, q, limit=60.0)) > 20


TABLE = {  # of pairs N(0, 1) and N(1, 1), N(2, 1), N(4, 1), N(0, 2^2), and N(1, .5^2) and N(-1, 2^2), to 6 digits
    "kl": (0.5, 2, 8, 0.318147, 1.417544),
    "reverse_kl": (0.5, 2, 8, 0.806853, 14.113706),
    "jeffrey": (1, 4, 16, 1.125, 15.53125),
    "js": (0.111421, 0.336831, 0.632720, 0.092733, 0.362158),
    "gan": (0.111421, 0.336831, 0.632720, 0.092733, 0.362158),
    "total_variation": (0.382925, 0.682689, 0.954500, 0.322675, 0.719964),
    "squared_hellinger": (0.235006, 0.786939, 1.729329, 0.211146, 0.915665),
    "pearson": (math.e - 1, math.exp(4) - 1, math.exp(16) - 1, 4 / math.sqrt(7) - 1, 3.814943),
    "neyman": (math.e - 1, math.exp(4) - 1, math.exp(16) - 1, INF, INF),
}


@pytest.mark.parametrize("name", TABLE)
def test_fgan_bound_at_the_best_t_is_the_published_value(name):
    game, row = CASES[name]
    for (p, q), expected in zip(PAIRS[2:], TABLE[name], strict=True):
        if math.isfinite(expected):
            found = bounded(game, p, q, best_logits(row, p, q))
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-6), (p, q)


def test_fgan_direction_of_asymmetric_divergences():
    """For p = N(0, 1) and q = N(.5, 1.3^2), from the closed forms of Gaussians."""
    p, q = PAIRS[1]

    def kl(a: tuple, b: tuple) -> float:
        return math.log(b[1] / a[1]) + (a[1] ** 2 + (a[0] - b[0]) ** 2) / (2 * b[1] ** 2) - 0.5

    def chi_squared(a: tuple, b: tuple) -> float:
        """int (a - b)^2 / b."""
        width = 2 * b[1] ** 2 - a[1] ** 2
        return b[1] ** 2 / (a[1] * math.sqrt(width)) * math.exp((a[0] - b[0]) ** 2 / width) - 1

    expected = {
        "kl": kl(p, q),
        "reverse_kl": kl(q, p),
        "pearson": chi_squared(p, q),
        "neyman": chi_squared(q, p),
    }
    assert kl(q, p) - kl(p, q) > 0.05
    assert chi_squared(q, p) - chi_squared(p, q) > 1
    for name, value in expected.items():
        game, row = CASES[name]
        assert bounded(game, p, q, best_logits(row, p, q)) == pytest.approx(value, abs=1e-6)


@functools.cache
def best_and_truth(name: str, pair: tuple) -> tuple[Tensor, float]:
    """Return the best D's logits on X, and the divergence, which is infinite where it does not exist."""
    game, row = CASES[name]
    return best_logits(row, *pair), truth(game, *pair) if exists(game, *pair) else INF


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=25, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    line=st.tuples(*[st.floats(-3, 3)] * 3),
    wave=st.tuples(st.floats(0, 20), st.floats(0.1, 5), st.floats(0, 6)),
    near=st.sampled_from([0.0, 0.9, 1.0]),
)
def test_no_critic_gives_more_than_the_divergence(name, pair, line, wave, near):
    """Lines, parabolas and waves, alone or added to the best D itself."""
    game, _ = CASES[name]
    best, expected = best_and_truth(name, pair)
    noise = line[0] + line[1] * X + line[2] * X**2 / 10 + wave[0] * torch.sin(wave[1] * X + wave[2])
    v = near * best + (noise if near == 0 else 0.05 * noise)
    found = bounded(game, *pair, v.clamp(-300, 300))
    assert found <= expected + 1e-6 * (1 + expected)


@pytest.mark.parametrize("name", CASES)
def test_the_best_d_is_best_so_any_nearby_one_gives_less(name):
    game, row = CASES[name]
    if name == "total_variation":
        return
    p, q = PAIRS[1]
    best = best_logits(row, p, q)
    top = bounded(game, p, q, best)
    for other in (best + 0.2, best - 0.2, 0.8 * best, 1.2 * best):
        assert bounded(game, p, q, other) < top - 1e-6


@each_row
def test_the_divergence_is_the_integral_of_q_f_of_p_over_q(game, row):
    """So the affine map to the tag is right: twice JSD for js, and less log 4 for gan."""
    p, q = PAIRS[1]
    log_p, log_q = on_line(*p), on_line(*q)
    by_f = integral(log_q.exp() * row.f(torch.exp(log_p - log_q)))
    assert game.bound(-by_f) == pytest.approx(truth(game, p, q), abs=1e-6)


@each_row
def test_a_d_that_descends_its_loss_reaches_the_divergence(game, row):
    """On three letters, with a free logit for each."""
    p, q = doubles(0.5, 0.3, 0.2), doubles(0.2, 0.3, 0.5)
    batch = [0] * 5 + [1] * 3 + [2] * 2, [0] * 2 + [1] * 3 + [2] * 5
    v = doubles(0.3, -0.2, 0.1).requires_grad_(True)
    optimizer = torch.optim.LBFGS([v], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = game.d_loss(Logits(v[batch[0]], v[batch[1]]))
        loss.backward()
        return loss

    optimizer.step(closure)
    by_f = game.bound(-(q * row.f(p / q)).sum())
    found = game.bound(game.d_loss(Logits(v[batch[0]], v[batch[1]])).detach())
    assert found == pytest.approx(by_f, abs=1e-4 if game.divergence == "total_variation" else 1e-9)


# --------------------------------------------------------------------------------------- tags and ranges


def test_js_is_jsd_and_never_twice_it():
    """log 2 for supports apart, whichever row plays; the rows' own D_f would be 2 log 2, 0 and log 2."""
    sure = Logits(torch.full((9,), 40.0), torch.full((9,), -40.0))
    for game in (FGAN(divergence="js"), FGAN(divergence="gan"), FGAN(divergence="js_weighted", pi=0.5)):
        assert game.estimate(sure)["js"] == pytest.approx(math.log(2), abs=1e-6)
    assert set(FGAN(divergence="js_weighted", pi=0.3).estimate(sure)) == {"js_weighted"}


@pytest.mark.parametrize("pi", [0.05, 0.3, 0.5, 0.8])
def test_js_weighted_on_disjoint_supports_is_an_entropy(pi):
    sure = Logits(torch.full((9,), 60.0), torch.full((9,), -60.0))
    game = FGAN(divergence="js_weighted", pi=pi)
    entropy = -pi * math.log(pi) - (1 - pi) * math.log(1 - pi)
    assert game.estimate(sure)[game.quantity] == pytest.approx(entropy, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "ceiling"),
    [("js", math.log(2)), ("gan", math.log(2)), ("total_variation", 1), ("squared_hellinger", 2)],
)
@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-40, 40, width=32), min_size=2, max_size=20), st.data())
def test_a_bounded_divergence_is_never_estimated_above_its_range(name, ceiling, real, data):
    fake = data.draw(st.lists(st.floats(-40, 40, width=32), min_size=2, max_size=20))
    game = FGAN(divergence=name)
    assert game.estimate(Logits(torch.tensor(real), torch.tensor(fake)))[game.quantity] <= ceiling + 1e-5
    sure = game.estimate(Logits(torch.full((2,), 40.0), torch.full((2,), -40.0)))
    assert sure[game.quantity] == pytest.approx(ceiling, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_fgan_tag_and_meaning_name_the_divergence(name):
    descends, other = (FGAN(divergence=name, generator=g).meaning for g in ("saturating", "non_saturating"))
    tag = "js" if name == "gan" else name
    assert set(FGAN(divergence=name).estimate(Logits(torch.zeros(3), torch.ones(3)))) == {tag}
    assert "from below" in descends
    assert descends.endswith("that bound")
    assert other.startswith(descends.partition("; G")[0])
    assert other.endswith(
        "the gradient of the same" if name == "total_variation" else "not of that divergence"
    )


# ---------------------------------------------------------------------------------------- what G descends


def test_fgan_gan_row_is_minimax_or_non_saturating():
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 10.0, 40.0):
        logits = Logits(*(scale * torch.randn(2, 500, generator=generator)))
        for other, game in ((Minimax(), "saturating"), (NonSaturating(), "non_saturating")):
            mine = FGAN(divergence="gan", generator=game)
            assert torch.equal(mine.d_loss(logits), other.d_loss(logits))
            assert torch.equal(mine.g_loss(logits.fake), other.g_loss(logits.fake))
            assert mine.estimate(logits) == other.estimate(logits)
            assert (mine.chance, mine.classifies) == (other.chance, other.classifies)


def test_rows_of_one_divergence_play_the_same_game():
    generator = torch.Generator().manual_seed(1)
    logits = Logits(*(2 * torch.randn(2, 300, generator=generator, dtype=torch.float64)))
    gan, js, half = FGAN(divergence="gan"), FGAN(divergence="js"), FGAN(divergence="js_weighted", pi=0.5)
    assert js.d_loss(logits).item() == pytest.approx(gan.d_loss(logits).item() - 2 * math.log(2), abs=1e-12)
    assert half.d_loss(logits).item() == pytest.approx(js.d_loss(logits).item() / 2, abs=1e-12)
    for game in (js, half):
        assert game.estimate(logits) == pytest.approx(gan.estimate(logits), abs=1e-12)


@pytest.mark.parametrize(
    ("order", "name", "times", "scale"),
    [
        (-1.0, "neyman", 0.5, 2),
        (0.0, "reverse_kl", 1, 1),
        (0.5, "squared_hellinger", 2, 0.5),
        (1.0, "kl", 1, 1),
        (2.0, "pearson", 0.5, None),
    ],
)
def test_alpha_divergence_equals_other_rows_at_special_orders(order, name, times, scale):
    """Its logit is log p/q; the other row's best logit is ``scale`` times that, or 2 (p/q - 1)."""
    log_u = line(-3, 3, 41)
    logits, others = log_u, 2 * torch.expm1(log_u) if scale is None else scale * log_u
    mine, other = FGAN(divergence="alpha", alpha=order), FGAN(divergence=name)
    p, q = log_u.softmax(0), torch.full_like(log_u, 1 / 41)  # any weights will do
    found, expected = (
        (p * game.on_real(v)).sum() + (q * game.on_fake(v)).sum()
        for game, v in ((mine, logits), (other, others))
    )
    assert found.item() == pytest.approx(times * expected.item(), rel=1e-9)


@pytest.mark.parametrize("order", [0.0, 1.0])
def test_the_limits_of_the_alpha_divergence_are_limits(order):
    v = line(-10, 10, 81)
    at, near = (FGAN(divergence="alpha", alpha=abs(a)) for a in (order, order - 1e-7))
    torch.testing.assert_close(at.on_real(v), near.on_real(v), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(at.on_fake(v), near.on_fake(v), rtol=1e-5, atol=1e-5)


@every_game
def test_fgan_generators_descend_the_bound_or_minus_e_t(game):
    fake = doubles(-3.0, -1.0, 0.0, 2.0).requires_grad_(True)
    other = dataclasses.replace(game, generator="non_saturating")
    (of_bound,) = torch.autograd.grad(-game.d_loss(Logits(fake.detach(), fake)), fake)
    (of_g,) = torch.autograd.grad(game.g_loss(fake), fake)
    assert torch.equal(of_g, of_bound)
    assert torch.equal(other.g_loss(fake), -(-game.on_real(fake)).mean())


def slope_at_the_best_d(game: FGAN, row: Row, theta: float) -> float:
    """Gradient of G's loss in the mean theta of its samples, D the best one for p = N(0, 1), q = N(theta, .9^2)."""
    mean = doubles(theta).requires_grad_(True)
    z = line(-25, 25, 100_001)
    x = mean + 0.9 * z
    logits = row.best(
        log_normal(x, 0.0, 1.0) - log_normal(x, theta, 0.9)
    )  # D stands still: theta is a number
    weights = log_normal(z, 0.0, 1.0).exp() * (z[1] - z[0])
    terms = -game.on_fake(logits) if game.generator == "saturating" else game.on_real(logits)
    (slope,) = torch.autograd.grad((weights * terms).sum(), mean)
    return slope.item()


def slope_of(h: Callable[[Tensor], Tensor], theta: float) -> float:
    """Derivative of int p h(q/p) in the mean of q."""
    mean = doubles(theta).requires_grad_(True)
    x = line(-24, 24, 100_001)
    log_p, log_q = log_normal(x, 0.0, 1.0), log_normal(x, mean, 0.9)
    (slope,) = torch.autograd.grad(torch.trapezoid(log_p.exp() * h(torch.exp(log_q - log_p)), x), mean)
    return slope.item()


@pytest.mark.parametrize("name", [name for name in CASES if name != "total_variation"])
@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0])
def test_fgan_generator_gradients_at_the_best_d(name, theta):
    game, row = CASES[name]
    of_f = slope_of(lambda w: w * row.f(1 / w), theta)  # int q f(p/q) = int p w f(1/w)
    assert slope_at_the_best_d(game, row, theta) == pytest.approx(of_f, rel=1e-5)
    other = dataclasses.replace(game, generator="non_saturating")
    assert slope_at_the_best_d(other, row, theta) == pytest.approx(slope_of(row.other, theta), rel=1e-5)


def test_fgan_sentences_name_the_divergences_descended():
    """int p h(q/p) for each h, up to constants and multiples of int q, against the formula in words."""
    p, q = (0.0, 1.0), (0.7, 1.2)
    x = line(-12, 12, 100_001)
    log_p, log_q = log_normal(x, *p), log_normal(x, *q)
    a, b = log_p.exp(), log_q.exp()

    def value(h: Callable[[Tensor], Tensor]) -> float:
        return torch.trapezoid(a * h(torch.exp(log_q - log_p)), x).item()

    kl, reverse = (torch.trapezoid(d, x).item() for d in (a * (log_p - log_q), b * (log_q - log_p)))
    neyman = torch.trapezoid((a - b) ** 2 / a, x).item()
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    jsd = torch.trapezoid(a * (log_p - log_m) + b * (log_q - log_m), x).item() / 2
    log_mixed = torch.logaddexp(log_p + math.log(0.25), log_q + math.log(0.75))
    mixed = torch.trapezoid(log_mixed.exp() * (log_mixed - log_p), x).item()
    said = {
        "gan": ("KL(p_G, p_data) - 2 JSD", reverse - 2 * jsd, 2 * math.log(2) - 1),
        "kl": ("KL(p_G, p_data)", reverse, 0),
        "reverse_kl": ("half of int (p_data - p_G)^2 / p_data", neyman / 2, 0.5),
        "jeffrey": ("KL(p_G, p_data) + half of int (p_data - p_G)^2 / p_data", reverse + neyman / 2, 0.5),
        "pearson": ("2 KL(p_data, p_G)", 2 * kl, 0),
        "js_weighted 0.25": ("0.333333 KL(m, p_data)", mixed / 3, 0),
    }
    for name, (words, expected, constant) in said.items():
        game, row = CASES[name]
        assert f"gradient of {words}, not" in dataclasses.replace(game, generator="non_saturating").meaning
        assert value(row.other) == pytest.approx(expected + constant, rel=1e-6)


# --------------------------------------------------------------------- in the company of other options


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pi", 2.0),  # a public implementation's default
        ("pi", math.pi),  # another's mixture weight
        ("pi", 0.0),
        ("pi", 1.0),
        ("alpha", -1.01),
        ("alpha", 2.5),
        ("alpha", math.nan),
        ("divergence", "chi2"),
        ("generator", "nonsaturating"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_its_key(key, value):
    for divergence in ("js_weighted", "alpha", "kl"):
        with pytest.raises(ConfigError, match=rf"^objective\.{key}: "):
            build("objective", {"name": "fgan", "divergence": divergence, key: value})


def test_reverse_kl_takes_logits_of_either_sign():
    """Its log is of T < 0 and cancels; a log of the raw logit would be no number for half of them."""
    v = doubles(-5.0, -1e-9, 0.0, 1e-9, 5.0)
    assert torch.equal(FGAN(divergence="reverse_kl").on_fake(v), v - 1)


def test_pearsons_generator_is_never_pushed_away_from_the_data():
    """Below T = -2 the parabola t^2/4 + t falls with t, so a G that descends it would make its samples worse."""
    fake = doubles(-30.0, -5.0, -2.1, -1.9, 3.0).requires_grad_(True)
    (slope,) = torch.autograd.grad(FGAN(divergence="pearson").g_loss(fake), fake)
    assert (slope <= 0).all()
    assert torch.equal(FGAN(divergence="pearson").on_fake(fake.detach())[:3], doubles(-1.0, -1.0, -1.0))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[0].classifies])
def test_smoothed_labels_can_be_undone_where_d_classifies(name):
    """The best logit under targets a for data and b for fakes is that of (a p + b q) / (p + q), as cross-entropy's."""
    game, noise = CASES[name][0], Noise(label_smoothing=0.2, label_flip=0.05)
    p, q = doubles(0.7, 0.3), doubles(0.2, 0.8)  # on two points; the batches below hold them in these shares
    a, b = 0.8 * 0.95, 0.8 * 0.05
    best = torch.log((a * p + b * q) / ((1 - a) * p + (1 - b) * q)).requires_grad_(True)
    batch = Logits(best[[0] * 7 + [1] * 3], best[[0] * 2 + [1] * 8])
    loss = game.d_loss(batch, Targets(doubles(*[a] * 10), doubles(*[b] * 10)))
    (slope,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)
    torch.testing.assert_close(noise.undo(best.detach()), torch.log(p / q), atol=1e-9, rtol=0)


def test_the_family_can_be_played_with_wrong_pairs():
    generator = torch.Generator().manual_seed(2)
    real, fake, wrong = torch.randn(3, 50, generator=generator)
    mine, base = Conditional(base="fgan"), FGAN()
    logits = Logits(real, fake, wrong)
    expected = base.on_real(real).mean() + base.on_fake(torch.cat([fake, wrong])).mean()
    assert mine.d_loss(logits).item() == pytest.approx(expected.item(), rel=1e-6)
    assert mine.estimate(logits)["js"] == base.estimate(Logits(real, fake))["js"]
