"""One classifier serves every metric of a run, and its features are what its last layer reads."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.metrics.tools import classifier as module
from gantrain.metrics.tools.classifier import feature_kind, features, predict, shared_classifier
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


def test_features_are_what_the_last_layer_reads(digits):
    x, _ = digits.holdout.take(torch.arange(50))
    with torch.inference_mode():
        found = features(digits, x)
        assert found.shape == (50, 128)
        assert found.dtype == torch.float64
        assert (found >= 0).all()  # behind a ReLU
        assert torch.equal(
            shared_classifier(digits)[-1](found.float()).argmax(1), predict(shared_classifier(digits), x)
        )


def test_features_without_labels_are_pixels_or_coordinates(digits):
    x, _ = digits.holdout.take(torch.arange(5))
    plain = Data(Spec(digits.spec.shape), digits.train, digits.holdout)
    assert feature_kind(plain) == "pixels"
    assert torch.equal(features(plain, x), x.flatten(1).double())
    points = Split(torch.rand(5, 3), torch.arange(5))
    assert feature_kind(Data(Spec((3,), classes=5), points, points)) == "coordinates"
    assert torch.equal(features(Data(Spec((3,), classes=5), points, points), points.x), points.x.double())


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
