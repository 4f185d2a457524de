"""Which settings are told apart: rarely those that do not differ, never by a number of their own D."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_runs import made

from gantrain.core.directions import ONE_IS_BEST, OWN_D_COLUMNS
from gantrain.reports.ranking import (
    best_first,
    columns,
    comparison,
    not_comparable,
    order_note,
    rank_tag,
    settings,
)
from gantrain.reports.readings import COLUMNS
from gantrain.reports.runs import Row, read_rows
from gantrain.reports.summary import comparison_text, markdown_page

REFIT, MODES, COVERAGE = "divergence/js_refit", "diversity/modes", "diversity/coverage"


def one(name: str, numbers: dict, status: str = "finished", **varied: str) -> Row:
    return Row(name, varied, status, numbers, {}, 1.0)


def places(found: list[Row]) -> list[str]:
    decided = comparison(found)
    return decided.places if decided else []


def sweep(values, tag: str = REFIT, first: int = 0, paired: bool = True) -> list[Row]:
    """Return the rows of a sweep: values [settings, seeds], the same seeds of each setting or all different ones."""
    count = len(values[0])
    return [
        one(f"{i}{j}", {tag: float(v)}, x=f"{i}", seed=str(first + j + (0 if paired else i * count)))
        for i, line in enumerate(values)
        for j, v in enumerate(line)
    ]


# ------------------------------------------------------------------------------------------- the statistics


LAWS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "a share of each seed": lambda rng, shape: rng.normal(size=shape) + 2 * rng.normal(size=shape[-1:]),
    "heavy tails": lambda rng, shape: rng.standard_t(3, size=shape),
    "modes": lambda rng, shape: 6.0 + rng.integers(0, 3, size=shape),
    "rare collapse": lambda rng, shape: (
        np.where(rng.random(shape) < 0.2, 0.3, 0.9) + rng.normal(0, 0.02, shape)
    ),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("count", "paired"), [(2, True), (2, False), (4, True), (4, False)])
def test_identical_settings_differ_in_5_of_100_sweeps(law, count, paired):
    rng, sweeps = np.random.default_rng([count, paired]), 200
    told_apart = 0
    for _ in range(sweeps):
        found = sweep(LAWS[law](rng, (count, 3)), paired=paired)
        told_apart += len(set(places(found))) > 1
    # The rate is at most 0.05: more than 16 of 200 would have a probability of 3 %.
    assert told_apart <= 16


@pytest.mark.parametrize(
    ("count", "seeds", "gap", "least", "most"),
    [(2, 3, 3.0, 0.65, 0.85), (2, 5, 2.0, 0.83, 0.98), (4, 5, 3.0, 0.7, 0.93)],
)
def test_difference_is_found_as_often_as_the_docs_say(count, seeds, gap, least, most):
    rng, sweeps, first = np.random.default_rng(0), 200, 0
    for _ in range(sweeps):
        values = rng.normal(scale=2**-0.5, size=(count, seeds))  # the standard deviation of a difference is 1
        values[0] -= gap
        first += places(sweep(values))[0] == "1"
    assert least <= first / sweeps <= most


# ------------------------------------------------------------------------------------------- the words


def test_places_are_shared_by_settings_that_are_not_told_apart():
    found = sweep([[0.10, 0.11, 0.12, 0.11], [0.11, 0.10, 0.12, 0.115], [0.5, 0.51, 0.52, 0.505]])
    assert places(found) == ["1-2", "1-2", "3"]
    assert (
        "settings that share a letter cannot be told apart (Student's t, paired by seed, since a permutation test"
        in order_note(found)
    )
    text = comparison_text(found)
    assert [line.split()[2:4] for line in text.splitlines()[:4]] == [
        ["group", "place"],
        ["a", "1-2"],
        ["a", "1-2"],
        ["b", "3"],
    ]
    alike = sweep([[0.10, 0.11, 0.12], [0.12, 0.10, 0.13]])
    assert places(alike) == ["1-2", "1-2"]
    assert "no setting can be told from another" in comparison_text(alike)


@pytest.mark.parametrize("seeds", [1, 2])
def test_ranking_of_one_or_two_seeds_says_nothing(seeds):
    found = sweep([[0.1] * seeds, [0.5] * seeds])
    assert places(found) == []
    assert order_note(found) == (
        f"sorted by {REFIT} (lower is better), no ranking: fewer than 3 seeds tell nothing apart; sweep 'seed=range(5)'"
    )
    assert "place" not in comparison_text(found).split()


def test_ranking_never_uses_a_number_of_the_runs_own_d():
    frozen = {"divergence/js": -0.152, "logits/accuracy": 0.5, "logits/mismatched_auc": 0.9, "loss/g": 0.1}
    found = [one("good", dict.fromkeys(frozen, 0.6), x="a"), one("frozen", frozen, x="b")]
    assert rank_tag(found) == ""
    assert [row.name for row in best_first(found)] == ["good", "frozen"]  # as they were given
    assert order_note(found) == (
        "no ranking: divergence/js is a number of each run's own D, which judges no generator; use metric=compare"
    )
    refit = [replace(row, numbers={**row.numbers, REFIT: 0.3}) for row in found]
    assert rank_tag(refit) == REFIT
    assert order_note(found[:1]) == ""


def test_ranking_takes_a_metric_by_d_from_its_protocol():
    """A user's metric that reads D is one of D's numbers, whatever its tag is."""
    protocol = {"mine": {"D": "playing, eval mode", "tags": ["fidelity/mine"]}}
    found = [replace(one(n, {"fidelity/mine": 0.5}, x=n), result={"protocol": protocol}) for n in "ab"]
    assert rank_tag(found) == ""
    with_own = [replace(row, numbers={**row.numbers, COVERAGE: 0.7}) for row in found]
    assert columns(with_own) == [COVERAGE, "fidelity/mine"]
    old = {"js": {"estimates": ["divergence/triangular"]}}
    found = [replace(one(n, {"divergence/triangular": 0.1}, x=n), result={"protocol": old}) for n in "ab"]
    assert rank_tag(found) == ""


@pytest.mark.parametrize(
    "broken",
    [7, {"js": 7}, {"js": {"estimates": 7}}, {"js": {"estimates": [7, None]}}, {"js": {"tags": {"a": 1}, "D": 7}}],
)  # fmt: skip
def test_ranking_of_a_result_with_a_broken_protocol(broken):
    found = [replace(one(name, {"loss/g": 0.5}, x=name), result={"protocol": broken}) for name in "ab"]
    assert order_note(found).startswith("no ranking: loss/g is a number of each run's own D")


@given(some.lists(some.floats(-5, 5) | some.none(), min_size=2, max_size=8), some.sampled_from(COLUMNS))
def test_ranking_puts_the_best_first_and_missing_values_last(values, tag):
    found = [one(f"r{i}", {} if v is None else {tag: v}, x=f"v{i}") for i, v in enumerate(values)]
    order = [row.numbers.get(tag) for row in best_first(found)]
    assert [s.mean(tag) for s in settings(found)] == order  # of one seed each
    if any(value is not None for value in values):
        assert columns(found) == [tag]
    if tag in OWN_D_COLUMNS:
        assert order == values
        return
    known = [value for value in order if value is not None]
    assert order == known + [None] * (len(order) - len(known))
    if tag in ONE_IS_BEST:
        assert known == sorted(known, key=lambda value: abs(value - 1))
    else:
        is_less_better = tag.startswith("divergence/") or tag == "diversity/mode_kl"
        assert known == sorted(known, reverse=not is_less_better)


def test_ranking_puts_seeds_near_1_before_those_around_it():
    sharp = {("wide", "0"): 0.2, ("wide", "1"): 1.8, ("near", "0"): 0.95, ("near", "1"): 0.95}
    found = [one(f"{x}{s}", {"fidelity/sharpness": v}, x=x, seed=s) for (x, s), v in sharp.items()]
    assert [setting.label for setting in settings(found)] == ["near", "wide"]
    assert settings(found)[1].mean("fidelity/sharpness") == 1.0


def test_ranking_ignores_a_tag_that_a_finished_run_lacks():
    found = [
        one("a", {REFIT: 0.1, COVERAGE: 0.2}, x="1"),
        one("b", {COVERAGE: 0.9}, x="2"),
        one("c", {}, status="failed", x="3"),
    ]
    assert columns(found) == [COVERAGE, REFIT]
    assert [row.name for row in best_first(found)] == ["b", "a", "c"]


def test_ranking_reads_the_last_part_of_training(tmp_path):
    """A generator that circles is not better than a steady one because it ended on a good day."""
    paths = []
    for name, last, tail in (("circles", 0.05, 0.40), ("steady", 0.10, 0.11)):
        result = {
            "metrics": {REFIT: last, f"{REFIT}_se": 0.01},
            "tail": {REFIT: tail, f"{REFIT}_se": 0.02, "loss/d": 1.0},
        }
        paths.append(made(tmp_path / name, [f"objective={name}"], result))
    found = read_rows(paths)
    assert [row.name for row in best_first(found)] == ["steady", "circles"]
    assert [dict(row.state) for row in found] == [
        {REFIT: 0.40, f"{REFIT}_se": 0.01},
        {REFIT: 0.11, f"{REFIT}_se": 0.01},
    ]
    assert "means over the evaluations in the last fifth of training" in comparison_text(found)


# ------------------------------------------------------------------------------------------- several sets of data


def test_ranking_of_two_data_sets_is_one_of_each(tmp_path):
    rows = []
    for data, floor in (("ring", 0.0), ("grid", 0.2)):
        for i, row in enumerate(sweep([[0.1, 0.11, 0.12], [0.5, 0.52, 0.53]])):
            varied = {"dataset": data, **row.varied}
            result = {"floors": {REFIT: floor}}
            rows.append(
                replace(
                    row, name=f"{data}{i}", varied=varied, config={"dataset": {"name": data}}, result=result
                )
            )
    never_began = one("gone", {}, "missing", dataset="grid", x="0", seed="9")
    for text in (comparison_text([*rows, never_began]), markdown_page([*rows, never_began])):
        assert text.count("sorted by divergence/js_refit") == 2
        assert text.index("ring") < text.index("sorted by") < text.index("grid")
        assert "the data differ (ring; grid): no number is comparable across them" in text
    assert places(rows[:6]) == ["1", "2"]
    labels = [setting.varied["dataset"] for setting in settings([*rows, never_began])]
    assert labels == ["ring", "ring", "grid", "grid"]
    assert not_comparable(rows[:6]) == []


def test_ranking_reports_protocols_that_do_not_compare():
    def read(n: int, sigma: float, x: str, seed: int) -> Row:
        protocol = {
            "js": {"n": n, "split": "holdout", "G": f"{x} weights"},
            "parzen": {"sigma": sigma, "grid": [sigma], "warning": f"{n}"},
        }
        return replace(one(f"{x}{seed}", {REFIT: 0.1}, x=x, seed=f"{seed}"), result={"protocol": protocol})

    found = [read(100, 0.1 + seed, "a", seed) for seed in range(3)]
    alike = [*found, *(read(100, 0.2, "b", seed) for seed in range(3))]
    assert not_comparable(alike) == []  # a width that was found is no protocol
    assert places(alike) == ["1-2", "1-2"]
    other = [*found, *(read(500, 0.1, "b", seed) for seed in range(3))]
    (line,) = not_comparable(other)
    assert line == "metric js was read in different ways (n 100 or 500): not comparable"
    assert places(other) == []
    assert "no ranking: divergence/js_refit was read in different ways" in order_note(other)
