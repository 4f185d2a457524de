"""A table that someone sent: nothing in it runs, waits, fills the memory or reaches the terminal as it is."""

import gzip
import importlib.util
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
from refusals import assert_printable, check_refusal

from gantrain.datasets.files import parquet_file, table_bytes
from gantrain.datasets.image_folder import ImageFolder
from gantrain.datasets.table import TableFile
from gantrain.errors import GantrainError

TINY = "train.steps=2 train.batch_size=2 metric=none device=cpu run.dir=run".split()
ROWS = b"1,2\n3,4\n5,6\n7,8\n"
ESCAPE = "\x1b]0;owned\x07\x1b[31m\x9b2J"


class Payload:
    """Writes to the canary when it is unpickled."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return Path.write_text, (self.canary, "ran")


def bomb(content: bytes, size: int) -> bytes:
    """At least ``size`` bytes of one content, packed: a member that is there many times."""
    return gzip.compress(content) * (size // len(content) + 1)


def refuse_data(dataset, *words: str) -> None:
    """Check the line that the command reports for what a dataset raises."""
    with pytest.raises(GantrainError) as raised:
        dataset.spec()
    check_refusal(raised.value.exit_code, "", f"gantrain: error: {raised.value}", 3, words)


FILES = {
    "formula among numbers": (
        b"a,b\n" + ROWS + b"=cmd|'/C calc'!A0,9\n",
        "has \"=cmd|'/C calc'!A0\" in row 5",
    ),
    "formulas for names": (b"=HYPERLINK(1),@SUM(2)\n" + b"x,y\n" * 4, "column '=HYPERLINK(1)' holds words"),
    "a million names": (",".join(map("n{}".format, range(10**6))).encode() + b"\n", "has 1,000,000 columns"),
    "a million cells": (
        b"a,b\n" + ROWS + b"1," * 10**6 + b"\n",
        "line 6 has 1,000,001 cells and the table 2",
    ),
    "a million separators": (b"a,b" + b"," * 10**6 + b"\n" + ROWS, "has 1,000,002 columns"),
    "a zero byte": (b"a,b\n1,\0\n" + ROWS, "zero byte in line 2"),
    "zero bytes alone": (bytes(10**6), "zero byte in line 1"),
    "random bytes": (bytes(range(1, 256)) * 99, "is not text"),
    "a bomb": (bomb(bytes(2**22), 2**25), "times its size"),
    "a bomb of rows": (bomb(b"0,0\n" * 2**20, 2**25), "times its size"),
    "gzip in gzip": (gzip.compress(gzip.compress(b"a,b\n" + ROWS)), "is not text"),
    "half of a gzip": (gzip.compress(b"a,b\n" + ROWS)[:-9], "cannot be unpacked"),
    "a gzip of other bytes": (gzip.compress(b"a,b\n" + ROWS)[:-8] + bytes(8), "cannot be unpacked"),
    "bytes after a gzip": (gzip.compress(b"a,b\n" + ROWS) + b"a,b\n", "cannot be unpacked"),
    "an endless cell": (b"a,b\n" + ROWS + b'9,"' + b"x" * 10**6, "cannot be read as CSV from line 6"),
    "an endless name": (b"a" * 10**6 + b"\n1\n2\n3\n4\n", "cannot be read as CSV from line 1"),
    "a long name": (b"a" * 10**5 + b"\n1\n2\n3\nx\n", "aaa"),
    "a long word": (b"a,b\n" + ROWS + b"9," + b"x" * 10**5 + b"\n", "'xxx"),
    "a name for the terminal": (f"{ESCAPE},b\nx,1\ny,2\nz,3\nu,v\n".encode(), "'b' has 'v' in row 4"),
    "names for the terminal": (f"{ESCAPE},{ESCAPE}\n1,2\n".encode(), "has two columns called"),
    "a word for the terminal": (b"a,b\n" + ROWS + f"9,{ESCAPE}\n".encode(), "column 'b' has"),
    "a line of its own": (b'"a\ngantrain: error: all is well",b\n' + b"1,x\n" * 4 + b"y,x\n", "in row 5"),
    "a separator for Excel": (b"sep=\0\na,b\n" + ROWS, "zero byte in line 1"),
    "digits without end": (b"a,b\n" + ROWS + b"9" * 5000 + b",1\n", "'99999"),
    "an exponent without end": (b"a,b\n" + ROWS + b"1e" + b"9" * 5000 + b",1\n", "'1e999"),
    "a torn UTF-16": (b"\xff\xfea\0,\0b\0\n\0\xd8\xd8\xd8\xd8", "is not text in UTF-16"),
    "UTF-32 beyond its range": (b"\xff\xfe\0\0\xff\xff\xff\xff", "is not text in UTF-32"),
    "Parquet in name only": (b"PAR1" + b"\xff" * 99 + b"PAR1", "Parquet"),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_table_is_one_clean_line(name, tmp_path, monkeypatch):
    content, words = FILES[name]
    monkeypatch.setattr(table_bytes, "MAX_UNPACKED", 2**24)
    (tmp_path / "t.csv").write_bytes(content)
    refuse_data(TableFile(path=str(tmp_path / "t.csv")), "t.csv: ", words)


def test_table_bomb_is_refused_by_the_command(refuse, tmp_path, monkeypatch):
    monkeypatch.setattr(table_bytes, "MAX_UNPACKED", 2**26)
    (tmp_path / "t.csv").write_bytes(bomb(bytes(2**24), 2**27))
    refuse("dataset=table", "dataset.path=t.csv", *TINY, code=3, words=("t.csv: ", "times its size"))
    assert not (tmp_path / "run").exists()


def test_table_pickles_and_archives_are_not_opened(tmp_path, canary, victim):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(Payload(canary)))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("../victim/notes.txt", "overwritten")
    shutil.copy(tmp_path / "t.pkl", tmp_path / "t.parquet")
    shutil.copy(tmp_path / "t.zip", tmp_path / "t.xlsx")
    for name in ("t.pkl", "t.parquet", "t.zip", "t.xlsx"):
        refuse_data(TableFile(path=str(tmp_path / name)), f"{name}: is ")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


PLACES = {
    "a pipe": (make_pipe, "is not a file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is not a file"),
    "a link to itself": (lambda path: path.symlink_to(path), "cannot be read"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "there is no such file"),
    "a link to a folder": (lambda path: path.symlink_to(path.parent), "is a folder"),
    "a folder": (Path.mkdir, "is a folder"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["path", "attributes"])
def test_table_that_is_no_file_is_not_waited_for(place, key, tmp_path):
    make, words = PLACES[place]
    make(tmp_path / "t.csv")
    path = str(tmp_path / "t.csv")
    if key == "attributes":
        for i in range(4):
            (tmp_path / f"{i}.png").write_bytes(b"")
    dataset = TableFile(path=path) if key == "path" else ImageFolder(root=str(tmp_path), attributes=path)
    refuse_data(dataset, "t.csv: ", words)


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~nobody-is-called-this/t.csv", "a\nb", ESCAPE])
def test_table_path_of_any_letters_is_one_clean_line(path):
    refuse_data(TableFile(path=path), "set dataset.path")


def test_table_pipe_on_resume_is_not_waited_for(run_cli, refuse, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n" + ROWS)
    assert run_cli("dataset=table", "dataset.path=t.csv", *TINY)[0] == 0
    os.mkfifo(tmp_path / "pipe.csv")
    refuse(
        "resume", "run", "dataset.path=pipe.csv", "train.steps=3", code=3, words=("pipe.csv: is not a file",)
    )


def test_table_of_hostile_names_trains_without_showing_them(run_cli, tmp_path):
    names = [f"{ESCAPE}a", "b\ngantrain: error: x; y", "<script>alert(1)</script>", "../../c", "=1+1"]
    labels = [f"{ESCAPE}k", "@SUM(A1)"]
    head = ",".join(f'"{name}"' for name in [*names, "k"])
    rows = "".join(f'{i},{i * i},{i % 3},{-i},{i / 2},"{labels[i % 2]}"\n' for i in range(12))
    (tmp_path / "t.csv").write_text(f"{head}\n{rows}", newline="")
    words = ["dataset=table", "dataset.path=t.csv", "dataset.label=k", "model.condition=concat", *TINY]
    code, out, err = run_cli(*words)
    assert code == 0, err
    assert_printable(out + err)
    assert not [line for line in err.splitlines() if line.startswith("gantrain: error")]
    # Samples have the names and labels as they were.
    assert run_cli("sample", "run", "n=4", "out=s.csv")[0] == 0
    text = (tmp_path / "s.csv").read_text()
    assert text.startswith(head.replace('"', "")[:8])
    assert all(name in text for name in [*names, *labels])


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_parquet_metadata_of_a_stranger_is_not_used(run_cli, refuse, tmp_path, monkeypatch, canary):
    import pyarrow
    from pyarrow import parquet

    payload = pickle.dumps(Payload(canary))
    numbers = pyarrow.array([1.0, 2.0, 4.0, 8.0])
    extension = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": payload}
    field = pyarrow.field("a", pyarrow.float64(), metadata=extension)
    pandas = json.dumps({"index_columns": ["__import__('os')"], "columns": [{"numpy_type": "x", "name": 1}]})
    schema = pyarrow.schema([field, ("b", pyarrow.float64())], metadata={"pandas": pandas, "x": payload})
    parquet.write_table(pyarrow.table([numbers, numbers], schema=schema), tmp_path / "t.parquet")
    code, _, err = run_cli("dataset=table", "dataset.path=t.parquet", *TINY)
    assert code == 0, err
    assert "4 rows of 2 columns (a, b)" in err
    monkeypatch.setattr(parquet_file, "MAX_CELLS", 7)
    words = ("has 4 rows of 2 columns, more than 7 cells",)
    refuse("dataset=table", "dataset.path=t.parquet", *TINY[:-1], "run.dir=again", code=3, words=words)
