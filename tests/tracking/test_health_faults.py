"""Faults that are put into real runs get their name first, healthy runs hear nothing; the rules saw other seeds."""

import pytest
from injected_faults import ALSO_RIGHT, DATA, FAULTS, findings, words_of, write_pictures

SEEDS = (0, 1)
LEAST, MOST_ALARMS = 0.8, 0.05  # shares of runs


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures")


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
def test_injected_faults_get_their_name_first(data, pictures, tmp_path):
    wrong = []
    for fault, (_, name) in FAULTS.items():
        for seed in SEEDS:
            found = findings(words_of(data, fault, pictures, seed), tmp_path / f"{fault} {seed}")
            if not found or found[0] not in {name, *ALSO_RIGHT.get(name, ())}:
                wrong.append((fault, seed, found))
    assert len(wrong) <= (1 - LEAST) * len(FAULTS) * len(SEEDS), wrong


@pytest.mark.slow
def test_healthy_runs_have_no_finding(pictures, tmp_path):
    runs = [(data, seed) for data in DATA for seed in range(5)]
    alarms = []
    for data, seed in runs:
        if found := findings(words_of(data, None, pictures, seed), tmp_path / f"{data} {seed}"):
            alarms.append((data, seed, found))
    assert len(alarms) <= MOST_ALARMS * len(runs), alarms
