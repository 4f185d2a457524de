"""Numbers for each picture of a folder: each picture keeps its own row, and every fault is one line."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantrain.datasets.files.attributes import read_attributes
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import ConfigError, DataError

COUNT = 24


def value(i: int) -> int:
    return 10 * i + 3


def row(i: int) -> list[str]:
    """What is told of picture i: whether it is odd, its number as it is, a small one of many digits."""
    return [str(i % 2), str(float(i)), repr(i / 7)]


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder of constant pictures, some below others, and their rows in another order."""
    folder = tmp_path / "pictures"
    for i in range(COUNT):
        path = folder / name(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), value(i)).save(path)
    write(
        tmp_path / "told.csv",
        [["file_name", "odd", "number", "seventh"]] + [[name(i), *row(i)] for i in order()],
    )
    return folder


def name(i: int) -> str:
    return f"{i}.png" if i % 3 else os.path.join("more", f"{i}.png")


def order() -> list[int]:
    return sorted(range(COUNT), key=lambda i: i * 7 % COUNT)


def write(path: Path, lines: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    path.write_text(buffer.getvalue(), encoding="utf-8")


def lines(root: Path) -> list[list[str]]:
    with (root.parent / "told.csv").open(newline="") as file:
        return list(csv.reader(file))


def dataset(root: Path, **options: object) -> ImageFolder:
    told = str(root.parent / "told.csv")
    return ImageFolder(**{"root": str(root), "resolution": 8, "channels": 1, "attributes": told} | options)


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
@pytest.mark.parametrize("seed", [0, 3])
def test_each_picture_keeps_its_own_row_through_the_split(root, memory_limit, seed):
    data = dataset(root, memory_limit=memory_limit, holdout=0.25).load(seed)
    seen = []
    for part in (data.train, data.holdout):
        x, y = part.take(torch.arange(len(part)))
        which = ((x[:, 0, 0, 0] + 1) * 127.5).round().int().sub(3).div(10, rounding_mode="floor").tolist()
        assert torch.equal(y, torch.tensor([[float(v) for v in row(i)] for i in which]))
        seen += which
    assert sorted(seen) == list(range(COUNT))


def test_attributes_spec_needs_no_decoding(root, monkeypatch):
    monkeypatch.setattr("gantrain.datasets.files.image_file.read", None)
    spec = dataset(root).spec()
    assert (spec.shape, spec.classes, spec.is_labelled) == ((1, 8, 8), 0, True)
    assert (spec.condition.names, spec.condition.words) == (("odd", "number", "seventh"), False)
    told = torch.tensor([[float(v) for v in row(i)] for i in range(COUNT)])
    shown = spec.conditions()
    assert shown.shape == (8, 3)
    assert len(torch.unique(shown, dim=0)) == 8
    assert all((told == one).all(1).any() for one in shown)


def test_few_kinds_of_rows_are_all_shown(root):
    write(root.parent / "told.csv", [["", "odd"]] + [[name(i), str(i % 2)] for i in range(COUNT)])
    assert sorted(dataset(root).spec().condition.examples) == [(0.0,), (1.0,)]


def test_the_cache_of_pixels_knows_nothing_of_the_rows(root, monkeypatch):
    before = dataset(root, memory_limit=0.0).load(0)
    changed = [
        line if i == 0 else [line[0], *(str(-float(v)) for v in line[1:])]
        for i, line in enumerate(lines(root))
    ]
    write(root.parent / "told.csv", changed)
    monkeypatch.setattr("gantrain.datasets.files.image_file.read", None)  # nothing is decoded again
    after = dataset(root, memory_limit=0.0).load(0)
    assert torch.equal(before.train.take(torch.arange(4))[0], after.train.take(torch.arange(4))[0])
    assert torch.equal(before.train.y, -after.train.y)
    without = dataset(root, memory_limit=0.0, attributes=None, labels="none").load(0)
    assert without.train.y is None


def test_attributes_replace_class_folders(root):
    os.makedirs(root / "other")
    names = [f"{'more' if i % 2 else 'other'}/m{i}.png" for i in range(COUNT)]
    for i, new in enumerate(names):
        (root / name(i)).rename(root / new)
    assert dataset(root, attributes=None).spec().classes == 2
    write(root.parent / "told.csv", [["file", "odd"]] + [[n, str(i % 2)] for i, n in enumerate(names)])
    assert dataset(root).spec().classes == 0


def test_skipped_pictures_take_their_rows_with_them(root, capfd):
    bad = [1, 6, 20]
    for i in bad:
        (root / name(i)).write_bytes(b"no picture")
    data = dataset(root, bad_files="skip").load(0)
    y = torch.cat([data.train.y, data.holdout.y])
    assert sorted(y[:, 1].tolist()) == [i for i in range(COUNT) if i not in bad]
    parts = [part.select(torch.arange(len(part)))[0] for part in (data.train, data.holdout)]
    x = torch.cat(parts)[:, 0, 0, 0].int()
    assert torch.equal(x, (10 * y[:, 1] + 3).int())


def test_attributes_file_may_have_spare_rows_and_a_bom(root):
    told = lines(root)
    for line in told[1:]:
        line[0] = f"./{line[0]}".replace("more/", "more//")
    told.insert(2, ["not here.png", "5", "6", "7"])
    write(root.parent / "told.csv", told)
    path = root.parent / "told.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    plain = torch.tensor([[float(v) for v in row(i)] for i in range(COUNT)])
    y, given = read_attributes(str(path), str(root), [name(i) for i in range(COUNT)])
    assert torch.equal(y, plain)
    assert given.names == ("odd", "number", "seventh")
    assert (5.0, 6.0, 7.0) not in given.examples


def test_names_that_look_like_numbers_are_names(tmp_path):
    write(tmp_path / "told.csv", [["id", "a"], ["001", "4"], ["1", "5"], ["1.0", "6"]])
    y, _ = read_attributes(str(tmp_path / "told.csv"), str(tmp_path), ["1.0", "001", "1"])
    assert y.tolist() == [[6.0], [4.0], [5.0]]


def test_rows_are_as_numpy_reads_them(root):
    values = np.random.default_rng(0).normal(size=(COUNT, 5)) * 10.0 ** np.arange(-20, 30, 10)
    told = [["file", *"abcde"]] + [[name(i), *map(repr, line)] for i, line in enumerate(values.tolist())]
    write(root.parent / "told.csv", told)
    y, given = read_attributes(str(root.parent / "told.csv"), str(root), [name(i) for i in range(COUNT)])
    assert np.array_equal(y.numpy(), values.astype(np.float32))
    for example in given.tensor(given.examples):
        assert given.read(given.write(example)) == pytest.approx(example.tolist(), rel=1e-5)


# Faults ----------------------------------------------------------------------------------------------------------

HEADER = "file_name,odd,number,seventh\n"


def with_cell(text: str):
    return lambda body: body.replace("\n5.png,1,5.0,", f"\n5.png,1,{text},")


BROKEN = {
    "empty file": (lambda body: "", "is empty"),
    "blank file": (lambda body: "\n\n  \n", "is empty"),
    "names alone": (lambda body: HEADER, "has no row below the names"),
    "paths alone": (
        lambda body: "\n".join(r.split(",")[0] for r in body.splitlines()),
        "has no column of numbers",
    ),
    "no line of names": (lambda body: body.split("\n", 2)[2], "has an image in its first line"),
    "nameless column": (lambda body: body.replace("odd", ""), "column 2 has no name"),
    "two columns of a name": (lambda body: body.replace("odd", "number"), "has two columns called 'number'"),
    "a word": (with_cell("five"), r"column 'number' has 'five' in row \d+, which is no finite number"),
    "an empty cell": (with_cell(""), r"column 'number' has an empty cell in row \d+"),
    "a short row": (
        lambda b: b.replace("\n5.png,1,5.0,0.7142857142857143", "\n5.png,1"),
        r"line \d+ has 2 cells and the table 4 columns",
    ),
    "a long row": (with_cell("5.0,6"), r"line \d+ has 5 cells and the table 4 columns"),
    "all rows long": (
        lambda b: HEADER + b.removeprefix(HEADER).replace("\n", ",1\n"),
        "line 2 has 5 cells and the table 4 columns",
    ),
    "nan": (with_cell("nan"), "'nan' in row"),
    "infinite": (with_cell("inf"), "'inf' in row"),
    "minus infinite": (with_cell("-Infinity"), "'-Infinity' in row"),
    "too large for float64": (with_cell("1e999"), "'1e999' in row"),
    "too large for float32": (with_cell("1e39"), "'1e39' in row .* which float32 cannot hold"),
    "true and false": (with_cell("True"), "'True' in row"),
    "decimal comma": (with_cell('"5,0"'), "'5,0' in row"),
    "a picture without a row": (
        lambda b: "\n".join(r for r in b.split("\n") if not r.startswith("5.png")),
        "no row for",
    ),
    "a picture named otherwise": (lambda b: b.replace("\n5.png", "\n5.PNG"), "has no row for .*5.png"),
    "a row without a name": (lambda b: b.replace("\n5.png,", "\n,"), "column 'file_name' has an empty cell"),
    "two rows of a picture": (lambda b: b + "5.png,1,2,3\n", r"'5.png' in row 25, as row \d+ has"),
    "two spellings of a picture": (lambda b: b + "./more/../5.png,1,2,3\n", r"in row 25, as row \d+ has"),
    "a quote that never ends": (with_cell('"5'), "told.csv: "),
    "a zero byte": (with_cell("\0"), "is not text"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_is_one_line_that_names_the_file(case, root):
    change, words = BROKEN[case]
    path = root.parent / "told.csv"
    body = path.read_text()
    assert body.startswith(HEADER)
    assert change(body) != body
    path.write_text(change(body))
    with pytest.raises(DataError, match=words) as fault:
        dataset(root).spec()
    said = str(fault.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert said.count("; ") == 1
    assert fault.value.exit_code == 3


def test_what_is_no_file_is_one_line(root, tmp_path):
    for path, words in [(tmp_path / "none.csv", "there is no such file"), (tmp_path, "is a folder")]:
        with pytest.raises(DataError, match=f"^{path}: {words}; set dataset.attributes"):
            dataset(root, attributes=str(path)).spec()
    with pytest.raises(ConfigError, match=r"^dataset\.attributes: names no file; "):
        dataset(root, attributes=" ").spec()
    (tmp_path / "told.csv").write_bytes(b"file,a\n\xff\x01,1\n")
    with pytest.raises(DataError, match="is not text in UTF-8"):
        dataset(root).spec()


def test_the_command_trains_samples_and_refuses(root, run_cli, tmp_path):
    words = [
        "dataset=image_folder",
        f"dataset.root={root}",
        "dataset.attributes=told.csv",
        "dataset.resolution=8",
    ]
    small = [
        "model.width=4",
        "model.condition=concat",
        "metric=none",
        "debug=tiny",
        "train.steps=2",
        "train.batch_size=8",
    ]
    code, _, err = run_cli(*words, *small, "run.dir=run")
    assert code == 0, err
    code, _, err = run_cli("sample", "run", "condition=1,3,0.5; 0,2,0.25", "n=4", "out=one.npz")
    assert code == 0, err
    with np.load(tmp_path / "one.npz") as found:
        assert found["y"].tolist() == [[1.0, 3.0, 0.5], [0.0, 2.0, 0.25]] * 2
    code, _, err = run_cli("sample", "run", "condition=1,3", "out=two.npz")
    assert code == 2
    assert "give 3 numbers: odd, number, seventh" in err
    (tmp_path / "told.csv").unlink()
    code, _, err = run_cli(*words, *small, "run.dir=again")
    assert code == 3
    assert err.splitlines()[-1].startswith(
        f"gantrain: error: {tmp_path / 'told.csv'}: there is no such file; "
    )
    assert not (tmp_path / "again").exists()
