import math

import numpy as np
import pytest

from gantrain.core.estimate import Estimate
from gantrain.reports.tail import NOTE, published_table, series_error, tail_errors


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_series_error_holds_for_dependent_readings(memory):
    draws, held = np.random.default_rng(0).standard_normal((400, 400)), 0
    for noise in draws:
        series = [noise[0] / math.sqrt(1 - memory**2)]
        for step in noise[1:]:
            series.append(memory * series[-1] + step)
        held += abs(np.mean(series)) <= 1.96 * series_error(series)
    assert 0.92 <= held / len(draws) <= 0.98


def test_series_error_of_few_readings_is_their_deviation():
    assert series_error([1.0, 2.0] * 4) == pytest.approx(math.sqrt(2 / 7))
    assert series_error([1.0]) is None
    assert series_error([math.nan, *[1.0] * 20]) is None
    assert series_error([0.5] * 20) == 0.0


def test_series_error_of_a_circle_is_near_the_independent_one():
    circle = [math.sin(i) for i in range(100)]
    assert 1 <= series_error(circle) / (np.std(circle, ddof=1) / 10) < 1.5


def test_tail_error_keeps_the_error_that_all_readings_share():
    history = [{"step": i, "divergence/js": 0.1, "kl": 5.0, "loss/d": 1.0} for i in range(101)]
    final = {"divergence/js": Estimate(0.1, 0.02), "kl": Estimate(5.0, 1.0, caveat="heavy tails")}
    tags = ["divergence/js", "loss/d", "absent", "kl"]
    assert tail_errors(history, 100, tags, final) == {"divergence/js": pytest.approx(0.02), "loss/d": 0.0}
    last = history[-1:]
    assert tail_errors(last, 100, tags, final) == {"divergence/js": pytest.approx(0.02)}
    few = [
        {"step": step, "diversity/modes": modes}
        for step, modes in ((85, 1.0), (90, 1.0), (95, 1.0), (100, 0.0))
    ]
    found = tail_errors(few, 100, ["diversity/modes"], {"diversity/modes": Estimate(0.0, 0.0)})
    assert found == {"diversity/modes": pytest.approx(0.5)}
    # Readings that differ add their own error in squares.
    apart = [row | {"divergence/js": 0.1 + 0.1 * (-1) ** i} for i, row in enumerate(history)]
    assert tail_errors(apart, 100, tags, final)["divergence/js"] > 0.025


def test_published_table_says_what_its_error_is():
    tail = {"divergence/js": Estimate(0.11135, 0.0031, is_lower_bound=True)}
    text = published_table(tail, {"divergence/js": 0.1114})
    assert text.splitlines()[1].split() == ["divergence/js", "0.1114", "≥", "0.111", "±", "0.003"]
    assert text.endswith(NOTE)
