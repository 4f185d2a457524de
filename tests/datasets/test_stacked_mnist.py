"""Three digits in one image: each channel is a digit of the label, and no image is made before it is asked for."""

import struct
from collections import Counter
from pathlib import Path

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split
from gantrain.datasets.mnist import FILES, MNIST
from gantrain.datasets.stacked_mnist import StackedMNIST
from gantrain.errors import DataError

COUNTS = {"train": 30, "t10k": 20}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MNIST's four files with a few images, no two of them alike."""
    generator = torch.Generator().manual_seed(0)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, n in COUNTS.items():
        pixels = torch.randint(0, 256, (n, 28, 28), generator=generator).to(torch.uint8)
        images = struct.pack(">IIII", 0x803, n, 28, 28) + pixels.numpy().tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = struct.pack(">II", 0x801, n) + bytes(7 * i % 10 for i in range(n))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    return tmp_path


def labels(root: Path, name: str) -> dict[bytes, int]:
    """Return the label of each image of a file, by its pixels."""
    raw = root / "MNIST" / "raw"
    pixels = (raw / f"{name}-images-idx3-ubyte").read_bytes()[16:]
    digits = (raw / f"{name}-labels-idx1-ubyte").read_bytes()[8:]
    return {pixels[784 * i : 784 * (i + 1)]: digit for i, digit in enumerate(digits)}


def stored(x: torch.Tensor) -> torch.Tensor:
    """Return images in [-1, 1] as the bytes they were."""
    return ((x + 1) * 127.5).round().to(torch.uint8)


def everything(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    return split.take(torch.arange(len(split)))


@pytest.mark.parametrize("seed", [0, 5])
def test_stacked_mnist_channels_are_the_digits_of_the_label(root, seed):
    """Looked up by pixels in the files, so a held-out digit that is a training image would not be found."""
    data = StackedMNIST(root=str(root), n=200, n_holdout=100).load(seed)
    for split, name in ((data.train, "train"), (data.holdout, "t10k")):
        x, y = everything(split)
        known = labels(root, name)
        written = [int("".join(str(known[c.numpy().tobytes()]) for c in image)) for image in stored(x)]
        assert written == y.tolist()
        used = {c.numpy().tobytes() for image in stored(x) for c in image}
        assert used == set(known)  # 300 draws and more of 30 digits and fewer


def test_stacked_mnist_spec_needs_no_files(root):
    dataset = StackedMNIST(root=str(root), n=7, n_holdout=5)
    spec = dataset.spec()
    assert spec == Spec((3, 28, 28), classes=1000, channel_classes=10) == dataset.load(0).spec
    assert spec.channel_classes ** spec.shape[0] == spec.classes
    assert Spec.from_plain(spec.plain()) == spec
    assert (len(dataset.load(0).train), len(dataset.load(0).holdout)) == (7, 5)


def test_batches_are_those_of_every_split(root):
    train = StackedMNIST(root=str(root), n=50, n_holdout=5).load(0).train
    index = torch.tensor([3, 0, 49, 3])
    x, y = train.take(index)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((4, 3, 28, 28), torch.float32, (4,), torch.int64)
    assert (float(x.min()), float(x.max())) == (-1, 1)
    whole, labels = everything(train)
    assert torch.equal(x, whole[index])
    assert torch.equal(y, labels[index])


def test_the_seed_decides_the_triples_and_nothing_else_does(root):
    dataset = StackedMNIST(root=str(root), n=300, n_holdout=200)
    torch.rand(3)
    first, again, other = dataset.load(0), dataset.load(0), dataset.load(1)
    for part in ("train", "holdout"):
        for key in ("x", "y", "rows"):
            assert torch.equal(getattr(getattr(first, part), key), getattr(getattr(again, part), key))
        assert torch.equal(getattr(first, part).x, getattr(other, part).x)
        same = (getattr(first, part).rows == getattr(other, part).rows).float().mean()
        assert same < 0.2  # one in 20 or 30 by chance
    same = (first.train.rows[:200] == first.holdout.rows).float().mean()
    assert same < 0.2


def test_loading_leaves_the_generator_of_torch_alone(root):
    before = torch.get_rng_state()
    StackedMNIST(root=str(root), n=9, n_holdout=9).load(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_are_drawn_evenly_and_apart(root):
    """Counts of single digits, and of pairs in two channels, are chi-squared around their degrees of freedom."""
    rows = StackedMNIST(root=str(root), n=90_000, n_holdout=5).load(0).train.rows
    m = COUNTS["train"]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        for at, cells in ((rows[:, a], m), (rows[:, b], m), (rows[:, a] * m + rows[:, b], m * m)):
            expected = len(rows) / cells
            chi2 = float((torch.bincount(at, minlength=cells) - expected).square().sum() / expected)
            assert abs(chi2 - (cells - 1)) < 5 * (2 * (cells - 1)) ** 0.5


def test_every_class_comes(root):
    y = StackedMNIST(root=str(root), n=20_000, n_holdout=5).load(0).train.y
    assert len(Counter(y.tolist())) == 1000  # the last is absent with a chance of 1000 exp(-20)
    assert (int(y.min()), int(y.max())) == (0, 999)


def test_an_image_costs_its_three_numbers_and_its_label(root):
    n = 500_000  # 1.2 GB as images
    data = StackedMNIST(root=str(root), n=n, n_holdout=n).load(0)
    for split, name in ((data.train, "train"), (data.holdout, "t10k")):
        assert split.file is None
        held = (split.x, split.y, split.rows)
        assert all(isinstance(tensor, torch.Tensor) for tensor in held)
        assert sum(t.untyped_storage().nbytes() for t in held) <= 784 * COUNTS[name] + 8 * (3 + 1) * n
    assert data.train.take(torch.tensor([n - 1]))[0].shape == (1, 3, 28, 28)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["empty", "cut", "text", "of another part"])
def test_stacked_mnist_refuses_files_as_mnist_does(root, name, damage):
    path = root / "MNIST" / "raw" / name
    content, other = path.read_bytes(), path.with_name(FILES[(FILES.index(name) + 2) % 4])
    bad = {"empty": b"", "cut": content[:-1], "text": b"<html>" * 99, "of another part": other.read_bytes()}
    path.write_bytes(bad[damage])
    said = []
    for dataset in (MNIST(root=str(root)), StackedMNIST(root=str(root))):
        with pytest.raises(DataError) as fault:
            dataset.load(0)
        said.append(str(fault.value))
        assert fault.value.exit_code == 3
    assert said[0] == said[1]
    assert "\n" not in said[0]


def test_files_that_are_absent_are_refused_as_mnist_refuses_them(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nothing listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    said = []
    for dataset in (MNIST(root=str(tmp_path)), StackedMNIST(root=str(tmp_path))):
        for ask in (dataset.spec, lambda d=dataset: d.load(0)):
            with pytest.raises(DataError, match=r"lacks .* cannot be downloaded") as fault:
                ask()
            said.append(str(fault.value))
    assert len(set(said)) == 1
    assert list(tmp_path.iterdir()) == []


def test_stacked_mnist_metric_gives_way_to_the_command_line():
    spec = Spec((3, 28, 28), classes=1000, channel_classes=10)
    chosen, given = (
        resolve(composed("dataset=stacked_mnist", *words), spec).metric
        for words in ([], ["metric=class_modes", "metric.n=26000"])
    )
    assert {"js", "class_modes"} <= set(chosen.names)
    assert (given.names, given.n) == (["class_modes"], 26_000)
