"""Class accuracy is that of the classifier of the data on samples with their labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from composed import composed
from run_of import run_of

from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data
from gantrain.datasets.digits import Digits
from gantrain.features.tools.shipped import SHA256
from gantrain.metrics.gan_test import GanTest
from gantrain.training.evaluate import view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


def holdout(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    return data.holdout.take(torch.arange(len(data.holdout)))


def reading(data: Data, words: list[str], substitute=None):
    config = resolve(composed("objective=conditional", "device=cpu", "model.width=4", *words))
    runtime = Runtime(config.device)
    evaluation = view(config, data, TrainState.create(config, data.spec, runtime), runtime)
    return evaluation if substitute is None else replace(evaluation, substitute=substitute)


def test_gan_test_of_data_is_the_classifiers(digits):
    metric, n = GanTest(), len(digits.holdout)
    evaluation = reading(digits, [f"metric.n={n}"], substitute=holdout(digits))
    with torch.inference_mode():
        value = metric(evaluation)["fidelity/gan_test"]
        protocol = metric.protocol(evaluation)
    assert value == protocol["classifier_accuracy"] >= 0.97
    assert protocol["classifier_sha256"] == SHA256["digits"]
    assert protocol["n"] == n == 359
    assert protocol["split"] == "holdout"


def test_labels_without_meaning_score_chance(digits):
    """With labels drawn anew, hits are binomial: 359 draws of one in ten."""
    x, y = holdout(digits)
    draws = torch.Generator().manual_seed(0)
    shuffled = y[torch.randperm(len(y), generator=draws)]
    with torch.inference_mode():
        value = GanTest()(reading(digits, ["metric.n=359"], substitute=(x, shuffled)))["fidelity/gan_test"]
        wrong = GanTest()(reading(digits, ["metric.n=359"], substitute=(x, (y + 1) % 10)))[
            "fidelity/gan_test"
        ]
    assert abs(value - 0.1) < 4 * (0.1 * 0.9 / 359) ** 0.5
    assert wrong < 0.03


def test_it_is_for_samples_that_were_asked_for_by_class(digits):
    assert GanTest().why_unsupported(run_of(digits, True)) is None
    assert "condition" in GanTest().why_unsupported(run_of(digits, False))
