"""The spread within a condition: exact for data, scaled data and one picture a class, whatever makes the noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from composed import composed
from run_of import run_of
from torch import Tensor

from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.metrics.base import Evaluation
from gantrain.metrics.per_condition import PerCondition, per_condition_std
from gantrain.metrics.side import Side
from gantrain.training.evaluate import compute, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


def evaluation(data: Data, *words: str) -> Evaluation:
    config = resolve(composed("objective=conditional", "model.width=4", "metric.n=359", "device=cpu", *words))
    runtime = Runtime(config.device)
    return view(config, data, TrainState.create(config, data.spec, runtime), runtime)


def value(seen: Evaluation, x: Tensor | None = None) -> float:
    if x is not None:
        seen = replace(seen, substitute=(x, seen.real[1]))
    return compute([PerCondition()], seen).metrics["diversity/per_condition_std"]


def means(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([x[y == k].mean(0) for k in range(10)])[y]


def test_per_condition_std_of_data_and_of_class_means(digits):
    seen = evaluation(digits)
    x, y = seen.real
    centre = means(x, y)
    assert value(seen, x) == pytest.approx(1, abs=1e-12)
    assert value(seen, centre) == pytest.approx(0, abs=1e-12)
    assert value(seen, centre + 0.5 * (x - centre)) == pytest.approx(0.5, abs=1e-6)
    assert value(seen, x.flip(1) * -1 + 3) == pytest.approx(1, abs=1e-6)  # neither offset nor sign is spread


def test_samples_that_ignore_their_condition_read_more_than_1(digits):
    seen = evaluation(digits)
    x, _ = seen.real
    mixed = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    # Classes differ, so the deviation of all is above that of each; by how much is the share of variance between them.
    whole = x.double().flatten(1).std(0).mean() / per_condition_std(seen.reals)
    assert value(seen, mixed) == pytest.approx(float(whole), abs=0.02)
    assert whole > 1.2


def test_per_condition_std_is_that_over_noise():
    draws = torch.Generator().manual_seed(0)
    y = torch.arange(3).repeat_interleave(4000)
    sigma = torch.tensor([0.5, 1.0, 3.0])
    x = 100.0 * y[:, None] + sigma[y][:, None] * torch.randn(len(y), 5, generator=draws)
    # Of 20,000 draws each: a standard error of 1/200, and conditions count alike.
    assert per_condition_std(Side.of(x, y)) == pytest.approx(1.5, abs=0.02)
    few = torch.cat([torch.arange(len(y))[y < 2], torch.arange(len(y))[y == 2][:2000]])
    assert per_condition_std(Side.of(x[few], y[few])) == pytest.approx(1.5, abs=0.03)


def test_per_condition_std_with_vector_and_single_conditions():
    x = torch.tensor([[0.0], [2.0], [5.0], [9.0]])
    y = torch.tensor([[0, 1], [0, 1], [1, 0], [1, 1]])
    assert per_condition_std(Side.of(x, y)) == pytest.approx(2**0.5, abs=1e-12)
    assert per_condition_std(Side.of(x[1:], y[1:])) is None


@pytest.mark.parametrize("source", ["z", "dropout", "both"])
def test_per_condition_std_of_each_noise_source(digits, source):
    seen = evaluation(digits, f"model.source={source}")
    assert value(seen) > 1e-3
    held = replace(
        seen,
        players=replace(seen.game, latents=lambda n, purpose: seen.game.latents(1, purpose).expand(n, -1)),
    )
    # Equal rows may meet other kernels in another chunk.
    assert value(held) == pytest.approx(0, abs=1e-5)


def test_it_needs_conditions_that_repeat(digits):
    metric = PerCondition()
    assert metric.why_unsupported(run_of(digits, conditional=True)) is None
    assert "not conditional" in metric.why_unsupported(run_of(digits, conditional=False))
    apart = Split(digits.holdout.x[:9], torch.arange(9))
    assert "same condition" in metric.why_unsupported(
        run_of(replace(digits, holdout=apart), conditional=True)
    )


def test_per_condition_std_of_constant_data_has_no_value(digits):
    one = torch.zeros(len(digits.holdout), 1, 8, 8)
    flat = replace(digits, holdout=Split(one, digits.holdout.y))
    assert compute([PerCondition()], evaluation(flat)).metrics == {}
