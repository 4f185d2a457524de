"""Which keys a continuation of a run may change."""

from gantrain.config.resume import conflicting_keys


def test_conflicting_keys_are_those_that_change_the_steps():
    before = {"seed": 0, "name": "a", "run": {"dir": "x"}, "train": {"steps": 5, "ema": 0.5}}
    now = {"seed": 0, "name": "b", "run": {"dir": "y"}, "train": {"steps": 9, "ema": 0.5}}
    assert conflicting_keys(before, now) == []
    now |= {"seed": 1, "train": {"steps": 9, "ema": 0.6, "unroll": 1}}
    assert conflicting_keys(before, now) == ["seed", "train.ema", "train.unroll"]
