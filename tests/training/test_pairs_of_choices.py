"""Every pair of choices runs, or is refused before step 0 with a reason and with advice that works when it is typed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from covering import all_pairs, covering_rows, pairs_of
from small_runs import FACTORS, Refusals, Row, advised, config_of, parts_built_once

from gantrain.errors import ConfigError
from gantrain.features.tools import classifier
from gantrain.metrics.theory import overshoot, why_no_likelihood
from gantrain.training.run import run

# What a choice may need beside it: data of a kind, labels that the networks see, a G of known density.
CONTEXTS = [
    {"dataset": dataset, "model.condition": condition, "model": model}
    for dataset, condition, model in itertools.product(
        FACTORS["dataset"], ["none", "concat"], ["", "gaussian"]
    )
]
# A few rows that are fast: what is drawn jointly, in which numbers, and how it is labelled.
FEW = {
    "objective": ["non_saturating", "relativistic", "conditional"],
    "noise": ["none", "labels", "instance"],
    "model.condition": ["none", "concat"],
    "model.packing": [1, 3, 8],
    "held_out": [200, 3, 37],
    "metric.n": [37, 5, 1000],
    "model.minibatch_std": [False, True],
}
ADVICE = 5  # of a row, one after another, until it runs


@pytest.fixture(autouse=True)
def short_metrics() -> Iterator[None]:
    with parts_built_once(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 5)
        patch.setattr(overshoot, "UPDATES", overshoot.EVERY)
        patch.setattr(why_no_likelihood, "LATENTS", 2000)
        yield


def fault(row: Row, files: Path, folder: Path) -> str:
    """Return what went wrong in a run that should end, in one line; "" for nothing."""
    try:
        result = run(config_of(row, files), folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    numbers = result["metrics"] | result["floors"]
    bad = [tag for tag, value in numbers.items() if not math.isfinite(value)]
    return f"not finite: {bad}" if bad else ""


def check_advice(row: Row, refusals: Refusals) -> None:
    """Follow the advice of a refused row until it runs; a word that says what else to do may end it."""
    seen: list[str] = []
    while error := refusals.reason(row):
        assert error not in seen, seen  # a circle
        seen.append(error)
        assert len(seen) <= ADVICE, seen
        next_row = advised(row, error)
        assert next_row is not None, error
        row = next_row


def check_pairs(factors: dict, refusals: Refusals, folder: Path) -> None:
    full = {name: factors.get(name, choices[:1]) for name, choices in FACTORS.items()}
    contexts = [c for c in CONTEXTS if all(v in full[k] for k, v in c.items())]
    rows, impossible = covering_rows(full, refusals.is_possible, contexts)
    covered = {pair for row in rows + impossible for pair in pairs_of(row)}
    assert covered == set(all_pairs(full))
    faults = {i: fault(row, refusals.files, folder / str(i)) for i, row in enumerate(rows)}
    assert not any(faults.values()), [(text, changed(rows[i])) for i, text in faults.items() if text]
    for row in impossible:
        with pytest.raises(ConfigError):
            run(config_of(row, refusals.files), folder / "refused")
        check_advice(row, refusals)
    assert not (folder / "refused" / "checkpoints").exists()


def changed(row: Row) -> Row:
    return {name: choice for name, choice in row.items() if choice != FACTORS[name][0]}


def test_pairs_of_numbers_and_labels_run_or_are_refused(tmp_path):
    check_pairs(FEW, Refusals(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        {"dataset": "gaussian", "objective": "conditional"},
        {"dataset": "gaussian", "objective": "regression", "model": "gaussian"},
        {"dataset": "digits", "objective": "likelihood"},
        {"objective": "likelihood", "model.condition": "concat"},
        {"objective": "likelihood", "model": "flow", "model.source": "dropout"},
        {"model.packing": 3, "train.batch_size": 64, "metric.n": 2},
        {"model.packing": 3, "train.batch_size": 200},
    ],
    ids=str,
)
def test_advice_leads_to_a_run_and_never_in_a_circle(row, tmp_path):
    check_advice({name: choices[0] for name, choices in FACTORS.items()} | row, Refusals(tmp_path))


@pytest.mark.slow
def test_pairs_of_all_choices_run_or_are_refused(files, tmp_path):
    check_pairs(FACTORS, Refusals(files), tmp_path)
