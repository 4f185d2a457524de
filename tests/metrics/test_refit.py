"""A fresh discriminator reads the truth, the same for every objective, and owes nothing to the one that plays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from composed import composed
from torch import Tensor

from gantrain.config.resolve import resolve
from gantrain.core.random import stream
from gantrain.core.spec import ConditionSpec, Spec
from gantrain.datasets.base import Data, Density, GaussianModes, Split
from gantrain.metrics.base import Evaluation
from gantrain.metrics.js import JS
from gantrain.metrics.refit import Refit
from gantrain.metrics.tools.fresh_discriminator import Fit, bound, check_steps
from gantrain.models.base import Generator
from gantrain.models.mlp import MLP
from gantrain.registry import REGISTERED, build
from gantrain.training.evaluate import compute, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, build_networks

TAG = "divergence/js_refit"
GAMES = REGISTERED["objective"]  # of an f-divergence and of its presets, which are one class, one is fast
CHOICES = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "objective").glob("*.yaml"))


class Known(Generator):
    """G(z) = what a known distribution gives: the latents are its points."""

    def __init__(self, density: GaussianModes):
        super().__init__(MLP(z_dim=density.modes.shape[1]), [])
        self.density = density

    def latents(self, n: int, generator: torch.Generator) -> Tensor:
        return self.density.sample(n, generator)[0]

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z


class Obedient(Generator):
    """G(z, y) = z + y: or, when it is not obedient, + 1 - y, so that samples are right and pairs are wrong.

    Asked for nothing, it takes 0 and 1 in turn.
    """

    def __init__(self, obeys: bool):
        super().__init__(MLP(z_dim=1), [])
        self.obeys = obeys

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        y = torch.arange(len(z)) % 2 if y is None else y
        asked = y.reshape(len(z), -1)[:, :1].float()
        return 0.1 * z + (asked if self.obeys else 1 - asked)


def one(mean: float = 0.0, std: float = 1.0) -> GaussianModes:
    return GaussianModes(torch.tensor([[mean]]), std)


def ring(std: float) -> GaussianModes:
    turns = torch.arange(8) * (2 * math.pi / 8)
    return GaussianModes(2 * torch.stack([turns.cos(), turns.sin()], 1), std)


def game(
    data: Data, G: Generator, words: list[str], steps: int, n: int = 20_000, condition: str = "none"
) -> Evaluation:
    """Return the evaluation of a generator and an untrained D in some game."""
    plain = composed("dataset=gaussian", "device=cpu", *words)
    plain["model"] = {"name": "mlp", "z_dim": G.z_dim, "width": 8, "depth": 1, "condition": condition}
    plain["metric"] = {"names": ["refit"], "n": n, "refit_steps": steps}
    config = resolve(plain, data.spec)
    runtime = Runtime(config.device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        D = build_networks(config, data.spec)[1]
    return view(config, data, TrainState(G, D, G, {}, {}), runtime)


def drawn(density: GaussianModes, n: int = 20_000) -> Data:
    x, held = (density.sample(count, stream(3, 0, part))[0] for count, part in ((50_000, "x"), (n, "held")))
    return Data(Spec(tuple(x.shape[1:])), Split(x), Split(held), density)


def truth(p: Density, q: Density, n: int = 400_000) -> float:
    """JSD(p, q) in nats: on a line by the trapezoid rule, in a plane from samples, to about 0.001."""
    if p.modes.shape[1] == 1:
        x = torch.linspace(-20, 20, 40_001, dtype=torch.float64)[:, None]
        log_p, log_q = p.log_prob(x), q.log_prob(x)
        log_m = torch.logaddexp(log_p, log_q) - math.log(2)
        both = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
        return 0.5 * torch.trapezoid(both, x[:, 0]).item()
    halves = []
    for a, b in ((p, q), (q, p)):
        x = a.sample(n, stream(5, 0, "truth"))[0].double()
        halves.append(
            float((math.log(2) - torch.nn.functional.softplus(b.log_prob(x) - a.log_prob(x))).mean())
        )
    return sum(halves) / 2


# ------------------------------------------------------------------------------------------- the truth


@pytest.mark.slow
@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 4.0])
def test_refit_is_within_a_hundredth_of_the_truth(d):
    """For every objective: that the number is the same in all games is the law below."""
    shown = game(drawn(one(), 100_000), Known(one(d)), [], steps=1000, n=100_000)
    found = compute([Refit()], shown).metrics
    assert abs(found[TAG] - truth(one(), one(d))) < 0.01
    assert found[f"{TAG}_se"] < 0.0025


@pytest.mark.parametrize("d", [1.0, *(pytest.param(d, marks=pytest.mark.slow) for d in (0.5, 2.0, 4.0))])
def test_a_tenth_of_the_budget_is_near_the_truth_too(d):
    found = compute([Refit()], game(drawn(one()), Known(one(d)), [], steps=100)).metrics
    error = found[f"{TAG}_se"]
    assert truth(one(), one(d)) - 0.01 - 3 * error < found[TAG] < truth(one(), one(d)) + 3 * error


@pytest.mark.slow
def test_the_truth_is_found_where_only_the_variance_differs():
    found = compute([Refit()], game(drawn(one()), Known(one(std=2.0)), [], steps=200)).metrics
    assert found[TAG] == pytest.approx(0.092733, abs=0.01)


@pytest.mark.slow
def test_refit_detects_modes_that_are_a_half_too_wide():
    """A network of bare coordinates reads 0.000 here after 1,000 steps."""
    p, q = ring(0.02), ring(0.03)
    found = compute([Refit()], game(drawn(p), Known(q), [], steps=600)).metrics
    js = truth(p, q)
    assert js - 0.02 < found[TAG] < js + 3 * found[f"{TAG}_se"] + 0.001


def test_a_perfect_generator_reads_0_on_both_sides():
    readings = []
    for seed in range(6):
        shown = replace(game(drawn(one(), 600), Known(one()), [], steps=60, n=600), seed=seed)
        readings.append(compute([Refit()], shown).metrics)
    assert all(abs(found[TAG]) < 0.02 for found in readings)
    assert min(found[TAG] for found in readings) < 0  # a bound by a D that learnt nothing: never clipped
    assert len({found[TAG] for found in readings}) == 6


@pytest.mark.parametrize("far", [20.0, 1e7, -1e30])
def test_supports_that_do_not_meet_read_log_2_and_never_more(far):
    found = compute([Refit()], game(drawn(one(), 2000), Known(one(far)), [], steps=100, n=2000)).metrics
    assert math.log(2) - 0.01 < found[TAG] <= math.log(2)


@pytest.mark.parametrize(
    ("mean", "std"), [(1e5, 1.0), (0.0, 1e-4), pytest.param(0.0, 1e6, marks=pytest.mark.slow)]
)
def test_the_unit_of_the_data_does_not_matter(mean, std):
    shown = game(drawn(one(mean, std), 4000), Known(one(mean + 2 * std, std)), [], steps=100, n=4000)
    found = compute([Refit()], shown).metrics
    assert found[TAG] == pytest.approx(0.336831, abs=0.01 + 3 * found[f"{TAG}_se"])


@pytest.mark.slow
def test_data_learnt_by_heart_do_not_count():
    """40 training points and a generator that is perfect: what D knows of those 40 does not reach the reading."""
    data = drawn(GaussianModes(torch.zeros(1, 6), 1.0), 3000)
    data = replace(data, train=Split(data.train.x[:40]))
    found = compute(
        [Refit()], game(data, Known(GaussianModes(torch.zeros(1, 6), 1.0)), [], steps=300, n=3000)
    ).metrics
    assert abs(found[TAG]) < 0.02


# ----------------------------------------------------------------------------- one scale for all games


@pytest.fixture(scope="module")
def reference() -> tuple[Evaluation, dict[str, float]]:
    data = drawn(one(), 500)
    data = replace(data, spec=Spec((1,), classes=2), train=halved(data.train), holdout=halved(data.holdout))
    shown = game(data, Known(one(1.0)), ["objective=minimax"], steps=5, n=500, condition="concat")
    return shown, compute([Refit()], shown).metrics


@pytest.mark.parametrize(
    "option", [o if o in GAMES else pytest.param(o, marks=pytest.mark.slow) for o in CHOICES]
)
def test_the_reading_is_bit_for_bit_the_same_in_every_game(option, reference):
    minimax, expected = reference
    objective = build("objective", composed(f"objective={option}")["objective"])
    shown = replace(minimax, players=replace(minimax.game, objective=objective))
    found = compute([Refit()], shown).metrics
    assert (found[TAG], found[f"{TAG}_se"]) == (expected[TAG], expected[f"{TAG}_se"])
    played = compute([JS()], shown).metrics if shown.game.objective.has_game else {}
    assert ("divergence/js_gap" in found) == ("divergence/js" in played)
    if "divergence/js" in played:
        assert found["divergence/js_gap"] == found[TAG] - played["divergence/js"]


def halved(part: Split) -> Split:
    """Give every second sample another class."""
    return Split(part.x, torch.arange(len(part)) % 2)


def test_refit_gap_of_a_constant_d_is_the_divergence():
    shown = game(drawn(one(), 5000), Known(one(2.0)), ["objective=minimax"], steps=100, n=5000)
    for parameter in shown.game.D.parameters():
        parameter.data.zero_()
    found = compute([JS(), Refit()], shown).metrics
    assert found["divergence/js"] == pytest.approx(0.0, abs=1e-6)
    assert found["divergence/js_gap"] == pytest.approx(found[TAG], abs=1e-6)


def test_a_d_that_looks_at_packs_has_no_gap_but_the_same_reading():
    shown = game(drawn(one(), 500), Known(one(1.0)), ["objective=minimax"], steps=5, n=500)
    packed = compute([Refit()], replace(shown, players=replace(shown.game, batch=64))).metrics
    assert packed == {
        tag: value for tag, value in compute([Refit()], shown).metrics.items() if not tag.endswith("_gap")
    }


def test_precision_of_the_run_does_not_reach_it():
    shown = game(drawn(one(), 500), Known(one(1.0)), ["objective=minimax"], steps=30, n=500)
    expected = compute([Refit()], shown).metrics
    with torch.autocast("cpu", torch.bfloat16):
        found = compute([Refit()], shown).metrics
    assert found[TAG] == expected[TAG]


# --------------------------------------------------------------------------------------------- pairs


@pytest.mark.parametrize(
    ("kind", "obeys"),
    [
        ("classes", False),
        ("vector", True),
        ("words", False),
        *(
            pytest.param(*of, marks=pytest.mark.slow)
            for of in (("classes", True), ("vector", False), ("words", True))
        ),
    ],
)
def test_a_conditional_generator_is_judged_by_its_pairs(kind, obeys):
    """Asked for 0 or 1, it gives a number near it or near the other: as numbers all are right."""
    label = torch.arange(3000) % 2
    if kind == "classes":
        spec, y = Spec((1,), classes=2), label
    elif kind == "vector":
        spec, y = Spec((1,), condition=ConditionSpec(("height",), ((0.0,), (1.0,)))), label[:, None].float()
    else:
        spec, y = (
            Spec((1,), condition=ConditionSpec(("low", "high"), ((1.0,), (2.0,)), words=True)),
            label[:, None] + 1,
        )
    x = label[:, None] + 0.1 * torch.randn(3000, 1, generator=torch.Generator().manual_seed(0))
    data, G = Data(spec, Split(x[:2000], y[:2000]), Split(x[2000:], y[2000:])), Obedient(obeys)
    if kind == "words":
        # Words count from 1.
        G.forward = lambda z, y: Obedient.forward(G, z, None if y is None else y - 1)
    shown = game(data, G, ["objective=minimax"], steps=100, n=1000, condition="concat")
    found = compute([Refit()], shown)
    target = 0.0 if obeys else math.log(2)
    assert found.metrics[TAG] == pytest.approx(target, abs=0.02)
    assert found.protocol["refit"]["sees"] == "sample and condition"
    alone = compute([Refit()], game(data, G, ["objective=minimax"], steps=40, n=1000))
    assert alone.metrics[TAG] == pytest.approx(0.0, abs=0.02)
    assert alone.protocol["refit"]["sees"] == "sample"


# ------------------------------------------------------------------------------------------ its making


@pytest.mark.parametrize("steps", [1, 2, 7, 100, 1000])
def test_refit_evaluates_d_after_its_last_step(steps):
    found = check_steps(steps)
    assert max(found) == steps
    assert min(found) >= 1
    assert len(found) <= 16


def test_the_d_that_a_half_chooses_is_not_read_on_that_half():
    """Of two looks, each the better one on one half: each half is read from the look that the other half prefers."""
    best, fitted = Fit.empty(4, 2, torch.device("cpu")), torch.zeros(2, 2)
    best.keep_best(torch.tensor([[0.0, 5.0, 0.0, 5.0]] * 2), fitted)
    best.keep_best(torch.tensor([[5.0, 0.0, 5.0, 0.0]] * 2), fitted + 1)
    assert bound(best.held_out) == math.log(2) - 5.0
    assert best.fitted.tolist() == [[1.0, 0.0]] * 2  # each half's D on the data that it was fitted to


# ------------------------------------------------------------------------------------- how sure it is


def spheres(d: int, std: float, n: int) -> tuple[Data, Known]:
    """N(0, I) in d dimensions, n points to fit to, against N(0, std^2 I)."""
    data = drawn(GaussianModes(torch.zeros(1, d), 1.0), 2000)
    return replace(data, train=Split(data.train.x[:n])), Known(GaussianModes(torch.zeros(1, d), std))


@pytest.mark.parametrize(("n", "is_loose"), [(100, True), (50_000, False)])
def test_refit_says_that_it_has_too_few_data(n, is_loose):
    data, G = spheres(16, 1.5, n)
    shown = game(data, G, [], steps=60, n=2000)
    found = compute([Refit()], shown).estimates[TAG]
    assert found.is_lower_bound
    assert ("on its training data" in found.caveat) == is_loose
    assert found < truth(data.density, G.density, 50_000) + 3 * found.error


@pytest.mark.slow
def test_refit_says_that_it_rises_with_its_budget():
    few, enough = (
        compute([Refit()], game(drawn(one(), 4000), Known(one(2.0)), [], steps, n=4000)).estimates[TAG]
        for steps in (8, 240)
    )
    assert "a quarter of the training data and of metric.refit_steps" in few.caveat
    assert enough.caveat == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "d", "truth_in_nats"),
    [(n, d, js) for n in (10_000, 50_000) for d, js in ((8, 0.0615), (32, 0.209), (64, 0.349))],
)
def test_refit_of_another_scale_is_right_or_loose(d, truth_in_nats, n):
    data, G = spheres(d, 1.2, n)
    found = compute([Refit()], game(data, G, [], steps=1000, n=2000)).estimates[TAG]
    assert found.caveat or abs(found - truth_in_nats) < 3 * found.error
    assert 0.8 * truth_in_nats < found < truth_in_nats + 3 * found.error


@pytest.mark.slow
def test_refit_detects_wide_modes_in_three_dimensions():
    """Coordinates and squares alone read 0.000, and 0.007 with waves that fall by the power 1.5 of their frequency."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    p, q = GaussianModes(corners, 0.015), GaussianModes(corners, 0.0225)
    data = drawn(p, 2000)
    data = replace(data, train=Split(data.train.x[:10_000]))
    found = compute([Refit()], game(data, Known(q), [], steps=1000, n=2000)).metrics
    js = truth(p, q)
    assert js - 0.03 < found[TAG] < js + 3 * found[f"{TAG}_se"]


def test_refit_gap_has_the_error_of_a_difference():
    """A constant D reads 0 without an error, so the gap's is that of the fresh D; a copy of it has none."""
    shown = game(drawn(one(), 3000), Known(one(2.0)), ["objective=minimax"], steps=60, n=3000)
    for parameter in shown.game.D.parameters():
        parameter.data.zero_()
    found = compute([Refit()], shown, final=True)
    assert found.final_errors["divergence/js_gap"] == pytest.approx(found.estimates[TAG].error, rel=0.3)


@pytest.mark.parametrize(
    ("shape", "steps"),
    [
        ((3, 5, 7), 25),
        *(pytest.param(*of, marks=pytest.mark.slow) for of in (((1, 8, 8), 25), ((1, 28, 28), 18))),
    ],
)
def test_images_of_any_shape_are_read(shape, steps):
    class Noise(Generator):
        def __init__(self, shift: float):
            super().__init__(MLP(z_dim=math.prod(shape)), [])
            self.shift = shift

        def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
            return (0.2 * z + self.shift).reshape(-1, *shape)

    x = 0.2 * torch.randn(400, *shape, generator=torch.Generator().manual_seed(0))
    data = Data(Spec(shape), Split(x[:300]), Split(x[300:]))
    near, far = (
        compute([Refit()], game(data, Noise(shift), ["objective=minimax"], steps=steps, n=100)).metrics[TAG]
        for shift in (0.0, 0.5)
    )
    assert far == pytest.approx(math.log(2), abs=0.02)
    assert abs(near) < 0.1
