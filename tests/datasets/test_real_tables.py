"""Real tables, of packages that come with some: each trains, or is refused for a reason that a person calls right.

pip install statsmodels vega_datasets palmerpenguins
python -m pytest -m slow -s tests/datasets/test_real_tables.py
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from gantrain.datasets.table import TableFile
from gantrain.errors import DataError

PACKAGES = ("statsmodels", "vega_datasets", "palmerpenguins", "sklearn")
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
# What a table cannot be trained for as it is; every other refusal must name words that make it train.
REASONS = (
    r"has \d rows? of data; give at least 4",
    r"give at least 4 rows",
    r"no column of numbers: column .* holds (words|true or false|dates)",
    r"line \d+ has [\d,]+ cells? and the table [\d,]+ columns?; give the file a (line that names|cell for)",
    r"has two columns called",
)
SEPARATORS = {"semicolons": ";", "tabs": "\t", "spaces": r"\s+"}


def find_tables() -> list[Path]:
    roots = [Path(next(iter(importlib.util.find_spec(name).submodule_search_locations))) for name in PACKAGES]
    patterns = ("*.csv", "*.tsv", "*.csv.gz")
    return sorted(path for root in roots for pattern in patterns for path in root.rglob(pattern))


def load(path: Path, words: list[str]) -> tuple[TableFile, str]:
    """The dataset of words as typed on the command line, and the first line of a run on it. Raises DataError."""
    options: dict[str, object] = dict(word.removeprefix("dataset.").split("=") for word in words)
    if "columns" in options:
        options["columns"] = str(options["columns"])[1:-1].split(",")
    if "header" in options:
        options["header"] = options["header"] == "true"
    dataset = TableFile(path=str(path), **options)
    return dataset, dataset.load(0).summary


def follow(path: Path) -> tuple[str, list[str], str]:
    """Read a table with the words that refusals advise; return the outcome, those words and the last line."""
    words: list[str] = []
    while True:
        try:
            return "trains", words, load(path, words)[1]
        except DataError as error:
            keys = {word.split("=")[0] for word in words}
            advice = dict(re.findall(r"(dataset\.\w+)=(\[\w+(?:,\w+)*\]|\w+)", error.remedy.split(" if ")[0]))
            if not advice or keys & {*advice}:
                return "refused", words, str(error)
            words += [f"{key}={value}" for key, value in advice.items()]


def check_numbers(path: Path, words: list[str], line: str) -> None:
    """Check each number against pandas, which is told the separator and the first line."""
    dataset, _ = load(path, words)
    found = re.search(r"separated by (\w+)", line)
    frame = pandas.read_csv(
        path,
        sep=SEPARATORS[found[1]] if found else ",",
        header=None if dataset.header is False else 0,
        quotechar="'" if path.name in ("anes96.csv", "spector.csv") else '"',
        skipinitialspace=True,
        na_values=["."],
        index_col=None if path.name == "dietox.csv" else False,
    )
    frame.columns = [str(name + 1 if isinstance(name, int) else name).strip() for name in frame.columns]
    units = dataset.spec().table.columns
    numbers = frame[[unit.name for unit in units]].replace("\u2013", "-", regex=True)
    numbers = numbers.apply(pandas.to_numeric, errors="coerce").dropna()
    data = dataset.load(0)
    x = torch.cat([data.train.x, data.holdout.x])
    x = x[torch.argsort(torch.randperm(len(x), generator=torch.Generator().manual_seed(0)))]
    scales, shifts = (np.array([getattr(unit, name) for unit in units]) for name in ("scale", "shift"))
    np.testing.assert_array_less(np.abs((numbers - shifts) / scales - x.double().numpy()), 1e-4)


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"needs the tables of {', '.join(MISSING)}")
def test_real_tables_train_or_are_refused_for_a_reason(run_cli):
    counts: Counter[str] = Counter()
    lines, wrong = [], []
    for number, path in enumerate(find_tables()):
        outcome, words, line = follow(path)
        line = line.removeprefix(f"{path}: ")
        counts[" ".join([outcome, *sorted(word.split("=")[0] for word in words)])] += 1
        lines.append(f"{outcome:7} {'/'.join(path.parts[-3:])} {' '.join(words)}: {line}")
        if outcome == "trains":
            check_numbers(path, words, line)
        elif not any(re.search(reason, line) for reason in REASONS):
            wrong.append(line)
        # The command line says the same, for some of them.
        if number % 25 == 0:
            tiny = "train.steps=2 train.batch_size=2 metric=none device=cpu".split()
            code, _, err = run_cli(
                "dataset=table", f"dataset.path={path}", *words, *tiny, f"run.dir={number}"
            )
            assert (code == 0) == (outcome == "trains"), err
            assert line.split(";")[0] in err
    print(*lines, *counts.items(), "not right:", *wrong, sep="\n")
    assert counts.total() >= 240
    assert not wrong
