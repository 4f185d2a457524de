"""How fast each device is, and which precision is recommended for it."""

import pytest

from gantrain.cli.checks import OK
from gantrain.cli.device_speed import best_precision, check_speed


def test_best_precision_is_bfloat16_only_if_clearly_faster():
    plain = (100.0, 100.0)
    for half, precision in [
        ((90, 90), "float32"),
        ((110, 200), "float32"),
        ((300, 300), "bfloat16"),
        ((300, 50), "float32"),
    ]:
        assert best_precision({"float32": plain, "bfloat16": half}) == precision


@pytest.mark.gpu
def test_check_speed_of_a_gpu():
    assert check_speed("cuda:0").mark == OK
