"""What the detectors say of recorded runs, with faults and without; and that the page about them is up to date."""

import itertools
import json
import lzma
import runpy
from pathlib import Path

import pytest

from benchmarks.diagnosis.cases import FAULTS
from benchmarks.diagnosis.record import read
from benchmarks.diagnosis.score import verdict

RECORDS = Path("benchmarks/diagnosis/records.jsonl.xz")
LEAST, MOST_ALARMS = 0.9, 0.02  # shares of runs
STEP = 16  # every so many records is judged by the fast test


def judge(step: int):
    """Return the verdicts on every ``step``-th record of runs with a fault, and of healthy ones."""
    with lzma.open(RECORDS, "rt") as lines:
        rows = [*lines]
    is_healthy = [json.loads(row)["fault"] == "" for row in rows]
    chosen = [
        list(itertools.compress(rows, (kind == one for one in is_healthy)))[1::step] for kind in (False, True)
    ]
    return [[verdict(*one) for one in read(part)] for part in chosen]


def test_recorded_faults_are_named_first_and_healthy_runs_not():
    faulty, healthy = judge(STEP)
    assert sum(one.is_right for one in faulty) >= LEAST * len(faulty)
    assert all(one.is_right for one in healthy), healthy


@pytest.mark.slow
def test_all_recorded_faults_are_named_as_the_page_says():
    faulty, healthy = judge(1)
    for half in (0, 1):
        runs = [one for one in faulty if one.seed % 2 == half]
        assert {one.fault for one in runs} == set(FAULTS)
        assert sum(one.is_right for one in runs) >= LEAST * len(runs)
    assert sum(not one.is_right for one in healthy) <= MOST_ALARMS * len(healthy)
    script = runpy.run_path("docs/diagnosis.py")
    text = script["PAGE"].read_text(encoding="utf-8")
    assert text == script["page"](text)


def test_the_page_has_the_detectors_as_they_are():
    script = runpy.run_path("docs/diagnosis.py")
    text = script["PAGE"].read_text(encoding="utf-8")
    for group in script["GROUPS"].values():
        assert script["detector_table"](group) in text
