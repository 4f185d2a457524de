"""The line that says how long a run takes: once, at the speed of its first steps, with what would be faster."""

from __future__ import annotations

import logging

import pytest
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.training.forecast import Forecast


@pytest.fixture
def lines(monkeypatch):
    """The lines that are logged."""
    found: list[str] = []
    log = logging.getLogger("gantrain")
    monkeypatch.setattr(log, "info", lambda what, *args: found.append(what % args))
    return found


def play(forecast: Forecast, first: int, steps: int, each: float) -> None:
    """Call it as a run does whose first step takes ten times as long as the others."""
    for step in range(first + 1, first + steps + 1):
        forecast(step, (step - first + 9) * each)


@pytest.mark.parametrize(
    ("words", "first", "line"),
    [
        # 3 s have passed after 6 more steps of half a second: 993 steps are left of 1,000.
        (["train.steps=1000"], 0, "about 8 min 16 s of training for 993 more steps"),
        (["train.steps=1000"], 500, "about 4 min 06 s of training for 493 more steps"),
        (["train.images=32000"], 0, "about 4 min 06 s of training for 493 more steps"),
        (["train.minutes=10"], 0, "about 10 min 00 s of training for about 1,200 more steps"),
        (["train.steps=120"], 0, None),  # a minute is near enough
        (["train.steps=6"], 0, None),
    ],
)
def test_forecast_is_one_line_at_the_measured_speed(lines, words, first, line):
    config = resolve(composed("dataset=ring", "train.batch_size=64", *words))
    play(Forecast(config, "cpu"), first, min(40, config.train.steps - first), 0.5)
    assert lines == ([f"model=mlp on cpu: {line}"] if line else [])


def test_forecast_says_what_would_be_faster(lines):
    for model in ("dcgan", "dcgan_small"):
        config = resolve(composed("dataset=digits", f"model={model}"))
        config.spec = type(config.spec)((1, 28, 28))
        play(Forecast(config, "cpu"), 0, 40, 0.5)
    slow, fast = lines
    assert slow.startswith("model=dcgan on cpu: about 24 min 56 s of training")
    assert slow.endswith("; model=dcgan_small is about 3 times as fast")
    assert fast == slow.partition(";")[0]
