"""MNIST's four files: read as they are, and refused in one line when they are not what they should be."""

import gzip
import struct
from pathlib import Path

import pytest
import torch

from gantrain.core.spec import Spec
from gantrain.datasets.mnist import FILES, MNIST
from gantrain.errors import DataError

COUNTS = {"train": 20, "t10k": 10}


def idx(array: torch.Tensor, kind: int = 0x08) -> bytes:
    """The IDX format: two zero bytes, the type, the number of dimensions, each size, the values."""
    return (
        bytes([0, 0, kind, array.dim()])
        + struct.pack(f">{array.dim()}I", *array.shape)
        + array.numpy().tobytes()
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with small files of the right form."""
    generator = torch.Generator().manual_seed(0)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, n in COUNTS.items():
        images = torch.randint(0, 256, (n, 28, 28), generator=generator).to(torch.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx((torch.arange(n) % 10).to(torch.uint8)))
    return tmp_path


def raw(root: Path, name: str) -> Path:
    return root / "MNIST" / "raw" / name


def test_mnist_holds_the_files_in_order_and_the_test_files_out(root):
    data = MNIST(root=str(root)).load(0)
    assert data.spec == MNIST(root=str(root)).spec() == Spec((1, 28, 28), classes=10)
    assert data.density is None
    for part, name in ((data.train, "train"), (data.holdout, "t10k")):
        images = raw(root, f"{name}-images-idx3-ubyte").read_bytes()[16:]
        labels = raw(root, f"{name}-labels-idx1-ubyte").read_bytes()[8:]
        assert part.x.shape == (COUNTS[name], 1, 28, 28)
        assert part.x.dtype == torch.uint8  # a quarter of the memory; scaled batch by batch
        assert part.x.numpy().tobytes() == images
        assert part.y.dtype == torch.int64
        assert part.y.tolist() == list(labels)


def test_batches_are_scaled_from_0_and_255_to_minus_1_and_1(root):
    train = MNIST(root=str(root)).load(0).train
    x, _ = train.take(torch.arange(len(train)))
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, train.x.float() / 127.5 - 1)
    assert x[train.x == 0].unique().tolist() == [-1.0]
    assert x[train.x == 255].unique().tolist() == [1.0]


def test_the_published_split_does_not_depend_on_the_seed(root):
    first, other = MNIST(root=str(root)).load(0), MNIST(root=str(root)).load(1)
    assert torch.equal(first.train.x, other.train.x)
    assert torch.equal(first.holdout.x, other.holdout.x)


GOOD = torch.zeros(20, 28, 28, dtype=torch.uint8)
BAD_IMAGES = {
    "empty": b"",
    "three bytes": b"\0\0\x08",
    "header only": idx(GOOD)[:16],
    "cut short": idx(GOOD)[:-1],
    "a byte too long": idx(GOOD) + b"\0",
    "text": b"<html>404 not found</html>" * 100,
    "still compressed": gzip.compress(idx(GOOD)),
    "no such type": idx(GOOD, kind=0x0A),
    "of shorts": idx(GOOD.to(torch.int16), kind=0x0B),
    "of floats": idx(GOOD.float(), kind=0x0D),
    "four dimensions": idx(GOOD[:, None]),
    "two dimensions": idx(GOOD.flatten(1)),
    "another size": idx(GOOD[:, :27]),
    "one image too few": idx(GOOD[:19]),
    "no images": idx(GOOD[:0]),
    "labels in their place": idx(torch.zeros(20, dtype=torch.uint8)),
}
BAD_LABELS = {
    "empty": b"",
    "a class too many": idx((torch.arange(20) % 11).to(torch.uint8)),
    "one label too many": idx(torch.zeros(21, dtype=torch.uint8)),
    "images in their place": idx(GOOD),
    "of shorts": idx(torch.zeros(20, dtype=torch.int16), kind=0x0B),
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(pytest.param(FILES[0], content, id=f"images {case}") for case, content in BAD_IMAGES.items()),
        *(pytest.param(FILES[1], content, id=f"labels {case}") for case, content in BAD_LABELS.items()),
    ],
)
def test_mnist_refuses_other_files_and_names_the_folder(root, name, content):
    raw(root, name).write_bytes(content)
    with pytest.raises(DataError) as fault:
        MNIST(root=str(root)).load(0)
    assert fault.value.exit_code == 3
    assert str(raw(root, "")).rstrip("/") in str(fault.value)
    assert "\n" not in str(fault.value)


def test_the_test_files_are_checked_as_the_training_files_are(root):
    raw(root, FILES[3]).write_bytes(idx(torch.zeros(9, dtype=torch.uint8)))
    with pytest.raises(DataError, match=f"{FILES[2]} and {FILES[3]}"):
        MNIST(root=str(root)).load(0)


def test_a_home_folder_may_be_written_with_a_tilde(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    assert len(MNIST(root="~").load(0).train) == COUNTS["train"]
