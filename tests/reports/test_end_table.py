"""Numbers in words: no digit that counts is lost, and none is written that does not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gantrain.core.estimate import Estimate
from gantrain.core.text import format_estimate, format_number, format_size, format_with_error
from gantrain.objectives.divergences import NATS, ROWS, js_weighted
from gantrain.reports.end_table import metric_table
from gantrain.reports.readings import BOUND_NOTE, ERROR_NOTE, estimates

REAL = some.floats(-1e6, 1e6, allow_nan=False)


@given(REAL, some.integers(1, 6))
def test_format_number_reads_back_and_is_0_for_0_alone(value, places):
    back = float(format_number(value, places))
    assert abs(back - value) <= max(0.5000001 * 10**-places, 0) or math.isclose(
        back, value, rel_tol=10**-places
    )
    assert (back == 0) == (value == 0)


@given(REAL, some.floats(0, 1e3))
def test_format_with_error_has_the_decimals_of_the_error(value, error):
    shown, _, beside = format_with_error(value, error).partition(" ± ")
    decimals = [text.partition("e")[0].partition(".")[2] for text in (shown, beside)]
    assert len(decimals[0]) == len(decimals[1])
    assert ("e" in shown) == ("e" in beside)
    larger = max((shown, value), (beside, error), key=lambda pair: abs(pair[1]))
    assert float(larger[0]) != 0 or larger[1] == 0
    assert abs(float(shown) - value) <= max(0.06 * error, 0.0005001, 0.0006 * abs(value) * ("e" in shown))
    assert len(beside.partition("e")[0].replace(".", "").lstrip("0")) <= 4


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.2, 0.012, is_lower_bound=True), "≥ 0.200 ± 0.012"),
        (Estimate(0.91, 0.02, caveat="heavy tails"), "0.91 (± not reliable here: heavy tails)"),
        (Estimate(31.256, 2.31), "31.3 ± 2.3"),
        (Estimate(1234.5, 56.7), "1234 ± 57"),
        (Estimate(0.5, 0.0004), "0.5000 ± 0.0004"),
        (Estimate(0.0004, 0.0), "0.0004 ± 0.0000"),
        (Estimate(0.79512), "0.80"),
        (Estimate(31.256), "31"),
        (Estimate(8.0), "8.0"),
        (Estimate(0.0), "0.00"),
        (Estimate(2e-5), "2.0e-05"),
        (Estimate(0.0, 2.1e-4), "0.0000 ± 0.0002"),
        (Estimate(2e-6, 1e-6), "2.000e-06 ± 1.000e-06"),
        (Estimate(math.nan), "nan"),
        (Estimate(math.inf, math.inf), "inf ± inf"),
        (Estimate(0.99, 0.01, interval=(0.95, 0.998)), "0.990 (0.950 to 0.998)"),
        (Estimate(0.22, 0.02, is_lower_bound=True, interval=(0.18, None)), "≥ 0.220 (at least 0.180)"),
        (Estimate(0.5, 0.01, interval=(0.48, 0.521)), "0.500 ± 0.010"),
        (Estimate(0.0, 0.0, interval=(0.0, 0.003)), "0.000 (0.000 to 0.003)"),
    ],
)  # fmt: skip
def test_format_estimate_has_no_digit_without_an_error(estimate, text):
    assert format_estimate(estimate) == text


@given(some.floats(0, 9.9e14))
def test_format_size_has_three_digits_and_a_unit(count):
    digits, unit = format_size(count).split()
    assert "e" not in digits or count < 1
    assert float(digits) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit] == pytest.approx(
        count, rel=0.006
    )
    assert float(digits) < 1000


@pytest.mark.parametrize("row", [*ROWS.values(), js_weighted(0.3)], ids=lambda row: row.quantity)
def test_metric_table_marks_divergences_in_nats_alone(row):
    for kind in ("", "_exact", "_batch"):
        tag = f"divergence/{row.quantity}{kind}"
        line = metric_table({"metrics": {tag: 0.25, f"{tag}_se": 0.01}})
        assert (" nats  0.230 to 0.270" in line.splitlines()[2]) == (row.unit == NATS)


def test_metric_table_separates_generators_in_one_order():
    protocol = {
        "js": {"D": "playing, eval mode", "G": "live weights", "tags": ["divergence/js", "logits/accuracy"]},
        "mine": {"D": "playing, eval mode", "tags": ["fidelity/by_d"]},
        "refit": {"D": "fresh", "G": "live weights", "tags": ["divergence/js_refit", "divergence/js_gap"]},
        "prdc": {"G": "averaged weights", "tags": ["diversity/coverage"]},
    }
    tags = [tag for entry in protocol.values() for tag in entry["tags"]]
    result = {"metrics": dict.fromkeys(tags, 0.5), "protocol": protocol, "floors": {"diversity/coverage": 0.97},
              "errors": {"divergence/js_refit": {"se": 0.01, "n": 2000, "lower_bound": True}}}  # fmt: skip
    lines = [" ".join(line.split()) for line in metric_table(result).splitlines()]
    assert lines == [
        "metric value 95 % interval n real against real",
        "live generator", "divergence/js_refit ≥ 0.500 ± 0.010 nats 0.480 to 0.520 2,000",
        "averaged generator", "diversity/coverage 0.50 0.97",
        "own D, live generator", "divergence/js 0.50 nats", "divergence/js_gap 0.50 nats",
        "fidelity/by_d 0.50", "logits/accuracy 0.50", ERROR_NOTE, BOUND_NOTE,
    ]  # fmt: skip


def test_metric_table_has_its_caveats_below():
    known = {
        tag: {"se": 0.1, "n": 50, "caveat": "heavy tails"} for tag in ("divergence/kl", "divergence/pearson")
    }
    result = {"metrics": dict.fromkeys(known, 0.91), "errors": known}
    *_, kl, pearson, why = metric_table(result).splitlines()
    assert kl.split("  ")[1:2] == ["divergence/kl"]
    assert "0.91 nats (± not reliable)" in kl
    assert "0.91 (± not reliable)" in pearson
    assert why == "± not reliable: divergence/kl, divergence/pearson: heavy tails"


BROKEN = [None, 7, [], {"divergence/js": 7}, {"divergence/js": {"se": "x", "n": -1, "caveat": ["a"], "lower_bound": 1}},
          {"divergence/js": {"se": -1.0, "n": 10**400}}, {"divergence/js": {"se": None}}]  # fmt: skip


@pytest.mark.parametrize("errors", BROKEN)
def test_estimates_of_a_broken_result_are_plain_numbers(errors):
    (found,) = estimates({"metrics": {"divergence/js": 0.5, "fidelity/x": "y"}, "errors": errors}).values()
    assert (found, found.error, found.n, found.caveat, found.is_lower_bound) == (0.5, None, None, "", False)


def test_estimates_of_an_old_result_have_the_logged_errors():
    old = {"metrics": {"divergence/js": 0.5, "divergence/js_se": 0.01, "diversity/modes": None}}
    found = estimates(old)
    assert found["divergence/js"].error == 0.01
    assert math.isnan(found["diversity/modes"])
    forged = {"divergence/js": {"caveat": "\x1b[31m" + "long " * 100}}
    assert len(estimates(old | {"errors": forged})["divergence/js"].caveat) <= 160
    assert estimates(old | {"errors": forged})["divergence/js"].caveat.isprintable()
