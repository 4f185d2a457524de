"""Forty different runs, each stopped after two steps and resumed in a fresh process: the bits of the unbroken run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_contents import fingerprint, lines
from small_runs import FACTORS, Refusals, Row, parts_built_once, plain_of

from gantrain.config.resolve import resolve
from gantrain.training.run import run

CELLS, STEPS, STOP = 40, 5, 2
OWN = {
    "dataset": [*FACTORS["dataset"], "gaussian_mixture", "grid", "spiral", "mnist", "table", "image_folder"],
    "metric": [""],
    "held_out": [200],
    "metric.n": [37],
    "train.sample_every": [0],
    "train.log_every": [1, 2],
    "train.accumulate": [1, 2],
    "optimizer.schedule": ["constant", "linear", "cosine"],
}
CONTEXTS = [
    {"dataset": dataset, "model": model, "model.condition": condition}
    for dataset in ("ring", "digits", "gaussian", "dirac", "lines")
    for model in ("", "gaussian", "flow")
    for condition in ("none", "concat", "projection")
]


def cells(refusals: Refusals) -> list[Row]:
    """Return runs that are possible, among which every choice of every factor occurs."""
    factors = {name: OWN.get(name, choices) for name, choices in (FACTORS | OWN).items()}
    left = {(name, choice) for name, choices in factors.items() for choice in choices}
    first, draws, rows = {name: choices[0] for name, choices in factors.items()}, random.Random(0), []
    while len(rows) < CELLS:
        # One choice that no run has yet, in the first surroundings that allow it; then others, as they come.
        needed = dict([min(left, key=str)]) if left else {}
        starts = (first | context | needed for context in ({}, *CONTEXTS))
        row = next(start for start in starts if refusals.is_possible(start))
        for name in draws.sample(sorted(factors), len(factors)):
            new = [choice for choice in factors[name] if (name, choice) in left]
            other = row | {name: draws.choice(new or factors[name])}
            if name not in needed and refusals.is_possible(other):
                row = other
        rows.append(row)
        left -= set(row.items())
    assert not left
    return rows


@pytest.fixture(scope="module", autouse=True)
def parts() -> Iterator[None]:
    with parts_built_once():
        yield


def train(row: Row, files: Path, folder: Path, steps: int) -> Path:
    words = {"train.steps": steps, "optimizer.horizon": STEPS, "dataset.n": 80, "dataset.n_holdout": 40}
    run(resolve(plain_of(row | words, files)), folder)
    return folder


@pytest.mark.slow
def test_resumed_cells_have_the_bits_of_unbroken_runs(files, tmp_path, fresh):
    faults: list[tuple[str, Row]] = []
    rows = cells(Refusals(files))
    for i, row in enumerate(rows):
        whole = train(row, files, tmp_path / f"whole{i}", STEPS)
        part = train(row, files, tmp_path / f"part{i}", STOP)
        assert fingerprint(part) != fingerprint(whole)
        code, said = fresh("resume", str(part), f"train.steps={STEPS}", where=tmp_path)
        if code or "not bit for bit" in said:
            faults.append((said, row))
        elif (fingerprint(part), lines(part)) != (fingerprint(whole), lines(whole)):
            faults.append(("other bits", row))
    assert len(rows) == CELLS
    assert not faults
