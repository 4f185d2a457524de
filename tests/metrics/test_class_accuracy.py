"""The classifier knows the data, is trained once, and survives whatever its cache holds."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from composed import composed
from run_of import run_of
from safetensors.torch import load, save

from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.features.tools import classifier as module
from gantrain.features.tools.classifier import classifier, load_or_fit, predict
from gantrain.metrics.class_accuracy import ClassAccuracy
from gantrain.training.evaluate import view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


@pytest.fixture(scope="module")
def here(digits) -> Path:
    """The tests' own cache, which holds the digits' classifier."""
    load_or_fit(digits)
    return Path(os.environ["XDG_CACHE_HOME"])


def refuse(*_):
    raise AssertionError("trained again")


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def holdout(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    return data.holdout.take(torch.arange(len(data.holdout)))


@pytest.fixture
def short(monkeypatch):
    """Training that takes a moment, long enough for ``small``."""
    monkeypatch.setattr(module, "STEPS", 100)


def small() -> Data:
    """Ninety points in three heaps."""
    draws = torch.Generator().manual_seed(0)
    y = torch.arange(90) % 3
    x = torch.eye(3)[y][:, :2] + 0.01 * torch.randn(90, 2, generator=draws)
    return Data(replace(Digits().spec(), shape=(2,), classes=3), Split(x, y), Split(x, y))


def test_it_knows_97_of_100_held_out_digits(digits, here):
    x, y = holdout(digits)
    right = float((predict(load_or_fit(digits), x) == y).float().mean())
    assert 0.97 <= right < 1


def test_classifier_is_fitted_once_for_the_same_data(digits, here, monkeypatch):
    files = set(here.rglob("*.*"))
    first = load_or_fit(digits)
    monkeypatch.setattr(module, "fit", refuse)
    assert same(load_or_fit(digits), first)
    assert set(here.rglob("*.*")) == files
    with pytest.raises(AssertionError, match="trained again"):
        load_or_fit(
            Digits().load(1)
        )  # another split: some of its held-out digits are training digits of this one
    relabelled = replace(digits, train=Split(digits.train.x, digits.train.y.roll(1)))
    with pytest.raises(AssertionError, match="trained again"):
        load_or_fit(relabelled)


def test_training_is_repeatable_and_takes_and_leaves_nothing(tmp_path, monkeypatch, short):
    networks = []
    for i in range(2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(i)))
        torch.manual_seed(i)  # what the program has drawn so far is no matter of the classifier's
        before = torch.get_rng_state()
        with torch.inference_mode():
            networks.append(load_or_fit(small()))
            networks.append(load_or_fit(small()))  # from the cache
        assert torch.equal(torch.get_rng_state(), before)
    assert all(same(network, networks[0]) for network in networks)


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "other shapes", "other names", "folder"])
def test_a_cache_that_cannot_be_used_is_made_anew(tmp_path, monkeypatch, short, damage):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = small()
    good = load_or_fit(data)
    (file,) = tmp_path.rglob("*.safetensors")
    content = file.read_bytes()
    tensors = load(content)
    bad = {
        "empty": b"",
        "cut": content[:-9],
        "garbage": os.urandom(100),
        "other shapes": save({name: tensor[..., :1].contiguous() for name, tensor in tensors.items()}),
        "other names": save({f"x{name}": tensor for name, tensor in tensors.items()}),
    }
    if damage == "folder":
        file.unlink()
        file.mkdir()
        assert same(load_or_fit(data), good)
        return
    file.write_bytes(bad[damage])
    assert same(load_or_fit(data), good)
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch, short):
    (tmp_path / "file").write_text("")
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    network = load_or_fit(small())
    x, y = holdout(small())
    assert torch.equal(predict(network, x), y)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_home_directory_is_used_when_no_cache_is_named(tmp_path, monkeypatch, short):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    load_or_fit(small())
    assert len(list((tmp_path / ".cache" / "gantrain").iterdir())) == 1


def reading(data: Data, words: list[str], substitute=None):
    config = resolve(composed("objective=conditional", "device=cpu", "model.width=4", *words))
    runtime = Runtime(config.device)
    evaluation = view(config, data, TrainState.create(config, data.spec, runtime), runtime)
    return evaluation if substitute is None else replace(evaluation, substitute=substitute)


def test_class_accuracy_of_data_is_the_classifiers(digits, here):
    metric, n = ClassAccuracy(), len(digits.holdout)
    evaluation = reading(digits, [f"metric.n={n}"], substitute=holdout(digits))
    with torch.inference_mode():
        value = metric(evaluation)["fidelity/class_accuracy"]
        protocol = metric.protocol(evaluation)
    assert value == protocol["classifier_accuracy"] >= 0.97
    assert protocol["n"] == n == 359
    assert protocol["split"] == "holdout"


def test_labels_without_meaning_score_chance(digits, here):
    """With labels drawn anew, hits are binomial: 359 draws of one in ten."""
    x, y = holdout(digits)
    draws = torch.Generator().manual_seed(0)
    shuffled = y[torch.randperm(len(y), generator=draws)]
    with torch.inference_mode():
        value = ClassAccuracy()(reading(digits, ["metric.n=359"], substitute=(x, shuffled)))[
            "fidelity/class_accuracy"
        ]
        wrong = ClassAccuracy()(reading(digits, ["metric.n=359"], substitute=(x, (y + 1) % 10)))[
            "fidelity/class_accuracy"
        ]
    assert abs(value - 0.1) < 4 * (0.1 * 0.9 / 359) ** 0.5
    assert wrong < 0.03


def test_it_is_for_samples_that_were_asked_for_by_class(digits):
    assert ClassAccuracy().why_unsupported(run_of(digits, True)) is None
    assert "condition" in ClassAccuracy().why_unsupported(run_of(digits, False))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (4, 28, 28), (2,), (1, 1, 1)])
def test_it_takes_any_image_and_points(shape):
    spec = replace(Digits().spec(), shape=shape, classes=7)
    assert classifier(spec)(torch.zeros(3, *shape)).shape == (3, 7)
