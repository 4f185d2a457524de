"""Faults that are put into real runs get their name first within a fifth of them; healthy runs hear nothing."""

import json
from pathlib import Path

import pytest

from benchmarks.diagnosis.cases import FAULTS, HEALTHY, Case
from benchmarks.diagnosis.record import read, record
from benchmarks.diagnosis.score import verdict

SEED = 7  # of none of the recorded runs
KINDS = ("digits", "ring")  # which need no files
LEAST, MOST_ALARMS = 0.9, 0.1  # shares of runs


def judge(case: Case, tmp_path: Path):
    [found] = read([json.dumps(record(case, tmp_path, tmp_path))])
    return verdict(*found)


@pytest.mark.slow
def test_injected_faults_get_their_name_first(tmp_path):
    cases = [
        Case(fault, data, of.words, SEED) for fault, of in FAULTS.items() for data in of.data if data in KINDS
    ]
    wrong = [one for one in (judge(case, tmp_path) for case in cases) if not one.is_right]
    assert len(wrong) <= (1 - LEAST) * len(cases), [(one.fault, one.data, one.found) for one in wrong]


@pytest.mark.slow
def test_healthy_runs_have_no_finding(tmp_path):
    cases = [
        Case("", data, words, SEED) for data, words in HEALTHY[::2] if data in ("digits", "ring", "grid")
    ]
    wrong = [one for one in (judge(case, tmp_path) for case in cases) if not one.is_right]
    assert len(wrong) <= MOST_ALARMS * len(cases), [(one.words, one.data, one.found) for one in wrong]
