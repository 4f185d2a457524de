"""The ends of an estimate's interval, as they are computed, written and read back."""

import json
import math

import pytest

from gantrain.core.estimate import Estimate
from gantrain.core.text import format_interval
from gantrain.reports.readings import estimates
from gantrain.training.evaluation_result import EvaluationResult

HALF = 1.96 * 0.1


@pytest.mark.parametrize(
    ("estimate", "ends", "text", "is_symmetric"),
    [
        (Estimate(0.5, 0.1), (0.5 - HALF, 0.5 + HALF), "0.30 to 0.70", True),
        (Estimate(0.5, 0.1, interval=(0.4, 0.9)), (0.4, 0.9), "0.40 to 0.90", False),
        (Estimate(0.5, 0.1, interval=[0.4, 0.62]), (0.4, 0.62), "0.400 to 0.620", True),
        (Estimate(0.5, 0.1, interval=(0.4, None)), (0.4, None), "at least 0.400", False),
        (Estimate(0.5, 0.1, interval=(None, 0.7)), (None, 0.7), "at most 0.70", False),
        (Estimate(0.5, 0.1, caveat="heavy tails"), (None, None), "", False),
        (Estimate(0.5, 0.1, caveat="a loose bound", interval=(0.3, None)), (0.3, None), "at least 0.30", False),
        (Estimate(0.5), (None, None), "", False),
        (Estimate(math.nan, math.nan), (None, None), "", False),
    ],
)  # fmt: skip
def test_interval_is_1_96_errors_or_has_ends_of_its_own(estimate, ends, text, is_symmetric):
    assert (estimate.low, estimate.high) == ends
    assert format_interval(estimate) == text
    assert estimate.is_symmetric == is_symmetric
    assert Estimate(*json.loads(json.dumps(estimate.plain()))).interval == estimate.interval


def test_transform_maps_the_ends():
    found = Estimate(0.0, 0.1).transform(lambda x: x * abs(x))
    assert (found.low, found.high) == pytest.approx((-(HALF**2), HALF**2))
    assert Estimate(1.0, 0.1, interval=(0.5, None)).transform(math.exp).interval == (math.exp(0.5), None)
    assert Estimate(1.0).transform(math.exp).interval is None


def test_with_error_takes_the_interval_of_an_error():
    known = Estimate(0.9, n=100)
    assert known.with_error(Estimate(0.1, interval=(0.6, 0.99))).interval == (0.6, 0.99)
    assert known.with_error(0.01).low == pytest.approx(0.9 - 0.0196)


def test_intervals_of_a_result_are_read_back():
    found = {
        "diversity/recall": Estimate(0.0, 0.01, 300, interval=(0.0, 0.01)),
        "divergence/js": Estimate(0.2, 0.01, 300, is_lower_bound=True),
        "divergence/kl": Estimate(3.0, 1.0, 300, caveat="heavy tails"),
        "divergence/js_exact": Estimate(0.3),
    }
    result = EvaluationResult(found, floors={"diversity/recall": Estimate(0.97, 0.01)}).description()
    intervals = json.loads(json.dumps(result))["intervals"]
    assert intervals["diversity/recall"] == {"value": 0.0, "low": 0.0, "high": 0.01, "n": 300, "floor": 0.97}
    assert intervals["divergence/js"]["low"] == pytest.approx(0.1804)
    assert [intervals[tag]["why"] for tag in ("divergence/kl", "divergence/js_exact")] == [
        "heavy tails",
        "no error over samples is known",
    ]
    back = estimates(result)
    assert {tag: (e.low, e.high) for tag, e in back.items()} == {
        tag: (e.low, e.high) for tag, e in found.items()
    }
    result.pop("intervals")  # as an older version wrote it
    assert estimates(result)["divergence/js"].low == pytest.approx(0.1804)


@pytest.mark.parametrize(
    "forged", [7, [], {"x": 7}, {"x": {"low": "a"}}, {"x": {"low": 2, "high": 3}}, {"x": {"low": math.nan}}]
)
def test_a_broken_interval_is_not_read(forged):
    (found,) = estimates({"metrics": {"x": 0.5}, "intervals": forged}).values()
    assert (found.low, found.high) == (None, None)
