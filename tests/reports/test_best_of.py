"""The best of k trials: its expectation in closed form, and a choice that no seed makes for itself."""

import itertools
import math

import numpy as np
import pytest

from gantrain.reports.best_of import best_of_k, best_trials, curve, draw_best_of, searches, tuned_rows
from gantrain.reports.runs import Row

TAG = "divergence/js_refit"


def run(setting: str, rate: str, seed: int, value: float | None) -> Row:
    numbers = {} if value is None else {TAG: value}
    status = "finished" if numbers else "diverged"
    varied = {"setting": setting, "optimizer.g_lr": rate, "seed": str(seed)}
    return Row(f"{setting}{rate}{seed}", varied, status, numbers, {}, 1.0, result={"images": 100})


def test_best_of_k_is_the_mean_over_every_draw():
    costs = np.array([0.4, 0.1, 0.9, 0.2])
    for k, found in enumerate(best_of_k(costs), start=1):
        assert found == pytest.approx(np.mean([min(own) for own in itertools.combinations(costs, k)]))
    with_failure = best_of_k(np.array([0.3, math.inf]))
    assert np.isinf(with_failure[0])  # a single draw may be the one that failed
    assert with_failure[1] == 0.3


def test_best_trial_is_chosen_by_the_other_seeds():
    """Of two trials that are equal but for luck, none is read in the seed that it was lucky in."""
    values = {
        ("low", 0): 0.0,
        ("low", 1): 0.5,
        ("low", 2): 0.5,
        ("high", 0): 0.4,
        ("high", 1): 0.4,
        ("high", 2): 0.4,
    }
    found = [run("a", rate, seed, value) for (rate, seed), value in values.items()]
    chosen = {row.varied["seed"]: row.state[TAG] for row in tuned_rows(found, TAG)}
    assert chosen == {"0": 0.4, "1": 0.5, "2": 0.5}
    assert [dict(row.varied) for row in tuned_rows(found, TAG)] == [
        {"setting": "a", "seed": f"{seed}"} for seed in range(3)
    ]
    assert best_trials(found, TAG)[1] == ["a", "2", "optimizer.g_lr=low", "0.3333"]


def test_best_of_many_equal_trials_is_not_flattered():
    rng, gaps = np.random.default_rng(0), []
    for _ in range(60):
        found = [run("a", f"{trial}", seed, rng.normal()) for trial in range(8) for seed in range(4)]
        gaps += [row.state[TAG] for row in tuned_rows(found, TAG)]
    assert abs(np.mean(gaps)) < 4 / len(gaps) ** 0.5 * 1.5  # the best mean itself would be 0.7 below


def test_trial_that_failed_in_a_seed_is_not_chosen():
    found = [run("a", "wild", seed, 0.1 if seed else None) for seed in range(3)]
    found += [run("a", "tame", seed, 0.5) for seed in range(3)]
    assert {row.varied["seed"]: row.state.get(TAG) for row in tuned_rows(found, TAG)} == {
        "0": None, "1": 0.5, "2": 0.5,
    }  # fmt: skip
    assert best_trials(found, TAG)[1][2] == "optimizer.g_lr=tame"


def test_curve_lies_within_its_interval_and_is_drawn():
    rng = np.random.default_rng(0)
    found = [run(s, f"{t}", seed, rng.random()) for s in "ab" for t in range(5) for seed in range(4)]
    for search in searches(found, TAG):
        values, low, high = curve(search)
        assert (np.diff(values) < 0).all()
        assert (low <= values + 0.02).all()
        assert (values <= high).all()
    assert draw_best_of(found, TAG).size[0] > 300
    alone = [run("a", "1", seed, 0.5) for seed in range(3)]
    assert draw_best_of(alone, TAG) is None
