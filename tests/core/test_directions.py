"""Which values of a tag are better: one rule for tables, searches and the best checkpoint."""

import pytest

from gantrain.core.directions import Direction, direction
from gantrain.reports.ranking import cost, direction_text, order_tags


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("divergence/frechet", Direction.LOWER),
        ("divergence/frechet/inception", Direction.LOWER),
        ("diversity/mode_kl", Direction.LOWER),
        ("diversity/coverage/pixels", Direction.HIGHER),
        ("fidelity/precision", Direction.HIGHER),
        ("fidelity/density", Direction.ONE),
        ("fidelity/density/dinov2", Direction.ONE),
        ("divergence/frechet_se", None),
        ("divergence/exact_error", None),
        ("logits/holdout", None),
        ("generator/mu", None),
    ],
)
def test_direction_is_that_of_the_quantity(tag, expected):
    assert direction(tag) is expected
    assert order_tags([tag]) == ([tag] if expected else [])


@pytest.mark.parametrize("tag", ["divergence/frechet", "fidelity/precision", "fidelity/density/dinov2"])
def test_cost_orders_values_by_direction(tag):
    values = {
        "lower is better": [0.1, 1.0, 3.0],
        "higher is better": [3.0, 1.0, 0.1],
        "1 is best": [1.0, 0.1, 3.0],
    }
    expected = values[direction_text(tag)]
    assert sorted([3.0, 0.1, 1.0], key=lambda value: cost(tag, value, {})) == expected
