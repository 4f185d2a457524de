"""Features are computed in float32 throughout, in a run of any precision, and leave its settings as they were."""

import pytest
import torch

from gantrain.core.float32 import full_float32, tf32_products


def settings() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("is_enabled", [True, False])
def test_products_are_in_tf32_inside_the_block_alone(is_enabled):
    before = settings()
    with tf32_products(is_enabled):
        assert settings() == ("high" if is_enabled else "highest", is_enabled)
    assert settings() == before


def test_full_float32_ends_the_precision_of_a_run():
    before = settings()
    with tf32_products(True), torch.autocast("cpu", torch.bfloat16):
        with full_float32(torch.device("cuda")):
            assert settings() == ("highest", False)
        with full_float32(torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        assert settings() == ("high", True)
    assert settings() == before
