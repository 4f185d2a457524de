"""The leak number tells a generator of augmented images from one of plain ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.random import stream
from gantrain.datasets.digits import Digits
from gantrain.features.tools import classifier
from gantrain.metrics.base import Evaluation
from gantrain.metrics.leak import TAG, Leak
from gantrain.metrics.tools.augmented import augment_samples
from gantrain.metrics.tools.floors import floors
from gantrain.training.evaluate import run_spec, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

DIGITS = Digits().load(0)


def evaluation(*words: str) -> Evaluation:
    config = resolve(composed("dataset=digits", "device=cpu", "model.width=4", "metric.n=300", *words))
    runtime = Runtime(config.device)
    return view(config, DIGITS, TrainState.create(config, DIGITS.spec, runtime), runtime)


@pytest.mark.parametrize("words", [("augment=ada",), ("augment=flip",)])
def test_leak_is_the_share_of_augmented_images(words, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 100)
    found, metric = evaluation(*words), Leak()
    plain = found.subset(DIGITS.holdout, 300).x
    augmented = augment_samples(found.game.augment.for_classifier(), plain, stream(0, 0, "leak"))
    with torch.inference_mode():
        leak, clean = (metric(replace(found, substitute=(x, None)))[TAG] for x in (augmented, plain))
        floor = floors(metric, found)[TAG]
        protocol = metric.protocol(found)
    assert leak > clean + 0.15
    assert abs(clean - floor) < 3 * floor.error
    assert protocol["recognises_augmented"] == pytest.approx(leak, abs=0.15)
    error = metric.errors(replace(found, substitute=(plain, None)))[TAG]
    assert 0 < error < 0.04


def test_leak_is_for_runs_that_augment_images():
    metric = Leak()
    for words, reason in ((("augment=ada",), None), (("augment=none",), "not augmented")):
        found = metric.why_unsupported(run_spec(resolve(composed("dataset=digits", *words))))
        assert found is None if reason is None else reason in found
