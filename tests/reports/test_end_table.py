"""Numbers in words: no digit that counts is lost, and none is written that does not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gantrain.core.text import format_number, format_size, format_with_error
from gantrain.objectives.divergences import NATS, ROWS, js_weighted
from gantrain.reports.end_table import metric_table

REAL = some.floats(-1e6, 1e6, allow_nan=False)


@given(REAL, some.integers(1, 6))
def test_format_number_reads_back_and_is_0_for_0_alone(value, places):
    back = float(format_number(value, places))
    assert abs(back - value) <= max(0.5000001 * 10**-places, 0) or math.isclose(
        back, value, rel_tol=10**-places
    )
    assert (back == 0) == (value == 0)


@given(REAL, some.floats(0, 1e3))
def test_format_with_error_has_equal_decimals(value, error):
    shown, _, beside = format_with_error(value, error).partition(" ± ")
    decimals = [text.partition("e")[0].partition(".")[2] for text in (shown, beside)]
    assert len(decimals[0]) == len(decimals[1]) == 3
    assert ("e" in shown) == ("e" in beside)
    larger = max((shown, value), (beside, error), key=lambda pair: abs(pair[1]))
    assert float(larger[0]) != 0 or larger[1] == 0
    assert format_with_error(value, None) == format_number(value)


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
        line = metric_table(
            {f"divergence/{row.quantity}{kind}": 0.25, f"divergence/{row.quantity}{kind}_se": 0.01}, {}
        )
        assert line.splitlines()[1].endswith(" nats") == (row.unit == NATS)
