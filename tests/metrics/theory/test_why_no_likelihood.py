"""No sample falls on a point, a box's share is a power of its side, and a kernel's answer is that of its sigma."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from composed import composed
from run_of import run_of
from torch import Tensor

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.metrics.base import Evaluation
from gantrain.metrics.theory.why_no_likelihood import (
    BOXES,
    MIN_HITS,
    SIZES,
    WhyNoLikelihood,
    estimate_density,
    exponent,
    hits,
    near_best,
)
from gantrain.models.base import Generator
from gantrain.registry import build
from gantrain.training.evaluate import compute, draw_figures, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


def scene(*words: str) -> Evaluation:
    small = ["device=cpu", "dataset.n=300", "dataset.n_holdout=200", "metric.n=150"]
    config = resolve(composed(*words, *small))
    data, runtime = config.dataset.load(0), Runtime(config.device)
    return view(config, data, TrainState.create(config, data.spec, runtime), runtime)


@pytest.fixture(scope="module")
def plane() -> Evaluation:
    evaluation = scene("dataset=gaussian", "dataset.dim=2", "model=mlp", "model.width=16", "model.z_dim=2")
    with torch.no_grad():
        for parameter in evaluation.game.G_live.parameters():
            parameter.mul_(2.5)  # fresh weights give samples that are all near 0
    return evaluation


def test_hits_are_those_counted_one_by_one_with_the_edge_inside():
    draws = torch.Generator().manual_seed(0)
    x, samples = (torch.randint(-4, 5, (n, 3), generator=draws).double() / 4 for n in (7, 400))
    halves = torch.tensor([0, 0.25, 0.5, 1.0, 3.0], dtype=torch.float64)
    found = hits(x, samples, halves)
    assert found.shape == (5, 7)
    for i, half in enumerate(halves.tolist()):
        for j, point in enumerate(x.tolist()):
            inside = [
                all(abs(a - b) <= half for a, b in zip(row, point, strict=True)) for row in samples.tolist()
            ]
            assert int(found[i, j]) == sum(inside)
    assert found[0].sum() > 0  # points of a grid do fall on one another
    assert (found[-1] == 400).all()


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_the_share_in_a_box_goes_as_its_side_to_the_power_d(d):
    """Of uniform samples around inner points exactly so; two counts of at least 400 give the power to 0.3."""
    draws = torch.Generator().manual_seed(d)
    samples = torch.rand(100_000, d, generator=draws).double()
    x = 0.3 + 0.4 * torch.rand(20, d, generator=draws).double()
    halves = BOXES[BOXES <= 0.3]
    found = hits(x, samples, halves).sum(1)
    assert exponent(halves, found) == pytest.approx(d, abs=4 * math.sqrt(2 / MIN_HITS) / math.log(10**0.25))


def test_the_power_is_exact_for_exact_counts_and_0_without_any():
    halves = torch.logspace(-2, 0, 5).double()
    assert exponent(halves, (1e6 * halves**3).round().long()) == pytest.approx(3, abs=1e-3)
    for few in (torch.zeros(5).long(), torch.tensor([0, 0, 0, 0, 9999])):
        assert exponent(halves, few) == 0.0


def test_box_counts_go_as_the_square_of_the_tolerance(plane):
    found = compute([WhyNoLikelihood()], plane).metrics
    assert found["generator/exact_hits"] == 0.0
    assert found["generator/box_exponent"] == pytest.approx(2, abs=0.5)
    assert found["generator/kernel_spread"] > 0.05
    assert found["generator/kernel_spread_n"] > 0


def test_exact_hits_of_a_generator_of_one_point(plane):
    class Parrot(Generator):
        def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
            return plane.real[0][:1].expand(len(z), -1)

    model = build("model", {"name": "mlp"})
    said = dataclasses.replace(plane, players=dataclasses.replace(plane.game, G_live=Parrot(model, [])))
    assert compute([WhyNoLikelihood()], said).metrics["generator/exact_hits"] == 100_000.0


def test_kernel_best_comes_near_a_known_density():
    """Of a Gaussian in the plane; fewer samples are further off, and their answer swings more with sigma."""
    evaluation = scene("dataset=gaussian", "dataset.dim=2", "model=gaussian")
    with torch.inference_mode():
        answers = estimate_density(evaluation)
        truth = float(evaluation.data.density.log_prob(answers.x).mean())
    best = [float(answers.curves[n].max()) for n in SIZES]
    assert best[-1] == pytest.approx(truth, abs=0.1)
    assert abs(best[0] - truth) > abs(best[-1] - truth)
    swings = []
    for n in SIZES:
        near = near_best(answers, n)
        assert len(near) > 4
        assert near.max() == answers.curves[n].max()
        swings.append(float(near.max() - near.min()))
    assert swings == sorted(swings, reverse=True)
    assert swings[0] > 0.3


def test_it_is_drawn_and_the_same_each_time(plane):
    both = (plane, dataclasses.replace(plane))
    first, again = (draw_figures(WhyNoLikelihood(), seen, [])["why_no_likelihood"] for seen in both)
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("shape", [(1,), (1, 8, 8)])
def test_lines_and_images_are_refused_with_a_reason(shape):
    data = dataclasses.replace(scene("dataset=ring").data, spec=Spec(shape))
    assert len(WhyNoLikelihood().why_unsupported(run_of(data, False)).split()) > 3
