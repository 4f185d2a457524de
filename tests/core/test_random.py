"""Random streams: a function of seed, step and purpose."""

import torch

from gantrain.core.random import stream


def test_stream_is_a_function_of_seed_step_and_purpose():
    keys = [
        (0, 0, "g"),
        (1, 0, "g"),
        (0, 1, "g"),
        (0, 0, "d0"),
        (0, 0, "d1"),
        (0, 11, "g"),
        (1, 1, "g"),
        (0, 0, ""),
    ]
    draws = {key: tuple(torch.randn(4, generator=stream(*key)).tolist()) for key in keys}
    assert len(set(draws.values())) == len(keys)
    assert all(tuple(torch.randn(4, generator=stream(*key)).tolist()) == draw for key, draw in draws.items())
