"""Forty different runs, each stopped after two steps and resumed in fresh processes: the bits of the unbroken run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_contents import fingerprint, lines
from small_runs import FACTORS, Refusals, Row, parts_built_once, plain_of

from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.training.restore import write_config
from gantrain.training.run import run

CELLS, STEPS, STOPS = 40, 5, (2, 4)
OWN = {
    "dataset": [*FACTORS["dataset"], "gaussian_mixture", "grid", "spiral", "mnist", "table", "image_folder"],
    "metric": [""],
    "held_out": [200],
    "metric.n": [37],
    "train.sample_every": [0],
    "train.log_every": [1, 2],
    "train.accumulate": [1, 2],
    "optimizer.schedule": ["constant", "linear", "cosine"],
    # Processes before each stop and after it, which share four parts of a batch; or one, with whole batches.
    "worlds": ["1 1", "1 2", "2 1", "2 4", "4 2", "4 2 1"],
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
        worlds = {"worlds": draws.choice(factors["worlds"][1:] if len(rows) % 5 < 2 else ["1 1"])}
        starts = [first | context | worlds | needed for context in ({}, *CONTEXTS)]
        starts += [start | {"worlds": "1 1"} for start in starts]
        row = next(start for start in starts if refusals.is_possible(with_shards(start)))
        for name in draws.sample(sorted(factors), len(factors)):
            new = [choice for choice in factors[name] if (name, choice) in left]
            other = row | {name: draws.choice(new or factors[name])}
            if name not in needed and name != "worlds" and refusals.is_possible(with_shards(other)):
                row = other
        rows.append(row)
        left -= set(row.items())
    assert not left
    return rows


@pytest.fixture(scope="module", autouse=True)
def parts() -> Iterator[None]:
    with parts_built_once():
        yield


def with_shards(row: Row) -> Row:
    return row | {"device.shards": 1 if row["worlds"] == "1 1" else 4}


def config_of(row: Row, files: Path, steps: int) -> Config:
    words = {"train.steps": steps, "optimizer.horizon": STEPS, "dataset.n": 80, "dataset.n_holdout": 40}
    return resolve(plain_of(with_shards(row) | words, files))


@pytest.mark.slow
def test_resumed_cells_have_the_bits_of_unbroken_runs(files, tmp_path, fresh):
    faults: list[tuple[str, Row]] = []
    rows = cells(Refusals(files))
    for i, row in enumerate(rows):
        whole, part = tmp_path / f"whole{i}", tmp_path / f"part{i}"
        run(config_of(row, files, STEPS), whole)
        before, *after = map(int, row["worlds"].split())
        if before == 1:
            run(config_of(row, files, STOPS[0]), part)
        else:  # which begin a run anew that has its config and no more
            part.mkdir()
            write_config(config_of(row, files, STOPS[0]), part)
            assert fresh("resume", str(part), where=tmp_path, size=before)[0] == 0
        for size, steps in zip(after, [*STOPS[1 : len(after)], STEPS], strict=True):
            assert fingerprint(part) != fingerprint(whole)
            code, said = fresh("resume", str(part), f"train.steps={steps}", where=tmp_path, size=size)
            if code or "not bit for bit" in said:
                faults.append((said, row))
        if (fingerprint(part), lines(part)) != (fingerprint(whole), lines(whole)):
            faults.append(("other bits", row))
    assert len(rows) == CELLS
    assert not faults
