"""What a table is, is read from the file: each cell of it under its own name, however it was written."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gantrain.datasets.files.csv_layout import SEPARATORS
from gantrain.datasets.files.table_file import open_table
from gantrain.datasets.table import TableFile
from gantrain.errors import DataError


def write(folder: Path, content: str | bytes) -> str:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(path: str, **options: object) -> tuple[dict[str, list[float]], str]:
    """The numbers that a run trains on, in their own units, and the first line of the run."""
    dataset = TableFile(path=path, **options)
    data = dataset.load(0)
    x = torch.cat([data.train.x, data.holdout.x])
    order = torch.argsort(torch.randperm(len(x), generator=torch.Generator().manual_seed(0)))
    return data.spec.table.restore(x[order], None), data.summary.removeprefix(f"{path}: ")


# The law -------------------------------------------------------------------------------------------------------------

LETTERS = "aZé0 ._-,;|\t#'\"\n"
NUMBERS = st.one_of(
    st.integers(-(10**9), 10**9).map(str), st.floats(allow_nan=False, allow_infinity=False).map(repr)
)
WORDS = st.text(LETTERS, max_size=6)


@st.composite
def tables(draw, names=WORDS, words=WORDS):
    """Names and columns of cells, numbers or words, of one length."""
    heads = draw(st.lists(names, min_size=1, max_size=5, unique_by=str.strip))
    count = draw(st.integers(1, 6))
    cells = st.one_of(
        st.lists(NUMBERS, min_size=count, max_size=count), st.lists(words, min_size=count, max_size=count)
    )
    return heads, [draw(cells) for _ in heads]


def written(heads, columns, **dialect) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **dialect).writerows([heads, *zip(*columns, strict=True)])
    return buffer.getvalue()


def check_cells(path: str, heads, columns, **options) -> None:
    """Check that each cell is under its own name, as text and as a number; rows without content do not count."""
    table = open_table(path, header=True, **options)
    rows = [row for row in zip(*columns, strict=True) if any(cell.strip() for cell in row)]
    named = [name.strip() for name in heads]
    assert table.names == named
    assert table.count == len(rows)
    for name, cells in zip(named, zip(*rows, strict=True), strict=False):
        assert table.texts(name) == [cell.strip() for cell in cells]
        for text, value in zip(cells, table.numbers(name), strict=True):
            try:
                number = float(text) if "_" not in text else math.nan
            except ValueError:
                continue  # words, and numbers with their thousands in groups
            assert value == number or (math.isnan(value) and not math.isfinite(number))


@settings(max_examples=60, deadline=None)
@given(
    tables(names=WORDS.filter(str.strip)),
    st.sampled_from(["comma", "semicolon", "tab", "pipe"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
)
@example((["a", "b"], [["1", "2"], ["3", ""]]), "comma", csv.QUOTE_MINIMAL, "\n")
@example((["a,b", "b\n"], [["1", "2"], ["x,\ny", '"']]), "comma", csv.QUOTE_MINIMAL, "\r\n")
def test_table_cell_of_any_dialect_is_under_its_name(tmp_path_factory, table, separator, quoting, end):
    heads, columns = table
    # A first line of comment, and one that is all in single quotes, are not the names as csv writes them.
    assume(not heads[0].startswith("#") and not all(name.startswith("'") for name in heads))
    text = written(heads, columns, delimiter=SEPARATORS[separator], quoting=quoting, lineterminator=end)
    path = tmp_path_factory.getbasetemp() / "law.csv"
    path.write_text(text, encoding="utf-8", newline="")
    check_cells(str(path), heads, columns, separator=separator, decimal="point")


PLAIN = st.text("abcXYZ_", min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    tables(names=PLAIN, words=PLAIN),
    st.sampled_from([*SEPARATORS]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from("\"'"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["", "separator"]),
)
def test_table_separator_quote_and_encoding_are_recognised(
    tmp_path_factory, table, separator, quoting, quote, end, encoding, ending
):
    heads, columns = table
    assume(quote == '"' or quoting == csv.QUOTE_ALL)
    mark = SEPARATORS[separator]
    text = written(heads, columns, delimiter=mark, quoting=quoting, quotechar=quote, lineterminator=end)
    if ending and len(heads) > 1:  # a separator at the end of each row, but not of the names
        first, rest = text.split(end, 1)
        text = first + end + rest.replace(end, mark + end)
    path = tmp_path_factory.getbasetemp() / "law.csv"
    path.write_bytes(text.encode(encoding))
    check_cells(str(path), heads, columns)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(10**7), 10**7), st.integers(-999, 999)), min_size=4, max_size=8),
    st.sampled_from([(",", "."), (".", ",")]),
    st.sampled_from(["", " ", "\u202f", "'", "other"]),
    st.sampled_from([*SEPARATORS]),
    st.sampled_from(["", "NA", "?", "-"]),
    st.integers(0, 3),
    st.booleans(),
)
def test_table_numbers_of_any_style_are_the_same(
    tmp_path_factory, numbers, marks, group, separator, missing, gaps, is_packed
):
    """The first column has halves, which prove the decimal mark, and its thousands in groups."""
    mark, other = marks
    if group == " ":  # an ordinary blank separates numbers
        group = ""

    def style(value: int, end: str) -> str:
        return f"{value:,}".replace(",", {"other": other}.get(group, group)) + end

    rows = [[style(a, f"{mark}5"), style(b, "")] for a, b in numbers] + [[missing or "NA", "1"]] * gaps
    assume(separator != "space" or missing)
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=SEPARATORS[separator], lineterminator="\n").writerows([["a", "b"], *rows])
    content = ("# of 2024\n\n" + buffer.getvalue() + "\n").encode()
    path = tmp_path_factory.getbasetemp() / "law.csv"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    found, line = read(str(path), bad_rows="skip")
    assert found["b"] == pytest.approx([b for _, b in numbers], rel=1e-6, abs=1e-3)
    halves = [a - 0.5 if a < 0 else a + 0.5 for a, _ in numbers]
    assert found["a"] == pytest.approx(halves, rel=1e-6, abs=1.0)
    assert ("decimal commas" in line) == (mark == ",")
    assert (f"{gaps} incomplete row" in line) == bool(gaps)


# Kinds of files ------------------------------------------------------------------------------------------------------

A, B = [1.0, 2.0, 4.0, 8.0], [0.5, -2.0, 3.25, 4.0]
ROWS = "1,0.5\n2,-2\n4,3.25\n8,4\n"
GOOD = "a,b\n" + ROWS
COMMAS = "a;b\n1;0,5\n2;-2\n4;3,25\n8;4\n"
KINDS = {
    "commas": (GOOD, ""),
    "a comma at the end of each row": (GOOD.replace("\n", ",\n").replace("b,", "b", 1), ""),
    "a comma at the end of each line": (GOOD.replace("\n", ",\n"), ""),
    "many commas, as spreadsheets leave them": (
        GOOD.replace("\n", ",,,\n") + ",,,,\n" * 3,
        "left out: 3 empty rows",
    ),
    "blank lines": ("\n\n" + GOOD.replace("2,", "\n  \n2,") + "\n\n", ""),
    "blanks around cells": (GOOD.replace(",", " , "), ""),
    "quotes after blanks": ('"a", "b"\n"1", "0.5"\n2, "-2"\n4, 3.25\n8, 4\n', ""),
    "semicolons": (GOOD.replace(",", ";"), "separated by semicolons"),
    "semicolons and decimal commas": (COMMAS, "separated by semicolons; decimal commas"),
    "decimal commas in quotes": ('a,b\n1,"0,5"\n2,-2\n4,"3,25"\n8,4\n', "decimal commas"),
    "tabs": (GOOD.replace(",", "\t"), "separated by tabs"),
    "bars": (GOOD.replace(",", "|"), "separated by pipes"),
    "blanks": (GOOD.replace(",", " "), "separated by spaces"),
    "aligned blanks": (
        "    a     b\n    1   0.5\n    2    -2\n    4  3.25\n    8     4  \n",
        "separated by spaces",
    ),
    "blanks and tabs": ("a \tb\n1 \t 0.5\n2\t -2\n4  3.25\n8\t4\n", "separated by spaces"),
    "single quotes": (GOOD.replace("a,b", "'a'\t'b'").replace(",", "\t"), "separated by tabs"),
    "Mac": (GOOD.replace("\n", "\r"), ""),
    "Windows": (GOOD.replace("\n", "\r\n"), ""),
    "Windows twice": (GOOD.replace("\n", "\r\r\n"), ""),
    "a line for Excel": ("sep=;\n" + GOOD.replace(",", ";"), "separated by semicolons"),
    "a byte order mark": (GOOD.encode("utf-8-sig"), ""),
    "UTF-16": (GOOD.encode("utf-16"), ""),
    "gzip": (gzip.compress(GOOD.encode()), ""),
    "gzip in two parts": (gzip.compress(b"a,b\n1,0.5\n") + gzip.compress(ROWS[6:].encode()), ""),
    "comments": ("# of 2024\n#\n" + GOOD, "2 lines of comment"),
    "names in a comment, by NumPy": ("# a b\n" + ROWS.replace(",", " "), "separated by spaces"),
    "row numbers without a name": (
        ",a,b\n" + "".join(f"{i},{r}\n" for i, r in enumerate(ROWS.split())),
        "left out: column 1 (names of rows)",
    ),
    "row numbers of R": (
        '"a" "b"\n' + "".join(f'"{9 * i}" {r.replace(",", " ")}\n' for i, r in enumerate(ROWS.split())),
        "separated by spaces; left out: column 1 (names of rows)",
    ),
    "signs of printed tables": (GOOD.replace("-2", "\u22122"), ""),
    "words beside": ("a,k,b\n" + ROWS.replace(",", ",x,"), "left out: k (words)"),
    "codes that are partly numbers": (
        "a,k,b\n1,00M,0.5\n2,1E0,-2\n4,00V,3.25\n8,3T5,4\n",
        "left out: k (words)",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_table_of_any_kind_gives_the_same_numbers(kind, tmp_path):
    content, words = KINDS[kind]
    numbers, line = read(write(tmp_path, content))
    assert numbers == {"a": A, "b": B}
    assert line.startswith("4 rows of 2 columns (a, b)")
    assert line.endswith(words)
    assert ("; " in line) == bool(words)
    # Each column alone is itself as well.
    assert [read(str(tmp_path / "t.csv"), columns=[name])[0] for name in "ab"] == [{"a": A}, {"b": B}]


def test_table_evenly_spaced_first_column_is_not_an_index(tmp_path):
    """A comma at each row's end and a first column of 0, 1, 2, ... once moved every column by one."""
    text = "a,b,c\n" + "".join(f"{i},{i * i},{i**3},\n" for i in range(9))
    numbers, _ = read(write(tmp_path, text))
    assert numbers == {name: [i**n for i in range(9)] for n, name in enumerate("abc", 1)}


def test_table_letters_that_are_not_utf8_are_read_and_noted(tmp_path):
    numbers, line = read(write(tmp_path, GOOD.replace("a,b", "größe,preis €").encode("cp1252")))
    assert numbers == {"größe": A, "preis €": B}
    assert line.endswith("letters read as Windows-1252, since they are not UTF-8")


THOUSANDS = {
    "groups by commas": ('"1,234,567"', "1.5", 1234567.0, 1.5),
    "groups and a point": ('"1,234.5"', "2", 1234.5, 2.0),
    "groups known by another column": ('"1,234"', "2.75", 1234.0, 2.75),
    "decimals known by another column": ('"1,234"', '"2,75"', 1.234, 2.75),
    "decimals below one": ('"1,234"', '"0,125"', 1.234, 0.125),
    "groups by points": ('"1.234.567,5"', '"1.234"', 1234567.5, 1234.0),
    "unbreakable blanks": ("1\u00a0234.5", "1\u202f234", 1234.5, 1234.0),
    "apostrophes": ("1'234.5", "12'345", 1234.5, 12345.0),
}


@pytest.mark.parametrize("case", THOUSANDS)
def test_table_thousands_are_read_where_they_are_certain(case, tmp_path):
    a, b, x, y = THOUSANDS[case]
    numbers, _ = read(write(tmp_path, "a,b\n1,1\n2,2\n3,3\n" + f"{a},{b}\n"))
    assert (numbers["a"][-1], numbers["b"][-1]) == (pytest.approx(x, rel=1e-6), pytest.approx(y, rel=1e-6))


@pytest.mark.parametrize(("decimal", "value"), [("comma", 1.234), ("point", 1234.0)])
def test_table_ambiguous_comma_is_as_the_user_says(decimal, value, tmp_path):
    path = write(tmp_path, 'a,b\n1,1\n2,2\n3,3\n"1,234",4\n')
    with pytest.raises(DataError, match="'1,234', whose comma may be decimal or group thousands"):
        read(path)
    assert read(path, decimal=decimal)[0]["a"][-1] == pytest.approx(value, rel=1e-6)


# First lines ---------------------------------------------------------------------------------------------------------

HEADERLESS = {
    "iris.data": ("5.1,3.5,1.4,0.2,Iris-setosa\n6.3,3.3,6.0,2.5,Iris-virginica\n", "5.1", "5"),
    "adult.data": ("39, State-gov, 77516, Bachelors, 13\n50, Private, 83311, HS-grad, 9\n", "39", "2"),
    "abalone.data": ("M,0.455,0.365,15\nF,0.35,0.265,7\n", "0.455", "1"),
    "counts of two": ("0,1\n1,0\n", "0", "2"),
    "wine, by blanks": ("1 14.23 1.71\n2 13.2 1.78\n", "1", "1"),
}


@pytest.mark.parametrize("name", HEADERLESS)
def test_table_first_line_of_numbers_is_no_names(name, tmp_path):
    text, number, label = HEADERLESS[name]
    path = write(tmp_path, text * 5)
    with pytest.raises(DataError, match=f"has the number '{number}' in its first line.*dataset.header=false"):
        TableFile(path=path).spec()
    dataset = TableFile(path=path, header=False, label=label)
    assert dataset.load(0).summary.removeprefix(f"{path}: ").startswith("10 rows of")
    assert dataset.spec().classes == 2
    assert set(dataset.spec().table.order) <= set("12345")


def test_table_years_and_counts_are_names(tmp_path):
    text = "country,1960,1961,1962\n" + "".join(f"{name},4.8,{i}.5,{i}\n" for i, name in enumerate("abcd"))
    assert list(read(write(tmp_path, text))[0]) == ["1960", "1961", "1962"]
    assert list(read(write(tmp_path, "0,1,2\n" + "3,5,8\n1,2,3\n" * 3))[0]) == ["0", "1", "2"]
    names = read(write(tmp_path, "2,1\n" + "3,5\n1,2\n" * 3), header=True)[0]
    assert list(names) == ["2", "1"]


# Rows ----------------------------------------------------------------------------------------------------------------

GAPS = "a,b,k\n" + "1,5,x\n,6,x\n3,NA,y\n4,7,\n5,8,y\nsix,9,x\n7,10,x\n8,11\n9,12,y,1\n9,9,y\n"


def test_table_incomplete_rows_are_refused_or_left_out(tmp_path):
    path = write(tmp_path, GAPS.replace("8,11\n", "8,11,x\n").replace("y,1", "y"))
    with pytest.raises(
        DataError, match=r"'a' has an empty cell in row 2; fix it, or leave out 3 of 10 rows: dataset\.ba"
    ):
        TableFile(path=path).spec()
    numbers, line = read(path, bad_rows="skip")
    assert numbers == {"a": [1, 4, 5, 7, 8, 9, 9], "b": [5, 7, 8, 10, 11, 12, 9]}
    assert line == "7 rows of 2 columns (a, b); left out: 3 incomplete rows, k (words)"
    dataset = TableFile(path=path, bad_rows="skip", label="k")
    assert (
        "6 rows of 2 columns (a, b), 2 classes of k (x, y); left out: 4 incomplete rows"
        in dataset.load(0).summary
    )


def test_table_uneven_rows_are_refused_or_left_out(tmp_path):
    path = write(tmp_path, GAPS)
    with pytest.raises(DataError, match=r"line 9 has 2 cells and the table 3 columns; .* 5 of 10 rows"):
        TableFile(path=path).spec()
    assert read(path, bad_rows="skip")[0] == {"a": [1, 4, 5, 7, 9], "b": [5, 7, 8, 10, 9]}
    for start in ("title\n", "title\n\nby,someone\n", "569,30,malignant\n"):
        with pytest.raises(
            DataError, match=r"line \d has \d cells? and the table .*; give the file a (line|cell)"
        ):
            TableFile(path=write(tmp_path, start + "a,b,c,d\n" + "1,2,3,4\n" * 9), bad_rows="skip").spec()


def test_table_remedy_for_gaps_everywhere_is_accepted(tmp_path):
    text = "a,b,c\n" + "".join(f"{i},,{i}\n{i},{i},\n" for i in range(5))
    with pytest.raises(DataError, match=r"or learn fewer columns: dataset\.columns=\[a\]$"):
        TableFile(path=write(tmp_path, text)).spec()
    text = "a,b\n" + "".join(f"{i},\n,{i}\n" for i in range(5))
    with pytest.raises(DataError, match=r"fewer columns: dataset\.columns=\[a\] dataset\.bad_rows=skip$"):
        TableFile(path=write(tmp_path, text)).spec()
    assert read(str(tmp_path / "t.csv"), columns=["a"], bad_rows="skip")[0] == {"a": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("missing", ["", "NA", "n/a", "NaN", "NULL", "?", ".", "-", "#N/A", "<NA>", "None"])
def test_table_missing_values_do_not_make_words(missing, tmp_path):
    text = "a,b\n" + f"1,2\n{missing},3\n{missing},4\n{missing},5\n" + "7,8\n" * 4
    numbers, line = read(write(tmp_path, text), bad_rows="skip")
    assert numbers == {"a": [1, 7, 7, 7, 7], "b": [2, 8, 8, 8, 8]}
    assert line.endswith("left out: 3 incomplete rows")


ADVICE = {
    "numbers above numbers": ("1.5,2\n" + "3,4\n" * 4, 1),
    "gaps": ("a,b\n,2\n" + "3,4\n" * 4, 1),
    "gaps in every row": ("a,b\n" + "3,\n" * 4, 0),
    "gaps in one or the other": ("a,b\n" + "3,\n,4\n" * 4, 1),
    "gaps without names": ("1.5,2\n" + ",4\n3,4\n" * 4, 2),
    "uneven rows": ("a,b\n1\n" + "3,4\n" * 4, 1),
    "uneven and half empty": ("a,b\n1,2,3\n" + "3,\n,5\n" * 4, 1),
    "a comma that may be decimal": ('a,b\n"1,234",2\n' + "3,4\n" * 4, 1),
    "a column without a name": ("a,,b\n" + "1,2,3\n" * 4, 1),
}


@pytest.mark.parametrize("case", ADVICE)
def test_table_advice_is_accepted(case, tmp_path):
    """Words of a remedy, typed one refusal after the other, end in a run."""
    content, count = ADVICE[case]
    path, options = write(tmp_path, content), dict[str, object]()
    for _ in range(count):
        with pytest.raises(DataError) as raised:
            read(path, **options)
        words = re.findall(r"dataset\.(\w+)=(\[[^]]*\]|\w+)", raised.value.remedy.split(" if ")[0])
        for key, value in words[:2]:
            options[key] = (
                value[1:-1].split(",") if key == "columns" else value != "false" if key == "header" else value
            )
    read(path, **options)


def test_table_labels_that_look_alike_are_noted(tmp_path):
    labels = ["Yes", "Yes ", "yes", " no", "no", "02116"]
    path = write(tmp_path, "k,a\n" + "".join(f"{label},{i}\n" for i, label in enumerate(labels * 2)))
    data = TableFile(path=path, label="k").load(0)
    assert data.spec.table.values == ("02116", "Yes", "no", "yes")
    assert (
        "4 classes of k (02116, Yes, no, yes); outer blanks of 4 labels removed; 'Yes' and 'yes' are two"
        in data.summary
    )
    path = write(tmp_path, "k,a\n" + "02116,1\n2116,2\n" * 4)
    assert (
        "2 classes of k (02116, 2116); '02116' and '2116' are two classes"
        in TableFile(path=path, label="k").load(0).summary
    )
