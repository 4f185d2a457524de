"""A classifier of the package is used for the samples that it was made for, and for no others."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

import gantrain
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.datasets.mnist import MNIST
from gantrain.errors import DataError
from gantrain.features.tools import shipped as module
from gantrain.features.tools.classifier import classifier, load_or_fit, predict
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.features.tools.shipped import (
    FOLDER,
    SHA256,
    Shipped,
    digest_of_samples,
    fresh_parts,
    shipped_classifier,
)

ROOTS = [
    Path(gantrain.__file__).parents[1] / name for name in ("data", "../shared/data")
]  # where MNIST may be
MNIST_ROOT = next((root for root in ROOTS if (root / "MNIST/raw").is_dir()), None)


@pytest.mark.parametrize("name", SHA256)
def test_shipped_weights_are_small_half_precision_numbers(name):
    shipped = Shipped.read(name)
    assert len(shipped.weights) < 2e6
    assert {tensor.dtype for tensor in load(shipped.weights).values()} == {torch.float16}
    assert {path.stem for path in FOLDER.iterdir()} == set(SHA256)


def all_samples(data: Data) -> tuple[Tensor, Tensor]:
    return torch.cat([data.train.x, data.holdout.x]), torch.cat([data.train.y, data.holdout.y])


@pytest.mark.parametrize(("seed", "share"), [(0, 0.2), (1, 0.5)])
def test_digits_of_any_split_have_the_shipped_classifier(seed, share):
    """It was trained on other writers' digits, so that every one of these is fresh."""
    data = Digits(holdout=share).load(seed)
    network = load_or_fit(data)
    assert network.sha256 == SHA256["digits"]
    x, y = all_samples(data)
    with torch.inference_mode():
        right = float((predict(network, x) == y).double().mean())
    assert right == pytest.approx(Shipped.read("digits").accuracy, abs=1e-4)
    assert right > 0.98


def changed(data: Data, kind: str) -> Data:
    x, y = data.train.x.clone(), data.train.y.clone()
    if kind == "a pixel":
        x[5, 0, 3, 3] += 0.125
    if kind == "a label":
        y[5] = (y[5] + 1) % 10
    return replace(data, train=Split(x[:-1], y[:-1]) if kind == "fewer" else Split(x, y))


@pytest.mark.parametrize("kind", ["a pixel", "a label", "fewer"])
def test_other_digits_have_no_shipped_classifier(kind):
    data = Digits().load(0)
    assert shipped_classifier(data).name == "digits"
    assert shipped_classifier(changed(data, kind)) is None
    assert shipped_classifier(replace(data, train=Split(data.train.x), spec=Spec((1, 8, 8)))) is None


@pytest.fixture
def own(tmp_path, monkeypatch) -> Data:
    """Samples whose classifier is in the package, and was trained on those that are neither held out nor reserved."""
    draws = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 1, 4, 4, generator=draws), torch.arange(60) % 3
    data = Data(Spec((1, 4, 4), classes=3), Split(x[:48], y[:48]), Split(x[48:], y[48:]))
    header = {
        "trained_on": "36 images",
        "accuracy": "0.5",
        "count": "60",
        "samples": digest_of_samples([data.train, data.holdout]),
        "fresh": digest_of_samples(fresh_parts(data)),
    }
    content = save(classifier(data.spec).state_dict(), header)
    (tmp_path / "own.safetensors").write_bytes(content)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "SHA256", {"own": hashlib.sha256(content).hexdigest()})
    return data


def test_shipped_classifier_saw_no_sample_that_floors_read(own):
    """Of the same samples split in another way it has been trained on some that stand for fresh ones."""
    assert shipped_classifier(own).name == "own"
    assert (
        shipped_classifier(replace(own, holdout=Split(own.holdout.x.flip(0), own.holdout.y.flip(0)))).name
        == "own"
    )
    x, y = all_samples(own)
    assert (
        shipped_classifier(replace(own, train=Split(x[12:], y[12:]), holdout=Split(x[:12], y[:12]))) is None
    )
    fitted, reserved = split_reserved_samples(own)
    order = torch.cat([reserved, fitted])
    assert shipped_classifier(replace(own, train=Split(own.train.x[order], own.train.y[order]))) is None


@pytest.mark.parametrize("damage", ["cut", "a bit", "absent", "folder"])
def test_a_damaged_file_of_the_package_is_refused(own, damage):
    (path,) = module.FOLDER.iterdir()
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "absent":
        path.write_bytes(content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match="install gantrain again") as error:
        load_or_fit(own)
    assert error.value.exit_code == 3
    assert str(path) in str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(MNIST_ROOT is None, reason="MNIST is not here")
def test_mnist_has_the_shipped_classifier():
    data = MNIST(root=str(MNIST_ROOT)).load(0)
    network = load_or_fit(data)
    assert network.sha256 == SHA256["mnist"]
    x, y = data.holdout.take(torch.arange(len(data.holdout)))
    with torch.inference_mode():
        right = float((predict(network, x) == y).double().mean())
    assert right == pytest.approx(Shipped.read("mnist").accuracy, abs=2e-4)
    assert right >= 0.99
