"""The embedded digits: all of them, unaltered but for the scale, and split once."""

import gzip
import importlib.util
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gantrain.core.spec import Spec
from gantrain.datasets.base import Split, split
from gantrain.datasets.digits import Digits, read_table
from gantrain.errors import DataError


def test_digits_are_bit_for_bit_those_that_sklearn_loads():
    data = Digits().load(3)
    assert data.spec == Digits().spec() == Spec((1, 8, 8), classes=10)
    pixels, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(pixels.astype(np.float32)).div(8.0).sub(1.0).reshape(-1, 1, 8, 8)
    for part, loaded in zip(
        split(x, torch.from_numpy(labels), 0.2, 3), (data.train, data.holdout), strict=True
    ):
        assert loaded.x.dtype == torch.float32
        assert loaded.y.dtype == torch.int64
        assert torch.equal(part.x, loaded.x)
        assert torch.equal(part.y, loaded.y)


def test_digits_that_are_not_installed_are_refused(monkeypatch, tmp_path):
    absent = re.escape(
        "dataset=digits: scikit-learn's datasets/data/digits.csv.gz is not installed; pip install "
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=absent):
        Digits().spec()
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: package)
    with pytest.raises(DataError, match=absent):
        Digits().load(0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"1,2\n", r"cannot be read \(Not a gzipped file"),
        (gzip.compress(b"1,2\n3,4\n"), r"holds a table of \(2, 2\), not of \(1797, 65\)"),
        (gzip.compress(b"1,a\n"), "cannot be read .could not convert string 'a'"),
        (gzip.compress(bytes(1000))[:-9], r"cannot be read \(Compressed file ended"),
    ],
    ids=["unpacked", "another", "no table", "cut"],
)
def test_a_file_of_digits_that_is_damaged_is_refused(content, what, tmp_path):
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {what}.*; pip install --force-reinstall"):
        read_table(path)


def test_pixels_are_float32_from_minus_1_for_paper_to_1_for_ink():
    x = torch.cat([part.x for part in (Digits().load(0).train, Digits().load(0).holdout)])
    assert x.dtype == torch.float32
    assert x.unique().tolist() == [level / 8 - 1 for level in range(17)]
    assert x[:, :, :, 0].mean() < -0.9  # the margin is paper


@pytest.mark.parametrize(("holdout", "held"), [(0.2, 359), (0.5, 898), (1e-9, 1), (1 - 1e-9, 1796)])
def test_split_holds_out_its_fraction_and_empties_no_part(holdout, held):
    data = Digits(holdout=holdout).load(0)
    assert abs(len(data.holdout) - held) <= 1
    assert min(len(data.train), len(data.holdout)) >= 1
    assert len(data.train) + len(data.holdout) == 1797


def test_both_parts_have_every_class_in_about_its_share():
    data = Digits().load(0)
    counts = data.holdout.y.bincount(minlength=10)
    assert (counts - 35.9).abs().max() < 5 * (35.9 * 0.9) ** 0.5


def test_a_split_is_disjoint_complete_and_a_function_of_the_seed():
    x, y = torch.arange(101).float()[:, None], torch.arange(101) % 7
    train, held = split(x, y, 0.3, 5)
    assert sorted(torch.cat([train.x, held.x]).flatten().tolist()) == list(range(101))
    assert (len(train), len(held)) == (71, 30)
    for part in (train, held):
        assert torch.equal(part.y, part.x.flatten().long() % 7)
    again, other = split(x, y, 0.3, 5)[1], split(x, y, 0.3, 6)[1]
    assert torch.equal(held.x, again.x)
    assert not torch.equal(held.x, other.x)
    assert not torch.equal(train.x, train.x.sort(0).values)  # shuffled: files often come sorted by class


def test_a_split_without_labels_has_none():
    train, held = split(torch.zeros(4, 1), None, 0.5, 0)
    assert train.y is held.y is None


def test_split_takes_bytes_as_numbers_from_minus_1_to_1():
    levels = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)
    x, y = Split(levels).take(torch.arange(256))
    assert x.dtype == torch.float32
    assert y is None
    assert (x[0].item(), x[255].item()) == (-1.0, 1.0)
    torch.testing.assert_close(x, -x.flip(0), rtol=0, atol=1e-7)
    assert torch.equal(((x + 1) * 127.5).round().to(torch.uint8), levels)


def test_split_takes_floats_as_they_are():
    stored = torch.tensor([[3.0, -7.0], [0.25, 1e6]])
    x, y = Split(stored, torch.tensor([4, 9])).take(torch.tensor([1, 1, 0]))
    assert x.tolist() == [[0.25, 1e6], [0.25, 1e6], [3.0, -7.0]]
    assert y.tolist() == [9, 9, 4]
    x.zero_()
    assert stored.tolist() == [[3.0, -7.0], [0.25, 1e6]]
