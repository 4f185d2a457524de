"""Classes are counted by VEEGAN's and PacGAN's protocol, and a classifier judges each channel by itself."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from composed import composed
from run_of import run_of
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.datasets.digits import Digits
from gantrain.datasets.gaussians import Ring
from gantrain.datasets.stacked_mnist import stack_digits
from gantrain.features.classifier import Classifier
from gantrain.features.tools import classifier as module
from gantrain.features.tools.classifier import (
    classifier,
    fit_to_training_split,
    load_or_fit,
    predict,
    shared_classifier,
)
from gantrain.metrics.base import Evaluation
from gantrain.metrics.class_modes import ClassModes, count_classes
from gantrain.metrics.gan_test import GanTest
from gantrain.metrics.modes import Modes
from gantrain.training.evaluate import compute, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

K = 1000


def uniform(n: int, repeats: int, k: int = K) -> Tensor:
    """Return ``count_classes`` of ``repeats`` draws of n labels: modes and mode_kl, shape [repeats, 2]."""
    draws = torch.Generator().manual_seed(n)
    counts = [count_classes(torch.randint(k, (n,), generator=draws), k) for _ in range(repeats)]
    return torch.tensor([[c["modes"], c["mode_kl"]] for c in counts], dtype=torch.float64)


# ------------------------------------------------------------------------------------------ the counting


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_an_even_histogram_is_0_and_one_class_is_log_k(k):
    even, one = torch.arange(k).repeat(3), torch.full((50,), k - 1)
    assert count_classes(even, k) == {"modes": k, "mode_kl": pytest.approx(0, abs=1e-12)}
    assert count_classes(one, k) == {"modes": 1, "mode_kl": pytest.approx(math.log(k), abs=1e-12)}


@pytest.mark.parametrize("found", [1, 2, 100, 500, 999])
def test_class_modes_kl_of_an_even_part_is_its_log_share(found):
    y = torch.randperm(K, generator=torch.Generator().manual_seed(0))[:found].repeat(4)
    expected = {"modes": found, "mode_kl": pytest.approx(math.log(K / found), abs=1e-12)}
    assert count_classes(y, K) == expected


def test_class_modes_kl_of_an_uneven_histogram():
    shares = [6, 3, 1]
    expected = sum(s / 10 * math.log(s / 10 * K) for s in shares)
    for names in ([0, 1, 2], [999, 0, 123]):
        y = torch.tensor(names).repeat_interleave(torch.tensor(shares))
        for labels in (y, y.flip(0), y.repeat(7)):
            assert count_classes(labels, K) == {"modes": 3, "mode_kl": pytest.approx(expected, abs=1e-12)}


@pytest.mark.parametrize("n", [100, 1000, 2600, 10_000])
def test_uniform_labels_find_as_many_classes_as_balls_fill_urns(n):
    """E = K (1 - (1 - 1/K)^n); the variance follows from the chance that two urns stay empty."""
    empty, both = (1 - 1 / K) ** n, (1 - 2 / K) ** n
    mean, variance = K * (1 - empty), K * empty + K * (K - 1) * both - (K * empty) ** 2
    modes = uniform(n, 300)[:, 0]
    assert abs(float(modes.mean()) - mean) < 4 * math.sqrt(variance / 300)
    assert abs(float(modes.std()) - math.sqrt(variance)) < 0.2 * math.sqrt(variance) + 0.02


@pytest.mark.parametrize("n", [10_000, 26_000, 100_000])
def test_uniform_labels_meet_the_floor_of_mode_kl(n):
    """2n KL is chi-squared with K - 1 degrees of freedom; the next order of its mean is (K^2 - 1) / 12n^2."""
    kl = uniform(n, 300)[:, 1]
    floor = (K - 1) / (2 * n) + (K * K - 1) / (12 * n * n)
    spread = math.sqrt(2 * (K - 1)) / (2 * n)
    assert abs(float(kl.mean()) - floor) < 4 * spread / math.sqrt(300) + 0.005 * floor
    assert abs(float(kl.std()) / spread - 1) < 0.2


def test_class_modes_floor_at_26000_samples_is_0_0193():
    modes, kl = uniform(26_000, 300).mean(0).tolist()
    assert modes == K
    assert abs(kl - 0.0193) < 0.0002


# ------------------------------------------------------------------------------------------ the classifier


@pytest.fixture(scope="module")
def data() -> Data:
    """Scikit-learn's digits in threes, so that the classifier is a matter of seconds."""
    digits, generator = Digits().load(0), torch.Generator().manual_seed(0)
    train, holdout = (stack_digits(split, 3000, generator) for split in (digits.train, digits.holdout))
    return Data(Spec((3, 8, 8), classes=K, channel_classes=10), train, holdout)


def untrained(channels: int, k: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return a classifier of stacked channels, and one of single channels that has the same weights."""
    stack = classifier(Spec((channels, 8, 8), k**channels, channel_classes=k))
    single = classifier(Spec((1, 8, 8), k))
    values = list(stack.state_dict().values())
    single.load_state_dict(dict(zip(single.state_dict(), values, strict=True)))
    with torch.no_grad():  # untrained, both would say one class of everything
        mean = single(torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(1))).mean(0)
        for network in (stack, single):
            list(network.parameters())[-1].sub_(mean)
    return stack, single


@pytest.mark.parametrize(("channels", "k"), [(1, 10), (2, 3), (3, 10), (4, 5)])
def test_class_modes_label_joins_the_channels_classes(channels, k):
    stack, single = untrained(channels, k)
    x = torch.randn(200, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    digits = torch.stack([predict(single, x[:, c : c + 1]) for c in range(channels)], 1)
    written = [int(sum(d * k**p for p, d in enumerate(reversed(row)))) for row in digits.tolist()]
    assert predict(stack, x).tolist() == written
    assert len(set(written)) > k / 2


def test_learning_the_label_is_learning_each_channel_by_itself():
    stack, single = untrained(3, 10)
    draws = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 3, 8, 8, generator=draws), torch.randint(10, (20, 3), generator=draws)
    whole = cross_entropy(stack(x), y @ torch.tensor([100, 10, 1]))
    parts = 3 * cross_entropy(single(x.reshape(60, 1, 8, 8)), y.flatten())
    torch.testing.assert_close(whole, parts)
    for network, loss in ((stack, whole), (single, parts)):
        network.zero_grad()
        loss.backward()
    for a, b in zip(stack.parameters(), single.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_features_are_those_of_each_channel_side_by_side(data):
    x, _ = data.holdout.take(torch.arange(40))
    with torch.inference_mode():
        features = Classifier().extractor(data, torch.device("cpu"))
        found = features(x)
        moved = features(x[:, [2, 0, 1]])
        altered = features(torch.cat([x[:, :2], -x[:, 2:]], 1))
    assert found.shape == (40, 3 * 128)
    assert (found >= 0).all()  # behind a ReLU
    torch.testing.assert_close(
        moved, found.reshape(40, 3, 128)[:, [2, 0, 1]].flatten(1), rtol=1e-5, atol=1e-5
    )
    assert torch.equal(altered[:, :256], found[:, :256])
    assert not torch.equal(altered[:, 256:], found[:, 256:])


def test_class_modes_without_channel_classes():
    network = classifier(Spec((3, 8, 8), 10))
    assert network[0].in_channels == 3
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_class_modes_classifier_is_fitted_for_each_stacking(data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "STEPS", 2)
    rows = data.train.rows
    for order in (rows, rows, rows.flip(0)):
        load_or_fit(replace(data, train=replace(data.train, rows=order)))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_the_classifier_is_trained_the_same_way_each_time(data, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 5)
    weights = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        weights.append(fit_to_training_split(data).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# ------------------------------------------------------------------------------------------ the metric


def evaluation(data: Data, *words: str, substitute: tuple[Tensor, Tensor | None] | None = None) -> Evaluation:
    plain = composed("device=cpu", "model.width=4", "objective=conditional", *words)
    config = resolve(plain, data.spec)
    runtime = Runtime(config.device)
    scene = view(config, data, TrainState.create(config, data.spec, runtime), runtime)
    return scene if substitute is None else replace(scene, substitute=substitute)


@pytest.mark.slow
def test_data_in_the_place_of_samples_read_as_their_labels_do(data):
    """The classifier is right about 9 stacks in 10, and errs into classes that are hardly more or less frequent."""
    x, y = data.holdout.take(torch.arange(3000))
    scene = evaluation(data, "metric.n=3000", substitute=(x, y))
    found = compute([ClassModes(), GanTest()], scene)
    truth, right = count_classes(y, K), found.metrics["fidelity/gan_test"]
    assert 0.85 < right < 1
    assert abs(found.metrics["diversity/modes"] - truth["modes"]) < 25
    assert abs(found.metrics["diversity/mode_kl"] - truth["mode_kl"]) < 0.03
    for name in ("class_modes", "gan_test"):
        protocol = found.protocol[name]
        assert protocol["classifier_accuracy"] == right
        assert protocol["classifier"] == "trained on the labels of the training split, 600 steps"
        assert (protocol["n"], protocol["split"]) == (3000, "holdout")
    assert found.protocol["class_modes"]["of"] == K


@pytest.mark.slow
def test_labels_of_channels_in_another_order_are_wrong(data):
    x, y = data.holdout.take(torch.arange(3000))
    scene = evaluation(data, "metric.n=3000", substitute=(x[:, [2, 1, 0]], y))
    value = compute([GanTest()], scene).metrics["fidelity/gan_test"]
    same = float((y // 100 == y % 10).float().mean())  # these read the same backwards
    assert same - 0.03 < value < same + 0.01


@pytest.mark.parametrize("classes", [1, 4, 32])
def test_samples_that_collapsed_read_as_many_modes_as_they_have(data, classes):
    """Images whose predictions differ stand for modes; each is given as often as the others."""
    x, _ = data.train.take(torch.arange(300))
    with torch.inference_mode():
        labels = predict(shared_classifier(data), x).tolist()
    first = [labels.index(label) for label in list(dict.fromkeys(labels))[:classes]]
    values = compute([ClassModes()], evaluation(data, substitute=(x[first].repeat(5, 1, 1, 1), None))).metrics
    assert values == {
        "diversity/modes": classes,
        "diversity/mode_kl": pytest.approx(math.log(K / classes), abs=1e-12),
    }


def test_all_samples_count_however_little_they_look_like_a_class(data):
    noise = torch.randn(200, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        labels = predict(shared_classifier(data), noise)
    values = compute([ClassModes()], evaluation(data, substitute=(noise, None))).metrics
    assert {name.split("/")[1]: value for name, value in values.items()} == count_classes(labels, K)


def test_class_modes_floor_is_that_of_fresh_stacks(data):
    scene = evaluation(data, "metric.n=2000")
    reading = compute([ClassModes()], scene, final=True)
    truth = count_classes(scene.real[1], K)
    assert abs(reading.floors["diversity/modes"] - truth["modes"]) < 25
    assert abs(reading.floors["diversity/mode_kl"] - truth["mode_kl"]) < 0.05
    assert reading.metrics["diversity/mode_kl"] > reading.floors["diversity/mode_kl"]


def test_class_modes_and_modes_support_different_data(data):
    ring, digits = Ring(n=50, n_holdout=50).load(0), Digits().load(0)
    for conditional in (True, False):
        assert ClassModes().why_unsupported(run_of(data, conditional)) is None
        assert Modes().why_unsupported(run_of(ring, conditional)) is None
        refused = [
            Modes().why_unsupported(run_of(data, conditional)),
            *(ClassModes().why_unsupported(run_of(d, conditional)) for d in (ring, digits)),
        ]
        assert all(isinstance(reason, str) for reason in refused)
