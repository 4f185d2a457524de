"""A table goes to the networks and back as it was, its faults are named by column and row, its runs need no file."""

from __future__ import annotations

import json
import math
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from gantrain.core.spec import Spec
from gantrain.datasets.table import TableFile
from gantrain.errors import ConfigError, DataError
from gantrain.sampling.write import write_samples
from gantrain.training.checkpoint import load_checkpoint

ROWS = 500
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.standard_normal((ROWS, 3))
COLUMNS = {
    "unit": NORMAL[:, 0],
    "far away": 1.7e9 + 3 * NORMAL[:, 0],
    "tiny": 1e-12 * (5 + NORMAL[:, 1]),
    "huge": 1e300 * NORMAL[:, 2],
    "the ends of the range": np.where(NORMAL[:, 1] > 0, 1.7e308, -1.7e308),
    "skewed": np.exp(3 * NORMAL[:, 1]),
    "constant": np.full(ROWS, 0.1 + 0.2),
    "nothing": np.zeros(ROWS),
    "least of all": np.where(NORMAL[:, 0] > 0, 5e-324, 1e-310),
}
EXACT = {
    "whole": RANDOM.integers(-1000, 1000, ROWS),
    "cents": np.round(50 + 20 * NORMAL[:, 0], 2),
    "millions": 10**6 * RANDOM.integers(0, 50, ROWS),
    "one of two": (NORMAL[:, 1] > 0).astype(int),
    "mostly 0": np.where(np.arange(ROWS) == 77, 12.5, 0.0),
    "always 7.25": np.full(ROWS, 7.25),
}


def write(folder: Path, columns: dict[str, object], name: str = "data.csv") -> Path:
    path = folder / name
    pandas.DataFrame(columns).to_csv(path, index=False)
    return path


def rows(dataset: TableFile, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the points and classes of both parts in the order of the file."""
    data = dataset.load(seed)
    x = torch.cat([data.train.x, data.holdout.x])
    order = torch.argsort(torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)))
    y = None if data.train.y is None else torch.cat([data.train.y, data.holdout.y])[order]
    return x[order], y


def back(dataset: TableFile, folder: Path) -> pandas.DataFrame:
    """Return the file's own rows, standardised, written by ``sample``'s way, and read again."""
    x, y = rows(dataset)
    out = folder / "back.csv"
    write_samples(out, x, y, dataset.spec())
    return pandas.read_csv(out)


# ------------------------------------------------------------------------------------------- own units


@pytest.mark.parametrize("name", COLUMNS)
def test_table_is_restored_to_float_precision(name, tmp_path):
    values = COLUMNS[name]
    dataset = TableFile(path=str(write(tmp_path, {"first": NORMAL[:, 0], name: values})))
    found = back(dataset, tmp_path)
    (column,) = dataset.spec().table.columns[1:]
    assert list(found) == ["first", name]
    # Half a step of float32 at the point, and the last digit written.
    allowed = 2**-24 * np.abs(0.5 * values - 0.5 * column.shift) + 0.5e-7 * (0.5 * column.scale)
    least = np.spacing(np.abs(values))
    assert (np.abs(0.5 * found[name] - 0.5 * values) <= allowed * 1.01 + least).all()


@pytest.mark.parametrize("name", EXACT)
def test_table_numbers_of_few_digits_are_restored_exactly(name, tmp_path):
    path = write(tmp_path, {name: EXACT[name]})
    dataset = TableFile(path=str(path))
    x, _ = rows(dataset)
    write_samples(tmp_path / "back.csv", x, None, dataset.spec())
    numbers = [
        [float(cell) for cell in p.read_text().splitlines()[1:]] for p in (path, tmp_path / "back.csv")
    ]
    assert numbers[0] == numbers[1]
    assert (pandas.read_csv(tmp_path / "back.csv")[name].dtype == np.int64) == (
        bool((np.round(EXACT[name]) == EXACT[name]).all())
    )


def test_a_whole_file_of_decimals_comes_back_to_the_byte(tmp_path):
    path = write(tmp_path, {name: EXACT[name] for name in ("cents", "whole", "one of two", "millions")})
    dataset = TableFile(path=str(path))
    write_samples(tmp_path / "back.csv", *rows(dataset), dataset.spec())
    assert (tmp_path / "back.csv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e300])
def test_table_is_written_with_significant_digits(scale, tmp_path):
    """Seven digits of the deviation: neither float32 noise nor rounding that could be seen."""
    dataset = TableFile(path=str(write(tmp_path, {"a": scale * NORMAL[:, 0]})))
    x = torch.linspace(-3, 3, 1001)[:, None]
    write_samples(tmp_path / "s.csv", x, None, dataset.spec())
    cells = (tmp_path / "s.csv").read_text().splitlines()[1:]
    (column,) = dataset.spec().table.columns
    again = (np.array([float(cell) for cell in cells]) - column.shift) / column.scale
    np.testing.assert_allclose(again, x[:, 0].double(), atol=1e-7, rtol=0)
    digits = [len(cell.split("e")[0].replace("-", "").replace(".", "").strip("0")) for cell in cells]
    assert max(digits) <= 9
    assert len(set(cells)) == len(cells)


def test_standardised_columns_are_those_of_scikit_learn(tmp_path):
    usual = {name: COLUMNS[name] for name in ("unit", "far away", "tiny", "skewed", "constant")}
    x, _ = rows(TableFile(path=str(write(tmp_path, usual))))
    reference = StandardScaler().fit_transform(np.stack(list(usual.values()), 1))
    assert x.dtype == torch.float32
    np.testing.assert_allclose(x, reference, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["huge", "the ends of the range"])
def test_what_squares_to_infinity_is_standardised_in_float64(name, tmp_path):
    x, _ = rows(TableFile(path=str(write(tmp_path, {"a": COLUMNS[name]}))))
    small, _ = rows(TableFile(path=str(write(tmp_path, {"a": COLUMNS[name] / 2**1000}, "small.csv"))))
    assert torch.equal(x, small)  # a unit that is a power of two changes nothing at all
    assert abs(float(x.double().mean())) < 1e-6
    assert abs(float(x.double().std(correction=0)) - 1) < 1e-6


def test_table_constant_column_is_0_and_keeps_its_unit(tmp_path):
    dataset = TableFile(path=str(write(tmp_path, {"a": np.full(9, 3.5), "b": range(9)})))
    x, _ = rows(dataset)
    assert torch.equal(x[:, 0], torch.zeros(9))
    assert dataset.spec().table.columns[0].restore(torch.tensor([0.0, 0.5, -2.0])) == [3.5, 4.0, 1.5]


def test_names_and_their_order_are_kept_whatever_they_are(tmp_path):
    names = ["b", "a", "price, net", 'the "width"', "größe in µm", "Z", "0"]
    path = write(tmp_path, {name: NORMAL[:, 0] + i for i, name in enumerate(names)})
    dataset = TableFile(path=str(path), header=True)
    found = back(dataset, tmp_path)
    assert list(found) == names
    np.testing.assert_allclose(found.mean() - found.mean().iloc[0], range(len(names)), atol=1e-6)


def test_table_columns_are_those_chosen_in_their_order(tmp_path):
    path = str(
        write(tmp_path, {"a": NORMAL[:, 0], "b": 5 + NORMAL[:, 1], "c": NORMAL[:, 2], "d": ["x"] * ROWS})
    )
    every, some = TableFile(path=path), TableFile(path=path, columns=["c", "a"])
    assert [column.name for column in every.spec().table.columns] == ["a", "b", "c"]
    assert torch.equal(rows(some)[0], rows(every)[0][:, [2, 0]])
    assert list(back(some, tmp_path)) == ["c", "a"]


def test_columns_without_a_number_are_left_out_and_named(tmp_path):
    columns = {"city": ["Rome", "Oslo"] * 5, "t": range(10), "wet": [True, False] * 5, "no": [""] * 10}
    path = write(tmp_path, columns | {"day": [f"2024-01-{i:02d}" for i in range(10, 20)]})
    data = TableFile(path=str(path)).load(0)
    assert data.spec.shape == (1,)
    assert data.summary == (
        f"{path}: 10 rows of 1 column (t); "
        "left out: city (words), wet (true or false), no (nothing), day (dates)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n5,6\n7,9\n",
        "a,b\r\n1,2\r\n3,4\r\n5,6\r\n7,9",
        "\ufeffa,b\n1,2\n3,4\n5,6\n7,9\n",
        "\na,b\n\n1,2\n3,4\n\n5,6\n7,9\n\n",
        '"a","b"\n"1","2"\n3,4\n5,"6"\n7,9\n',
        "a, b\n1, 2\n3, 4\n 5,6\n7,9\n",
        "a,b\n1.0,2e0\n+3,4\n5.00,.6e1\n7,9\n",
    ],
)
def test_the_same_table_is_read_however_it_is_written(text, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    found = back(TableFile(path=str(path)), tmp_path)
    assert list(found) == ["a", "b"]
    assert found.to_numpy().tolist() == [[1, 2], [3, 4], [5, 6], [7, 9]]


# ---------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["10", "9", "-1", "9"], ("-1", "9", "10")),
        (["b", "a", "B", "b"], ("B", "a", "b")),
        (["1", "1.0", "2", "x"], ("1", "1.0", "2", "x")),
        (["2", "1", "2.0", "1.0"], ("1", "1.0", "2", "2.0")),
        (["02116", "2116", "02116", "10"], ("10", "02116", "2116")),
        (["Yes ", "Yes", " no", "no"], ("Yes", "no")),
        (["0.5", "0.25", "1e1", "0.5"], ("0.25", "0.5", "1e1")),
        (["NA", "None", "nan", "NA"], ("NA", "None", "nan")),
        (["True", "False", "True", "True"], ("False", "True")),
    ],
)
def test_a_labels_values_become_classes_in_sorted_order(cells, values, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("kind,a\n" + "".join(f"{cell},{i * i}\n" for i, cell in enumerate(cells * 3)))
    dataset = TableFile(path=str(path), label="kind")
    spec = dataset.spec()
    assert (spec.shape, spec.classes, spec.table.values) == ((1,), len(values), values)
    x, y = rows(dataset)
    written = spec.table.restore(x, y)
    assert list(written) == ["kind", "a"]  # in its place in the file
    assert written["a"] == [i * i for i in range(len(cells) * 3)]
    assert written["kind"] == [cell.strip() for cell in cells * 3]
    assert list(spec.table.restore(x, None)) == ["a"]


def test_seeds_split_alike_and_no_row_is_lost_or_in_both_parts(tmp_path):
    dataset = TableFile(
        path=str(write(tmp_path, {"a": range(50), "kind": [0, 1] * 25})), label="kind", holdout=0.3
    )
    first, again, other = dataset.load(1), dataset.load(1), dataset.load(2)
    assert (len(first.train), len(first.holdout)) == (35, 15)
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    both = torch.cat([first.train.x, first.holdout.x]).flatten()
    assert both.sort().values.diff().min() > 0
    labels = torch.cat([first.train.y, first.holdout.y])
    numbers = first.spec.table.columns[0].restore(both)
    assert [n % 2 for n in numbers] == labels.tolist()


# ------------------------------------------------------------------------------------------------ spec


def test_a_spec_survives_json_and_a_forged_one_is_refused(tmp_path):
    path = write(tmp_path, {"kind": ["u", "v"] * 250, **COLUMNS})
    spec = TableFile(path=str(path), label="kind").spec()
    plain = json.loads(json.dumps(spec.plain(), allow_nan=False))
    assert Spec.from_plain(plain) == spec
    assert Spec.from_plain(Spec((3, 8, 8), 5).plain()) == Spec((3, 8, 8), 5)
    table = plain["table"]
    for key, value in {
        "columns": table["columns"][1:],
        "order": table["order"][1:],
        "values": ["u"],
        "label": None,
    }.items():
        with pytest.raises(ValueError, match="columns are not those"):
            Spec.from_plain(plain | {"table": table | {key: value}})
    for key, value in {"scale": 0.0, "shift": math.nan, "decimals": 10**6}.items():
        forged = [table["columns"][0] | {key: value}, *table["columns"][1:]]
        with pytest.raises(ValueError, match="no valid unit"):
            Spec.from_plain(plain | {"table": table | {"columns": forged}})


def test_table_specs_are_compatible_up_to_rounding(tmp_path):
    base = {"a": 1e6 + NORMAL[:, 0], "b": NORMAL[:, 1]}

    def spec(columns: dict[str, object], **options: object) -> Spec:
        return TableFile(path=str(write(tmp_path, columns)), **options).spec()

    mine = spec(base)
    assert mine.is_compatible(mine)
    assert mine.is_compatible(spec({"a": base["a"] * (1 + 1e-15), "b": base["b"]}))
    for other in (
        {"a": base["a"] + 1e-3, "b": base["b"]},
        {"a": base["a"], "b": base["b"] * 1.001},
        {"b": base["b"], "a": base["a"]},
        {"a": base["a"], "c": base["b"]},
        {"a": base["a"]},
    ):
        assert not mine.is_compatible(spec(other))
        assert not spec(other).is_compatible(mine)
    assert not mine.is_compatible(Spec((2,)))
    kinds = [spec(base | {"k": [a, b] * 250}, label="k") for a, b in ("uv", "uw")]
    assert not kinds[0].is_compatible(kinds[1])


# ---------------------------------------------------------------------------------------------- faults

GOOD = "a,b\n1,2\n3,4\n5,6\n7,8\n"
FAULTS = {
    "no file": (None, {}, "there is no such file"),
    "empty": ("", {}, "is empty"),
    "blank": ("\n \n", {}, "is empty"),
    "a header alone": ("a,b\n", {}, "has 0 rows of data", "at least 4"),
    "one row": ("a,b\n1,2\n", {}, "has 1 row of data"),
    "three rows": ("a\n1\n2\n3\n", {}, "has 3 rows of data"),
    "a word among numbers": (GOOD.replace("5,6", "5,six"), {}, "'b' has 'six' in row 3"),
    "a word in the last row": (GOOD + "x,1\n", {}, "'a' has 'x' in row 5"),
    "text that was asked for": (
        "a,b\n1,u\n2,v\n3,w\n4,x\n",
        {"columns": ["b"]},
        "'b' holds words, as 'u' in row 1",
    ),
    "dates": (
        "a,b\n" + "1,2024-01-02\n" * 4,
        {"columns": ["b"]},
        "'b' holds dates, as '2024-01-02' in row 1",
    ),
    "nothing but text": (
        "a,b\nu,v\nu,v\nu,v\nu,v\n",
        {},
        "no column of numbers: column 'a' holds words, as 'u' in row 1",
    ),
    "truth for numbers": ("a\nTrue\nFalse\nTrue\nTrue\n", {}, "'a' holds true or false, as 'True' in row 1"),
    "an empty cell": (GOOD.replace("3,4", "3,"), {}, "'b' has an empty cell in row 2"),
    "a blank cell": (GOOD.replace("3,4", "  ,4"), {}, "'a' has an empty cell in row 2"),
    "a short row": (GOOD.replace("3,4", "3"), {}, "line 3 has 1 cell and the table 2 columns"),
    "an empty column": ("a,b\n1,\n2,\n3,\n4,\n", {"columns": ["b"]}, "'b' holds nothing"),
    "NaN": (GOOD.replace("7,8", "7,NaN"), {}, "'b' has 'NaN' in row 4"),
    "NA": (GOOD.replace("1,2", "NA,2"), {}, "'a' has 'NA' in row 1"),
    "infinity": (GOOD.replace("5,6", "5,-inf"), {}, "'b' has '-inf' in row 3"),
    "beyond float64": (GOOD.replace("5,6", "1e400,6"), {}, "'a' has '1e400' in row 3"),
    "thousands": (
        GOOD.replace("5,6", '"5,000",6'),
        {},
        "'5,000', whose comma may be decimal",
        "dataset.decimal=comma",
    ),
    "two decimal marks": ("a,b\n" + '1.5,"2,5"\n' * 5, {}, "as '2,5' and as '1.5'"),
    "a fault below a blank line": (GOOD.replace("5,6", "\n5,x"), {}, "'b' has 'x' in row 3"),
    "a long word": (GOOD.replace("5,6", "5," + "x" * 10**4), {}, "'b' has 'xxx", "...' in row 3"),
    "one name twice": ("a,b,a\n1,2,3\n", {}, "two columns called 'a'"),
    "no such column": (GOOD, {"columns": ["A"]}, "no column 'A'", "dataset.columns", "did you mean 'a'?"),
    "no such label": ("kind,b\n1,2\n" * 5, {"label": "kinds"}, "no column 'kinds'", "did you mean 'kind'?"),
    "nothing but a label": ("k\n1\n2\n1\n2\n", {"label": "k"}, "no column but the label"),
    "too many classes": (
        "k,a\n" + "".join(f"{i},1\n" for i in range(101)),
        {"label": "k"},
        "'k' has 101 distinct values",
    ),
    "a row without label": ("k,a\nu,1\n,1\nv,1\nu,1\n", {"label": "k"}, "'k' has an empty cell in row 2"),
    "a long row": (GOOD.replace("5,6", "5,6,7"), {}, "line 4 has 3 cells", "the table 2 columns"),
    "every row too long": ("a,b\n" + "1,2,3\n" * 5, {}, "line 2 has 3 cells and the table 2 columns"),
    "a column without a name": ("a,\n0,1\n1,2\n2,3\n3,4\n", {}, "column 2 has no name", "dataset.columns"),
    "no header": (
        "0.5,0.25\n1,2\n3,4\n5,6\n7,8\n",
        {},
        "the number '0.5' in its first line",
        "dataset.header=false",
    ),
    "an open quote": ('a,b\n1,2\n3,"4\n5,6\n7,8\n', {}, "cannot be read as CSV"),
    "UTF-16 cut off": ("a,b\n1,2\n".encode("utf-16")[:-1], {}, "not text in UTF-16", "line 2"),
    "bytes": (b"a,b\n" + b"1,2\n" * 9 + b"\xfc\x03,2\n", {}, "not text in UTF-8", "0xfc in line 11"),
    "zero bytes": (b"a,b\n1,\x002\n", {}, "zero byte in line 2"),
    "an image": (b"\x89PNG\r\n\x1a\n\0\0", {}, "not text"),
    "JSON": ('[{"a": 1}, {"a": 2}]', {}, "is JSON"),
    "a page": ("<!DOCTYPE html>\n<table><tr><td>1\n", {}, "is HTML or XML"),
    "one column of times": ("t\n" + "2010-01-01 00:10\n" * 9, {}, "column 't' holds dates"),
    "one column of decimal commas": ("t\n" + "1,5\n" * 9, {}, "line 2 has 2 cells and the table 1 column"),
    "a title": ("My own table\na,b\n" + "1,2\n" * 9, {}, "line 2 has 2 cells and the table 1 column"),
    "colons": ("a:b\n" + "1:2\n" * 9, {}, "no column of numbers", "separated by commas"),
    "a workbook": (b"PK\x03\x04" + b"\0" * 99, {}, "is a ZIP archive, as Excel's workbooks are"),
    "compressed": (b"\x1f\x8b\x08\0", {}, "cannot be unpacked (Compressed file ended"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_file_and_the_place(fault, tmp_path):
    content, options, *words = FAULTS[fault]
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as raised:
        TableFile(path=str(path), **options).spec()
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert all(word in said for word in words), said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 250


def test_a_folder_or_a_file_that_may_not_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        TableFile(path=str(tmp_path)).spec()
    for path in (None, ""):
        with pytest.raises(ConfigError, match=r"dataset\.path: names no file; set dataset\.path=FILE\.csv"):
            TableFile(path=path).spec()


@pytest.mark.parametrize("options", [{"columns": ["a", "a"]}, {"columns": ["a", "b"], "label": "b"}])
def test_a_column_is_chosen_for_one_thing(options, tmp_path):
    (tmp_path / "t.csv").write_text(GOOD)
    with pytest.raises(ConfigError, match="twice or is the label"):
        TableFile(path=str(tmp_path / "t.csv"), **options).spec()


def test_parquet_is_the_same_table_or_says_what_it_needs(tmp_path):
    columns = {"a": NORMAL[:, 0], "n": EXACT["whole"], "kind": ["u", "v"] * 250}
    path = tmp_path / "t.parquet"
    if find_spec("pyarrow") is None:
        path.write_bytes(b"PAR1")
        with pytest.raises(DataError, match=r"pyarrow is not installed; pip install 'gantrain\[parquet\]'"):
            TableFile(path=str(path)).spec()
        return
    pandas.DataFrame(columns).to_parquet(path)
    mine = TableFile(path=str(path), label="kind")
    same = TableFile(path=str(write(tmp_path, columns)), label="kind")
    assert mine.spec() == same.spec()
    assert torch.equal(rows(mine)[0], rows(same)[0])
    write_samples(tmp_path / "back.parquet", *rows(mine), mine.spec())
    found = pandas.read_parquet(tmp_path / "back.parquet")
    assert found["n"].tolist() == columns["n"].tolist()
    assert found["kind"].tolist() == columns["kind"]
    for column, value, words in (("a", None, "an empty cell in row 3"), ("a", math.inf, "'inf' in row 3")):
        pandas.DataFrame(columns | {column: [0.0, 1.0, value, *NORMAL[3:, 0]]}).to_parquet(path)
        with pytest.raises(DataError, match=words):
            TableFile(path=str(path)).spec()
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        TableFile(path=str(path)).spec()


# -------------------------------------------------------------------------------------------- the CLI

TINY = ["train.steps=4", "train.batch_size=16", "train.checkpoint_every=2", "metric=none", "device=cpu"]


@pytest.fixture
def run(tmp_path, run_cli) -> Path:
    """A finished run on a labelled table, conditional, whose file is no longer there; it lies in ``kept.csv``."""
    columns = {"t": 300 + NORMAL[:, 0], "kind": ["north", "south"] * 250, "n": EXACT["whole"]}
    path = write(tmp_path, columns)
    words = ["dataset=table", f"dataset.path={path}", "dataset.label=kind", "model.condition=concat"]
    code, _, err = run_cli(*words, *TINY, f"run.dir={tmp_path / 'run'}")
    assert code == 0, err
    path.rename(tmp_path / "kept.csv")
    return tmp_path / "run"


def refused(result: tuple[int, str, str], code: int, *words: str) -> None:
    got, _, err = result
    last = err.strip().splitlines()[-1]
    assert got == code, err
    assert last.startswith("gantrain: error: ")
    assert "Traceback" not in err
    assert all(word in last for word in words), last


def test_a_copied_run_samples_rows_in_own_units_without_the_file(run, run_cli, tmp_path):
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(run, moved)
    shutil.rmtree(run)
    code, out, _ = run_cli("sample", moved, "n=6", "classes=[1,0]")
    assert code == 0
    path = moved / "samples" / "sample-000004-seed0.csv"
    assert Path(out.strip()) == path
    assert path.read_text().splitlines()[0] == "t,kind,n"
    frame = pandas.read_csv(path)
    assert frame["kind"].tolist() == ["south", "north"] * 3
    assert frame["n"].dtype == np.int64
    assert run_cli("sample", moved, "n=6", "classes=[1,0]", f"out={tmp_path / 'a.npz'}")[0] == 0
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["columns"].tolist() == ["t", "n"]
    assert np.array_equal(arrays["x"], frame[["t", "n"]].to_numpy())
    assert arrays["values"][arrays["y"]].tolist() == frame["kind"].tolist()
    assert run_cli("sample", moved, "n=6", "classes=[1,0]", f"out={tmp_path / 'again.csv'}")[0] == 0
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_rows_are_written_to_the_kinds_of_file_that_hold_rows(run, run_cli, tmp_path):
    for name in ("x.png", "x.txt", "folder"):
        refused(run_cli("sample", run, f"out={name}"), 2, "out: ", name, ".csv, .npz or .parquet")
    result = run_cli("sample", run, "n=6", "out=x.parquet")
    if find_spec("pyarrow") is None:
        refused(result, 2, "pyarrow", "pip install 'gantrain[parquet]'")
        assert not (tmp_path / "x.parquet").exists()
    else:
        assert result[0] == 0
        assert list(pandas.read_parquet(tmp_path / "x.parquet")) == ["t", "kind", "n"]


def test_table_run_resumes_with_its_own_file_alone(run, run_cli, tmp_path):
    refused(run_cli("resume", run, "train.steps=6"), 3, "data.csv", "no such file")
    other = pandas.read_csv(tmp_path / "kept.csv")
    other["t"] += 1
    other.to_csv(tmp_path / "other.csv", index=False)
    before = load_checkpoint(run)
    for verb, *words in (("resume", "train.steps=6"), ("evaluate", "metric=js")):
        result = run_cli(verb, run, f"dataset.path={tmp_path / 'other.csv'}", *words)
        refused(result, 3, "other.csv", "not the data that the run was trained on")
    assert load_checkpoint(run).tensors.keys() == before.tensors.keys()
    assert load_checkpoint(run).step == 4
    kept = f"dataset.path={tmp_path / 'kept.csv'}"
    assert run_cli("evaluate", run, kept, "metric=js")[0] == 0
    assert run_cli("resume", run, kept, "train.steps=6")[0] == 0
    assert load_checkpoint(run).step == 6
    assert load_checkpoint(run).spec == before.spec


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "dataset.path: names no file; set dataset.path=FILE.csv"),
        (["dataset.path=none.csv"], 3, "none.csv: there is no such file"),
        (["dataset.path=."], 3, ": is a folder"),
        (["dataset.path=bad.csv"], 3, "bad.csv: column 'b' has 'six' in row 3"),
    ],
)
def test_the_command_line_says_it_in_one_line(words, code, said, run_cli, tmp_path):
    (tmp_path / "bad.csv").write_text(GOOD.replace("5,6", "5,six"))
    result = run_cli("dataset=table", *words, *TINY)
    refused(result, code, said)
    assert len(result[2].strip().splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


# ------------------------------------------------------------------------------------------- learning


def unlike_gaussian(n: int) -> dict[str, np.ndarray]:
    """Five correlated columns: two modes, a skewed one, whole numbers, a tiny unit, a large offset."""
    draws = np.random.default_rng(3)
    h, side = draws.standard_normal((n, 5)), draws.random(n) < 0.35
    return {
        "temperature": np.where(side, 12.0, 21.0) + 1.3 * (h[:, 0] + h[:, 1]),
        "income": np.round(np.exp(10 + 0.4 * h[:, 0] + 0.3 * h[:, 2]), 2),
        "age": np.clip(np.round(45 + 8 * h[:, 0] + 10 * h[:, 3]), 18, 95).astype(int),
        "distance": 1e-6 * (3 + 0.9 * h[:, 3] + 0.45 * h[:, 4] + 2.0 * side),
        "pressure": 101325 + 560 * (h[:, 4] - h[:, 0]) + 400 * h[:, 1],
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_table_means_and_correlations_are_learned(seed, run_cli, tmp_path):
    path = write(tmp_path, unlike_gaussian(10_000))
    words = ["dataset=table", f"dataset.path={path}", f"seed={seed}", "train.steps=3000", "device=cpu"]
    assert run_cli(*words, "run.dir=run")[0] == 0
    assert run_cli("sample", "run", "n=10000", "out=s.csv")[0] == 0
    real, fake = pandas.read_csv(path), pandas.read_csv(tmp_path / "s.csv")
    assert list(fake) == list(real)
    assert ((fake.mean() - real.mean()).abs() < 0.1 * real.std()).all()
    assert ((fake.std() / real.std() - 1).abs() < 0.15).all()
    assert (fake.corr() - real.corr()).abs().to_numpy().max() < 0.1
    assert fake["age"].dtype == np.int64
