"""One classifier serves every metric of a run."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.features.tools import classifier as module
from gantrain.features.tools.classifier import shared_classifier
from gantrain.training.evaluate import compute, supported_metrics, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


@pytest.fixture
def counted(monkeypatch) -> list[Data]:
    """Data for which a classifier was fetched from disk or trained."""
    fetched: list[Data] = []
    load_or_fit = module.load_or_fit
    monkeypatch.setattr(module, "LAST_FIT", [])
    monkeypatch.setattr(module, "load_or_fit", lambda data: fetched.append(data) or load_or_fit(data))
    return fetched


def test_all_metrics_of_a_run_share_one_classifier(digits, counted):
    words = ["objective=conditional", "metric.n=40", "metric.names=[class_accuracy,frechet,kernel]"]
    config = resolve(composed("device=cpu", "model.width=4", *words))
    runtime = Runtime(config.device)
    scene = view(config, digits, TrainState.create(config, digits.spec, runtime), runtime)
    metrics = supported_metrics(config, digits)
    for _ in range(2):
        compute(metrics, scene, final=True)
    assert [data is digits for data in counted] == [True]


def test_other_data_have_their_own_and_none_are_kept_alive(digits, counted, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 5)
    assert shared_classifier(digits) is shared_classifier(digits)
    other = replace(digits, train=Split(digits.train.x[:200], digits.train.y[:200]))
    weights = [
        network[-1].weight
        for network in (shared_classifier(digits), shared_classifier(other), shared_classifier(digits))
    ]
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert len(counted) == 3
    shared_classifier(other)
    gone = weakref.ref(other)
    counted.clear()
    del other
    gc.collect()
    assert gone() is None
