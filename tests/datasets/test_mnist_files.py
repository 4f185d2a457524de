"""MNIST files that are missing, damaged or swapped."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from idx_files import write_idx
from malformed import Setup, check, nothing, own, row

RAW = "data/MNIST/raw"


def idx(array: torch.Tensor) -> bytes:
    """The IDX format: two zero bytes, the type, the number of dimensions, each size, the values."""
    sizes = struct.pack(f">{array.dim()}I", *array.shape)
    return bytes([0, 0, 8, array.dim()]) + sizes + array.to(torch.uint8).numpy().tobytes()


def mnist(damage: Callable[[Path], object]) -> Setup:
    """Lay out a small whole MNIST, and damage it."""

    def setup(folder: Path) -> None:
        raw = folder / RAW
        write_idx(raw, 20, 10)
        damage(raw)

    return setup


def swapped(raw: Path) -> None:
    """Let the labels of both parts change places."""
    paths = [raw / f"{part}-labels-idx1-ubyte" for part in ("train", "t10k")]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)


def a_folder_in_its_place(raw: Path) -> None:
    (raw / "t10k-labels-idx1-ubyte").unlink()
    (raw / "t10k-labels-idx1-ubyte").mkdir()


def write(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda raw: (raw / name).write_bytes(change((raw / name).read_bytes()))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
MNIST = "dataset=mnist dataset.root=data train.batch_size=2 debug=tiny"
UNREADABLE = "cannot be read as MNIST"
DATA = {
    "no root": (nothing, "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k"),
    "an empty root": (lambda folder: (folder / "data").mkdir(), "lacks train-images-idx3-ubyte"),
    "an empty raw": (lambda folder: (folder / RAW).mkdir(parents=True), "lacks train-images-idx3-ubyte"),
    "a file for a root": (lambda folder: (folder / "data").write_text("x"), "dataset.root"),
    "a file for raw": (lambda folder: own("../data/MNIST/raw", "x")(folder), "dataset.root"),
    "one file missing": (mnist(lambda raw: (raw / LABELS).unlink()), f"lacks {LABELS} and"),
    "a folder for a file": (mnist(a_folder_in_its_place), "lacks t10k-labels-idx1-ubyte and"),
    "truncated images": (mnist(write(IMAGES, lambda b: b[:-100])), UNREADABLE),
    "a header alone": (mnist(write(IMAGES, lambda b: b[:16])), UNREADABLE),
    "an empty file": (mnist(write(IMAGES, lambda b: b"")), UNREADABLE),
    "wrong magic": (mnist(write(IMAGES, lambda b: b"\0\0\x42\x03" + b[4:])), UNREADABLE),
    "a web page": (mnist(write(LABELS, lambda b: b"<html>404 Not Found</html>")), UNREADABLE),
    "a compressed file": (mnist(write(LABELS, lambda b: b"\x1f\x8b\x08" + b)), UNREADABLE),
    "swapped labels": (mnist(swapped), "do not belong together"),
    "labels for images": (mnist(write(LABELS, lambda b: idx(torch.zeros(20, 28, 28)))), UNREADABLE),
    "a label too few": (mnist(write(LABELS, lambda b: idx(torch.arange(19) % 10))), "do not belong together"),
    "a label out of range": (mnist(write(LABELS, lambda b: b[:-1] + b"\x0a")), "do not belong together"),
    "images of another size": (mnist(write(IMAGES, lambda b: idx(torch.zeros(20, 28, 27)))), "do not belong"),
    "no images": (mnist(lambda raw: [(raw / IMAGES).write_bytes(idx(torch.zeros(0, 28, 28)))]), RAW),
}


@pytest.fixture
def offline(monkeypatch):
    """Let every download fail at once: its proxy is a port where nothing listens."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


# One of each kind of fault; what else is wrong in the same place is refused by the same line.
SOON = (
    *("no root", "a file for a root", "one file missing", "a folder for a file", "truncated images"),
    *("a web page", "swapped labels", "a label out of range", "no images"),
)


@pytest.mark.parametrize(
    "case", [case if case in SOON else pytest.param(case, marks=pytest.mark.slow) for case in DATA]
)
def test_data_malformed_is_one_line_before_any_run(case, run_cli, tmp_path, offline):
    setup, words = DATA[case]
    check(row(MNIST, f"DIR/{RAW}", words, code=3, setup=setup), run_cli, tmp_path)
