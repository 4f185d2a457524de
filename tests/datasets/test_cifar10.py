"""CIFAR-10's pickles: images and labels as they are stored, and nothing is unpickled that is not the published file."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from gantrain.core.spec import Spec
from gantrain.datasets.cifar10 import CIFAR10, FILES
from gantrain.errors import DataError

PER_FILE = 6
BATCHES = FILES[:-1]


def batch(number: int) -> dict[str, object]:
    pixels = np.random.default_rng(number).integers(0, 256, (PER_FILE, 3072), np.uint8)
    return {"data": pixels, "labels": [(number + i) % 10 for i in range(PER_FILE)]}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Small files of the right form, whose check sums torchvision takes for the published ones."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    contents = {name: batch(number) for number, name in enumerate(BATCHES)}
    contents[FILES[-1]] = {"label_names": [str(i) for i in range(10)]}
    sums = {}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    listed = [[name, sums[name]] for name in BATCHES]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", listed[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", listed[5:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", datasets.CIFAR10.meta | {"md5": sums[FILES[-1]]})
    return tmp_path


def test_the_seven_files_are_those_that_torchvision_reads():
    lists = [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]
    assert (*(name for name, _ in lists), datasets.CIFAR10.meta["filename"]) == FILES


def test_cifar10_holds_the_files_in_order_and_the_test_file_out(root):
    data = CIFAR10(root=str(root)).load(0)
    assert data.spec == CIFAR10(root=str(root)).spec() == Spec((3, 32, 32), classes=10)
    for part, numbers in ((data.train, range(5)), (data.holdout, [5])):
        stored = [batch(number) for number in numbers]
        assert part.x.shape == (PER_FILE * len(stored), 3, 32, 32)
        assert part.x.dtype == torch.uint8
        assert part.x.is_contiguous()
        assert part.x.numpy().tobytes() == b"".join(
            entry["data"].tobytes() for entry in stored
        )  # plane by plane
        assert part.y.dtype == torch.int64
        assert part.y.tolist() == [label for entry in stored for label in entry["labels"]]


def test_the_published_split_does_not_depend_on_the_seed(root):
    first, other = CIFAR10(root=str(root)).load(0), CIFAR10(root=str(root)).load(1)
    assert torch.equal(first.train.x, other.train.x)
    assert torch.equal(first.holdout.x, other.holdout.x)


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", FILES)
def test_cifar10_pickle_that_was_altered_is_not_read(root, name):
    canary = root / "canary"
    (root / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(Touch(canary)))
    with pytest.raises(DataError, match="MD5") as fault:
        CIFAR10(root=str(root)).load(0)
    assert not canary.exists()
    assert fault.value.exit_code == 3
    assert str(root / "cifar-10-batches-py") in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("missing", [FILES[:1], FILES[-1:], FILES])
def test_cifar10_names_missing_files_and_leaves_no_folder(root, missing, tmp_path, monkeypatch):
    source = tmp_path / "nothing" / "cifar-10-python.tar.gz"
    monkeypatch.setattr(datasets.CIFAR10, "url", source.as_uri())
    elsewhere = tmp_path / "new" / "place"
    if missing != FILES:
        elsewhere = root
        for name in missing:
            (root / "cifar-10-batches-py" / name).unlink()
    with pytest.raises(DataError, match="cannot be downloaded") as fault:
        CIFAR10(root=str(elsewhere)).spec()
    assert ", ".join(missing) in str(fault.value)
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "new").exists()
