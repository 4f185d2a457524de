"""What metrics compare samples by: which features a run has by default, and that all metrics read the same."""

from dataclasses import replace

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.errors import ConfigError
from gantrain.features.auto import Auto
from gantrain.features.classifier import Classifier
from gantrain.features.pixels import Pixels
from gantrain.features.tools import classifier as module
from gantrain.features.tools.classifier import predict, shared_classifier
from gantrain.metrics.base import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.metrics.tools.floors import pool_features, real_against_real
from gantrain.registry import build
from gantrain.training.evaluate import compute, expected_tags, supported_metrics, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


def scene(data: Data, *words: str) -> Evaluation:
    config = resolve(composed("device=cpu", "model.width=4", "metric.n=60", *words))
    runtime = Runtime(config.device)
    return view(config, data, TrainState.create(config, data.spec, runtime), runtime)


def test_classifier_features_are_what_its_last_layer_reads(digits):
    x, _ = digits.holdout.take(torch.arange(50))
    with torch.inference_mode():
        found = scene(digits).features(x)
        network = shared_classifier(digits)
        assert found.shape == (50, 128)
        assert found.dtype == torch.float64
        assert (found >= 0).all()  # behind a ReLU
        assert torch.equal(network[-1](found.float()).argmax(1), predict(network, x))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (Spec((1, 8, 8), classes=10), "classifier"),
        (Spec((3, 8, 8)), "pixels"),
        (Spec((3,), classes=5), "pixels"),
        (Spec((2,)), "pixels"),
    ],
)
def test_auto_features_suit_the_data(spec, name):
    assert Auto().pick(spec) == {"name": name}


def test_pixel_features_are_all_numbers_of_a_sample():
    x = torch.rand(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    data = Data(Spec((2, 3, 3)), Split(x), Split(x))
    extractor = Pixels().extractor(data, torch.device("cpu"))
    assert extractor.dimension == 18
    assert torch.equal(extractor(x), x.flatten(1))


def test_classifier_features_without_labels_are_refused():
    with pytest.raises(ConfigError, match="no labels") as error:
        resolve(composed("dataset=gaussian", "features=classifier"))
    assert "features=auto" in str(error.value)


def test_config_names_the_features_that_auto_picks():
    assert resolve(composed()).features == Classifier()
    assert resolve(composed("dataset=ring")).features == Pixels()


NAMES = "metric.names=[frechet,kernel,prdc,sharpness]"


def test_tags_name_features_that_are_not_the_default(digits):
    config = resolve(composed("features=pixels", NAMES))
    result = compute(supported_metrics(config, digits), scene(digits, "features=pixels", NAMES), final=True)
    named = {tag for tag in result.estimates if tag.endswith("/pixels")}
    assert named == {
        f"{tag}/pixels"
        for tag in (
            "divergence/frechet",
            "divergence/frechet_infinite",
            "divergence/kernel",
            "diversity/coverage",
            "diversity/recall",
            "fidelity/precision",
            "fidelity/density",
        )
    }
    assert set(result.estimates) - named == {"fidelity/sharpness"}
    assert named < set(expected_tags(config))
    assert named == {tag for tag in result.floors if tag.endswith("/pixels")}
    assert result.protocol["frechet"]["features"] == "pixels"
    assert result.protocol["frechet"]["features_dimension"] == 64


def test_default_features_have_plain_tags_by_name_too(digits):
    assert scene(digits, "features=classifier").tag_suffix == ""
    assert scene(digits).tag_suffix == ""


def test_floors_read_the_features_of_each_real_sample_once(digits, monkeypatch):
    evaluation = scene(digits)
    split = next(iter(real_against_real(evaluation, compares_real=True)))
    with torch.inference_mode():
        read = split.features_of_sides
        fresh = replace(split, read_features=None).features_of_sides
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(read, fresh, strict=True))
        calls: list[int] = []
        forward = Evaluation.features
        monkeypatch.setattr(Evaluation, "features", lambda self, x: calls.append(len(x)) or forward(self, x))
        for other in real_against_real(evaluation, compares_real=True):
            assert other.features_of_sides[0].shape == (60, 128)
    assert calls == []
    assert len(evaluation.once(pool_features)) == 2 * len(digits.holdout)


def test_features_are_read_in_chunks_by_their_bytes(digits, monkeypatch):
    evaluation = scene(digits)
    sizes: list[int] = []
    forward = type(evaluation.extractor).forward
    evaluation.extractor.bytes_per_sample = 2**23
    monkeypatch.setattr(
        type(evaluation.extractor), "forward", lambda self, x: sizes.append(len(x)) or forward(self, x)
    )
    with torch.inference_mode():
        evaluation.features(digits.train.take(torch.arange(20))[0])
    assert sizes == [8, 8, 4]


def test_features_do_not_depend_on_the_precision_of_the_run(digits):
    x, _ = digits.holdout.take(torch.arange(9))
    evaluation = scene(digits)
    with torch.inference_mode():
        plain = evaluation.features(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(evaluation.features(x), plain)


def test_suite_of_pixels_compares_what_data_are():
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    data = Data(Spec((2,)), Split(x), Split(x))
    evaluation = Evaluation(
        data=data, suite=Suite(n=30), device=torch.device("cpu"), seed=0, substitute=(x[:30], None)
    )
    assert evaluation.feature_name == "coordinates"
    assert torch.equal(evaluation.features_of_sides[1], x[:30].double())


@pytest.mark.parametrize("name", ["auto", "classifier", "pixels", "random"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 20)])
def test_dimension_is_known_before_the_features_are_loaded(name, shape, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 1)
    x, y = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    data = Data(Spec(shape, classes=2), Split(x, y), Split(x, y))
    features = build("features", {"name": name})
    extractor = features.extractor(data, torch.device("cpu"))
    with torch.inference_mode():
        assert extractor(x).shape == (8, features.dimension(data.spec)) == (8, extractor.dimension)


def test_pixels_of_large_images_are_averages_over_areas():
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    large = x.repeat_interleave(8, 2).repeat_interleave(8, 3)
    data = Data(Spec((3, 256, 256)), Split(large), Split(large))
    extractor = Pixels().load(data)
    torch.testing.assert_close(extractor(large), x.flatten(1))
    assert extractor.protocol["preprocessing"] == "averaged over areas to 32x32"


COMPARISONS = "metric.names=[frechet,kernel,prdc,nearest,class_accuracy]"


@pytest.mark.parametrize("features", ["classifier", "random"])
def test_numbers_are_the_same_with_one_thread_and_with_two(digits, features):
    words = f"features={features}", COMPARISONS, "objective=conditional"
    config, threads, found = resolve(composed(*words)), torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(compute(supported_metrics(config, digits), scene(digits, *words)).metrics)
    finally:
        torch.set_num_threads(threads)
    assert len(found[0]) == 9
    assert found[1] == pytest.approx(found[0], rel=1e-4, abs=1e-7)
