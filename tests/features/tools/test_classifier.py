"""One classifier serves every metric of a run; it is trained once, and survives whatever its cache holds."""

from __future__ import annotations

import gc
import hashlib
import os
import tempfile
import weakref
from dataclasses import replace

import pytest
import torch
from composed import composed
from safetensors.torch import load, save

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.features.tools import classifier as module
from gantrain.features.tools.classifier import classifier, load_or_fit, predict, shared_classifier
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
    words = ["objective=conditional", "metric.n=40", "metric.names=[gan_test,frechet,kernel]"]
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


def refuse(*_):
    raise AssertionError("trained again")


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


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


def holdout(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    return data.holdout.take(torch.arange(len(data.holdout)))


def test_classifier_of_other_labels_or_samples_is_another(tmp_path, monkeypatch, short):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = small()
    first = load_or_fit(data)
    monkeypatch.setattr(module, "fit", refuse)
    again = load_or_fit(data)
    assert same(again, first)
    assert (
        again.sha256
        == first.sha256
        == hashlib.sha256(next(tmp_path.rglob("*.safetensors")).read_bytes()).hexdigest()
    )
    x, y = data.train.x, data.train.y
    for other in (Split(x, y.roll(1)), Split(x.roll(1, 0), y), Split(x[:-1], y[:-1])):
        with pytest.raises(AssertionError, match="trained again"):
            load_or_fit(replace(data, train=other))


def test_classifier_sees_large_images_averaged_to_32_pixels():
    network = classifier(Spec((3, 256, 200), classes=4))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    large = x.repeat_interleave(8, 2).repeat_interleave(8, 3)
    torch.testing.assert_close(network(large), network[1:](x))
    assert sum(weight.numel() for weight in network.parameters()) < 600_000


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (4, 28, 28), (2,), (1, 1, 1)])
def test_classifier_takes_any_image_and_points(shape):
    spec = replace(Digits().spec(), shape=shape, classes=7)
    assert classifier(spec)(torch.zeros(3, *shape)).shape == (3, 7)
