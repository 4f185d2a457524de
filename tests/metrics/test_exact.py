"""The divergences that are called exact are, those that are counted stay within their margin, and so does D*."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from run_of import run_of
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, GaussianModes, Split
from gantrain.datasets.gaussians import Grid, Mixture, Ring
from gantrain.metrics.base import Evaluation
from gantrain.metrics.game import Game
from gantrain.metrics.suite import Suite
from gantrain.metrics.theory.optimal_discriminator import OptimalDiscriminator
from gantrain.metrics.tools.histogram import Cells, cell_side, estimates
from gantrain.metrics.tools.quadrature import divergences, frame
from gantrain.models.base import Generator
from gantrain.registry import build
from gantrain.training.evaluate import compute, draw_figures

LOG2 = math.log(2)


def one(*mean: float, std: float = 1.0) -> GaussianModes:
    return GaussianModes(torch.tensor([mean], dtype=torch.float64), torch.tensor([std], dtype=torch.float64))


def data(p: GaussianModes, n: int = 10_000) -> Data:
    x, _ = p.sample(n, torch.Generator().manual_seed(0))
    return Data(Spec((x.shape[1],)), Split(x), Split(x.float()), p)


def points(q: GaussianModes, n: int = 10_000, seed: int = 1) -> Tensor:
    return q.sample(n, torch.Generator().manual_seed(seed))[0].double()


def exact(p: GaussianModes, q: GaussianModes) -> dict[str, float]:
    return divergences(p.log_prob, q.log_prob, *frame(data(p), points(q)))


NAMES = ("kl", "reverse_kl", "js", "total_variation", "wasserstein")
CLOSED = [  # mean and sd of both, then the columns of NAMES
    ((0, 1), (0, 1), (0, 0, 0, 0, 0)),
    ((0, 1), (1, 1), (0.5, 0.5, 0.111421, 0.382925, 1)),
    ((0, 1), (2, 1), (2, 2, 0.336831, 0.682689, 2)),
    ((0, 1), (4, 1), (8, 8, 0.632720, 0.954500, 4)),
    ((0, 1), (0, 2), (0.318147, 0.806853, 0.092733, 0.322675, 0.797885)),
    ((1, 0.5), (-1, 2), (1.417544, 14.113706, 0.362158, 0.719964, 2.127185)),
]


@pytest.mark.parametrize(("of_p", "of_q", "values"), CLOSED)
def test_exact_pairs_of_gaussians_have_their_closed_forms(of_p, of_q, values):
    (m, s), (n, t) = of_p, of_q
    found = exact(one(m, std=s), one(n, std=t))
    assert [found[name] for name in NAMES] == pytest.approx(values, abs=1e-6)
    for name, a, b in (("kl", s, t), ("reverse_kl", t, s)):
        assert found[name] == pytest.approx(
            math.log(b / a) + (a**2 + (m - n) ** 2) / (2 * b**2) - 0.5, abs=1e-9
        )
    if s == t:
        assert found["total_variation"] == pytest.approx(math.erf(abs(m - n) / s / math.sqrt(8)), abs=1e-8)
    assert found["residual"] < 1e-9
    assert found["error"] < 1e-8


@pytest.mark.parametrize("d", [0.25, 0.5, 1.5, 3, 6, 8])
def test_js_of_shifted_gaussians_is_that_of_the_table(d):
    table = {0.25: 0.007752, 0.5: 0.030311, 1.5: 0.221171, 3: 0.526777, 6: 0.689298, 8: 0.693054}
    assert exact(one(0), one(d))["js"] == pytest.approx(table[d], abs=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_gaussians_far_apart_are_at_every_ceiling(d):
    found = exact(one(*[0.0] * d), one(*[60.0] * d))
    assert found["js"] == pytest.approx(LOG2, abs=1e-6)
    assert found["total_variation"] == pytest.approx(1, abs=1e-6)
    assert found["kl"] == pytest.approx(d * 1800, rel=1e-9)
    assert found["residual"] < 1e-9


@pytest.mark.parametrize(("s", "t"), [(1.0, 1e-4), (1e-4, 1.0), (1e3, 1e-3)])
def test_a_collapsed_generator_is_found_however_narrow(s, t):
    found = exact(one(0, std=s), one(0.2 * s, std=t))
    assert found["residual"] < 1e-8
    for name, a, b in (("kl", s, t), ("reverse_kl", t, s)):
        assert found[name] == pytest.approx(
            math.log(b / a) + (a**2 + 0.04 * s**2) / (2 * b**2) - 0.5, rel=1e-6
        )
    assert found["total_variation"] > 0.99


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4])
def test_exact_shift_in_a_plane_depends_on_its_length_only(angle):
    shift, line = 2.0, exact(one(0), one(2))
    found = exact(one(0, 0), one(shift * math.cos(angle), shift * math.sin(angle)))
    for name in ("kl", "reverse_kl", "js"):
        assert found[name] == pytest.approx(line[name], abs=1e-7)
    assert found["total_variation"] == pytest.approx(line["total_variation"], abs=1e-5)
    assert "wasserstein" not in found


def test_in_a_plane_products_add_their_kl():
    class Product:
        def __init__(self, *parts: GaussianModes):
            self.parts = parts

        def log_prob(self, x: Tensor) -> Tensor:
            return sum(part.log_prob(x[:, i : i + 1]) for i, part in enumerate(self.parts))

    p, q = (one(0), one(1, std=0.5)), (one(1, std=2), one(0.5, std=0.7))
    cloud = torch.cat([points(part, seed=i) for i, part in enumerate(q)], 1)
    box = torch.tensor([-25.0, -9.0]).double(), torch.tensor([27.0, 9.0]).double(), [cloud]
    found = divergences(Product(*p).log_prob, Product(*q).log_prob, *box)
    parts = [exact(a, b) for a, b in zip(p, q, strict=True)]
    for name in ("kl", "reverse_kl"):
        assert found[name] == pytest.approx(sum(part[name] for part in parts), abs=1e-6)


@pytest.mark.parametrize(
    "p", [Ring().density(), Grid().density(), Mixture().density()], ids=["ring", "grid", "mixture"]
)
def test_exact_self_distance_is_0(p):
    same = exact(p, p)
    assert all(abs(value) < 1e-7 for value in same.values())
    kept = len(p.modes) // 2
    if kept < 4:
        return
    std = torch.as_tensor(p.std).expand(len(p.modes))[:kept]
    found = exact(p, GaussianModes(p.modes[:kept], std))
    # Modes do not overlap: q is p / a on a share a of p, and nothing elsewhere.
    a = kept / len(p.modes)
    js = 0.5 * (a * math.log(2 * a / (1 + a)) + (1 - a) * LOG2 + math.log(2 / (1 + a)))
    assert found["reverse_kl"] == pytest.approx(-math.log(a), abs=1e-6)
    assert found["js"] == pytest.approx(js, abs=1e-6)
    assert found["total_variation"] == pytest.approx(1 - a, abs=1e-5)
    assert found["residual"] < 1e-7


PAIRS = [
    (one(0), one(1, std=2)),
    (Mixture().density(), one(1.01, std=1.831)),
    (Ring(std=0.2).density(), one(0, 0, std=1.5)),
]


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_exact_exchange_of_p_and_q_exchanges_both_kls(p, q):
    one_way, other = exact(p, q), exact(q, p)
    for name in {"js", "total_variation", "wasserstein"} & set(one_way):
        assert one_way[name] == pytest.approx(other[name], abs=1e-5)
    assert one_way["kl"] == pytest.approx(other["reverse_kl"], rel=1e-6)
    assert one_way["reverse_kl"] == pytest.approx(other["kl"], rel=1e-6)
    # Pinsker, and both bounds of the Jensen-Shannon divergence by total variation (Lin 1991, theorem 3).
    tv, js = one_way["total_variation"], one_way["js"]
    assert 2 * tv**2 <= min(one_way["kl"], one_way["reverse_kl"])
    assert tv**2 / 2 <= js <= tv * LOG2


def test_exact_fgan_mixture_has_the_published_divergence():
    """Nowozin et al. 2016, table 3: each divergence at its own optimum; their JS is twice this one."""
    p = Mixture().density()
    assert exact(p, one(1.01, std=1.83108))["kl"] == pytest.approx(0.282970, abs=1e-5)
    assert exact(p, one(1.57793, std=1.63181))["reverse_kl"] == pytest.approx(0.248114, abs=1e-5)
    assert 2 * exact(p, one(1.30681, std=1.75446))["js"] == pytest.approx(0.128036, abs=1e-5)
    assert exact(p, one(1.33789, std=1.87953))["total_variation"] == pytest.approx(0.239587, abs=1e-5)


def test_what_is_no_density_is_not_compared():
    p = one(0)
    found = divergences(p.log_prob, lambda x: p.log_prob(x) + 0.1, *frame(data(p), points(p)))
    assert found == {"residual": pytest.approx(math.expm1(0.1), abs=1e-9)}
    broken = divergences(
        p.log_prob, lambda x: torch.full((len(x),), torch.nan).double(), *frame(data(p), points(p))
    )
    assert broken == {"residual": 1}


# Counting, where a generator has no density

COUNTED = [
    (one(0), one(0)),
    (one(0), one(1)),
    (one(0), one(60)),
    (one(0), one(0.3, std=0.01)),
    (Mixture().density(), one(1.01, std=1.831)),
    (one(0, 0), one(1, 0.5)),
    (Ring().density(), Ring().density()),
    (Ring().density(), GaussianModes(Ring().density().modes[:5], 0.02)),
    (Ring().density(), GaussianModes(Ring().density().modes + 0.02, 0.03)),
    (Ring().density(), one(0, 0, std=1.5)),
    (Grid().density(), GaussianModes(Grid().density().modes, 0.1)),
]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("p", "q"), COUNTED)
def test_histogram_error_bound_contains_the_truth(p, q, seed):
    truth = exact(p, q)
    side = cell_side(p.log_prob, data(p).holdout.x.double())
    found = estimates(p.log_prob, points(q, 200_000, seed), side)
    for name in ("js", "total_variation"):
        assert abs(found[name] - truth[name]) <= found[f"{name}_margin"] + 1e-9, name
        assert found[f"{name}_margin"] < 0.07, name


def test_more_samples_narrow_the_margin():
    p, q = one(0), one(0.5)
    side = cell_side(p.log_prob, data(p).holdout.x.double())
    few, many = (estimates(p.log_prob, points(q, n), side)["js_margin"] for n in (2000, 200_000))
    assert many < few / 3


@pytest.mark.parametrize("p", [one(0), one(0.5, -2), Ring().density()])
def test_histogram_masses_sum_to_1_in_as_many_cells_as_set(p):
    x = points(p, 200_000)
    side = cell_side(p.log_prob, x)
    places = (x / side).floor().long().unique(dim=0)
    masses = Cells.mass(p.log_prob, places, side)
    assert float(masses.sum()) == pytest.approx(1, abs=3e-3)  # the cells that 200,000 samples did not meet
    # A cell's mass at a point of p is 1/500 on average: the side's definition.
    at = Cells.mass(p.log_prob, (x[:5000] / side).floor().long(), side)
    assert float(at.mean()) == pytest.approx(1 / 500, rel=0.1)


def test_samples_out_of_all_bounds_are_counted_as_fakes():
    p = one(0, 0)
    side = cell_side(p.log_prob, points(p))
    for where in (1e30, math.inf, math.nan):
        found = estimates(p.log_prob, torch.full((2000, 2), where).double(), side)
        assert all(math.isfinite(value) for value in found.values())
    found = estimates(p.log_prob, torch.full((2000, 2), 1e30).double(), side)
    assert found["total_variation"] == pytest.approx(1, abs=2e-3)
    assert abs(found["js"] - LOG2) <= found["js_margin"] + 1e-9


# The metrics


class Shift(Generator):
    """x = z + mean, with or without a density of its own."""

    def __init__(self, mean: tuple[float, ...], known: bool):
        super().__init__(build("model", {"name": "gaussian", "z_dim": len(mean)}), [])
        self.mean, self.known = torch.tensor(mean), known

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z + self.mean.to(z)

    def log_prob(self, x: Tensor) -> Tensor | None:
        return one(*self.mean.tolist()).log_prob(x) if self.known else None


class Best(nn.Module):
    """logit = log p(x) - log q(x) + off."""

    def __init__(self, p: GaussianModes, q: GaussianModes, off: float = 0.0):
        super().__init__()
        self.p, self.q, self.off = p, q, off

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.p.log_prob(x) - self.q.log_prob(x) + self.off


def evaluation(
    mean: tuple[float, ...], known: bool, objective: str = "minimax", off: float = 0.0
) -> Evaluation:
    p, G = one(*[0.0] * len(mean)), Shift(mean, known)
    game = Game(
        G=nn.Identity(),  # the average of weights is not what D plays
        G_live=G,
        D=Best(p, one(*mean), off),
        objective=build("objective", {"name": objective}),
        latents=lambda n, purpose: G.latents(n, torch.Generator().manual_seed(sum(map(ord, purpose)))),
        wrong=lambda y: None,
        undo=lambda logits: logits,
    )
    return Evaluation(data(p), Suite(n=10_000), torch.device("cpu"), 0, game)


@pytest.mark.parametrize("mean", [(1.0,), (0.6, 0.8)])
def test_exact_tags_with_and_without_density(mean):
    metric = build("metric", {"name": "exact"})
    known = compute([metric], evaluation(mean, True)).metrics
    assert known["divergence/js_exact"] == pytest.approx(0.111421, abs=1e-6)
    assert known["divergence/kl_exact"] == pytest.approx(0.5, abs=1e-7)
    assert known["divergence/reverse_kl_exact"] == pytest.approx(0.5, abs=1e-7)
    assert known["divergence/total_variation_exact"] == pytest.approx(0.382925, abs=1e-5)
    assert ("divergence/wasserstein_exact" in known) == (len(mean) == 1)
    assert known["divergence/exact_residual"] < 1e-8
    counted = compute([metric], evaluation(mean, False)).metrics
    names = ("js_density", "total_variation_density")
    assert set(counted) == {f"divergence/{name}{end}" for name in names for end in ("", "_margin")}
    for name, truth in zip(names, (0.111421, 0.382925), strict=True):
        assert abs(counted[f"divergence/{name}"] - truth) < counted[f"divergence/{name}_margin"]


@pytest.mark.parametrize("mean", [(1.0,), (0.6, 0.8)])
def test_the_best_d_has_no_error_and_another_has_its_own(mean):
    metric = build("metric", {"name": "optimal_discriminator"})
    best = compute([metric], evaluation(mean, True)).metrics
    assert set(best) == {"divergence/d_error"}
    assert best["divergence/d_error"] < 1e-6
    off = compute([metric], evaluation(mean, True, off=40.0)).metrics["divergence/d_error"]
    # D is 1 everywhere: E (1 - D*) over p and q alike is the mean of q / (p + q) under (p + q) / 2, one half.
    assert off == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(20_000))
    counted = compute([metric], evaluation(mean, False)).metrics
    assert set(counted) == {"divergence/d_error_density"}
    assert 0 < counted["divergence/d_error_density"] < 0.05
    off = compute([metric], evaluation(mean, False, off=40.0)).metrics["divergence/d_error_density"]
    assert off == pytest.approx(0.5, abs=0.02)


def test_the_estimate_of_the_best_d_is_the_truth_itself():
    """Theorem 1 of Goodfellow et al. 2014, all three numbers of one evaluation."""
    names = ("js", "exact", "optimal_discriminator")
    found = compute([build("metric", {"name": name}) for name in names], evaluation((1.0,), True)).metrics
    assert abs(found["divergence/js"] - found["divergence/js_exact"]) < 4 * found["divergence/js_se"]
    assert found["divergence/d_error"] < 1e-6


@pytest.mark.parametrize(("mean", "known"), list(itertools.product([(1.0,), (0.6, 0.8)], [True, False])))
def test_the_figure_is_drawn_and_shows_a_d_that_is_off(mean, known):
    metric = build("metric", {"name": "optimal_discriminator"})
    pictures = [
        draw_figures(metric, evaluation(mean, known, off=off), [])["optimal_discriminator"].tobytes()
        for off in (0.0, 3.0)
    ]
    assert pictures[0] != pictures[1]


def test_optimal_discriminator_needs_a_probability():
    metric = OptimalDiscriminator()
    across = evaluation((1.0,), True)
    across = dataclasses.replace(across, players=dataclasses.replace(across.game, batch=64))
    for game in (evaluation((1.0,), True, "hinge"), across):
        assert compute([metric], game).metrics == {}
        assert draw_figures(metric, game, []) == {}


def test_what_cannot_be_integrated_is_left_out_with_a_reason():
    cube = Data(Spec((3,)), Split(torch.zeros(9, 3)), Split(torch.zeros(9, 3)), one(0, 0, 0))
    unknown = Data(Spec((2,)), Split(torch.zeros(9, 2)), Split(torch.zeros(9, 2)))
    for name in ("exact", "optimal_discriminator"):
        metric = build("metric", {"name": name})
        for bad in (cube, unknown):
            assert len(metric.why_unsupported(run_of(bad, False)).split()) > 2
        assert metric.why_unsupported(run_of(data(one(0, 0)), False)) is None
    assert build("metric", {"name": "optimal_discriminator"}).why_unsupported(run_of(data(one(0)), True))
    assert build("metric", {"name": "exact"}).why_unsupported(run_of(data(one(0)), True)) is None
