"""Pictures in NumPy's files: the order of dimensions, the range of numbers, and what is refused."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gantrain.datasets.files.image_arrays import read_arrays, resize
from gantrain.datasets.files.image_file import Target
from gantrain.errors import DataError

LEVELS = np.arange(5 * 6 * 7 * 3, dtype=np.uint8).reshape(5, 6, 7, 3)  # [N, H, W, C]
FLOATS = LEVELS / np.float32(127.5) - 1


def saved(folder: Path, x: np.ndarray, **others: np.ndarray) -> Path:
    if others:
        np.savez(folder / "x.npz", x=x, **others)
        return folder / "x.npz"
    np.save(folder / "x.npy", x)
    return folder / "x.npy"


@pytest.mark.parametrize(
    ("x", "kind", "scale"),
    [
        (LEVELS, "uint8 from 0 to 255", 1),
        (LEVELS.astype(np.int64), "int64 from 0 to 255", 1),
        (FLOATS, "float32 in [-1, 1]", 127.5),
        (FLOATS.astype(np.float64), "float64 in [-1, 1]", 127.5),
        (LEVELS / np.float32(255), "float32 in [0, 1]", 127.5),
        ((LEVELS / 255).astype(np.float16), "float16 in [0, 1]", 127.5),
    ],
)
@pytest.mark.parametrize("order", ["N x H x W x C", "N x C x H x W"])
def test_arrays_are_read_in_either_order_and_range(tmp_path, x, kind, scale, order):
    ordered = x if order == "N x H x W x C" else np.moveaxis(x, 3, 1)
    found = read_arrays(saved(tmp_path, ordered), 1)
    assert found.description == f"{kind}, {order}"
    assert found.x.dtype == (torch.uint8 if scale == 1 else torch.float32)
    levels = found.x.float() if scale == 1 else (found.x + 1) * scale
    expected = torch.from_numpy(np.moveaxis(LEVELS, 3, 1).astype(np.float32))
    torch.testing.assert_close(levels, expected, rtol=0, atol=0.2 if "16" in kind else 1e-4)


def test_arrays_of_grey_pictures_and_labels(tmp_path):
    y = np.array([3, 0, 3, 1, 0], np.int32)
    found = read_arrays(saved(tmp_path, LEVELS[..., 0], arr_1=y), 1)
    assert found.x.shape == (5, 1, 6, 7)
    assert found.y.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (LEVELS[..., :2], "no number is that of 1, 3 or 4 channels"),
        (np.zeros((5, 3, 7, 3), np.uint8), "may be its second or its last"),
        (LEVELS[0], "may be that of one picture"),
        (LEVELS[0, 0], "no array of pictures"),
        (LEVELS[:0], "no pictures"),
        (LEVELS.astype(np.int16) * 100, "no levels from 0 to 255"),
        (LEVELS.astype(np.int16) - 1, "no levels from 0 to 255"),
        (LEVELS.astype(np.int64) // 255, "no levels from 0 to 255"),
        (LEVELS.astype(np.float32), "from 0 to 255, neither in [-1, 1] nor in [0, 1]"),
        (FLOATS * 1.01, "neither in [-1, 1] nor in [0, 1]"),
        (np.full_like(FLOATS, np.nan), "not finite"),
        (np.where(FLOATS > 0.99, np.inf, FLOATS), "not finite"),
        (np.ones_like(FLOATS), "whose range is not known"),
        (LEVELS > 100, "holds bool"),
        (LEVELS.astype(np.complex64), "holds complex64"),
        (LEVELS.astype("S1"), "holds |S1"),
    ],
)
def test_arrays_that_are_ambiguous_or_no_pictures_are_refused(tmp_path, x, problem):
    with pytest.raises(DataError) as caught:
        read_arrays(saved(tmp_path, x), 1)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        ({"more": LEVELS}, "several arrays of pictures (x (5, 6, 7, 3), more (5, 6, 7, 3))"),
        ({"y": np.zeros(5), "z": np.zeros(5)}, "several arrays that may be labels"),
        ({"y": np.zeros(5)}, "labels of float64"),
        ({"y": np.arange(5) - 1}, "not whole numbers from 0"),
    ],
)
def test_arrays_with_others_next_to_them_are_refused(tmp_path, others, problem):
    with pytest.raises(DataError) as caught:
        read_arrays(saved(tmp_path, LEVELS, **others), 1)
    assert problem in str(caught.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def hostile(kind: str) -> bytes:
    whole = io.BytesIO()
    if kind == "a pickle":
        return pickle.dumps(Trap())
    if kind == "objects":
        np.save(whole, np.array([Trap()] * 4, dtype=object), allow_pickle=True)
    elif kind == "a text":
        return b"pictures"
    elif kind == "cut":
        np.save(whole, LEVELS)
        return whole.getvalue()[:-9]
    else:
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            if kind == "a bomb":
                member = io.BytesIO()
                np.save(member, np.zeros((4, 64, 64, 3), np.uint8))
                archive.writestr("x.npy", member.getvalue() + bytes(2**24))
            elif kind == "a header that declares more":
                head = str({"descr": "|u1", "fortran_order": False, "shape": (10**9, 64, 64, 3)}).encode()
                archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
            else:
                archive.writestr("../x.npy", b"no array")
    return whole.getvalue()


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("a pickle", "cannot be read"),
        ("objects", "cannot be read"),
        ("a text", "cannot be read"),
        ("cut", "cannot be read"),
        ("a bomb", "more than dataset.memory_limit"),
        ("a header that declares more", "more than dataset.memory_limit"),
        ("a path out of it", "cannot be read"),
    ],
)
def test_hostile_arrays_are_refused_and_run_nothing(tmp_path, kind, problem):
    (tmp_path / "x.npz").write_bytes(hostile(kind))
    with pytest.raises(DataError) as caught:
        read_arrays(tmp_path / "x.npz", 2**-8)  # 4 MiB
    assert problem in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_arrays_are_resized_by_the_rules_of_image_files():
    x = torch.from_numpy(np.moveaxis(LEVELS, 3, 1).copy())
    same = resize(x, Target(3, (6, 7)))
    assert torch.equal(same, x)
    assert torch.equal(resize(x.float() / 127.5 - 1, Target(3, (6, 7))), x)
    assert resize(x, Target(1, (8, 8))).shape == (5, 1, 8, 8)
