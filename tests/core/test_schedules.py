"""When work is due, how numbers move, how the average of weights forgets its start."""

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest

from gantrain.core.schedules import KINDS, Ramp, due, ema_decay, ends, half_life_decay, with_numbers

HORIZONS = (1, 2, 3, 7, 97, 3000, 10**6)


@pytest.mark.parametrize("every", [1, 2, 7, 50, 99, 100, 101, 1000])
@pytest.mark.parametrize("last", [1, 2, 99, 100, 101])
def test_work_is_due_at_each_multiple_and_once_at_the_end(every, last):
    found = [step for step in range(1, last + 1) if due(step, every, last)]
    assert found == sorted({*range(every, last + 1, every), last})


def test_work_every_0_steps_is_never_due():
    assert not any(due(step, 0, last) for last in (1, 10) for step in range(20))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize(("start", "end"), [(2e-4, 5e-5), (0.9, 0.99), (0.0, 5e6), (1e-3, 0.0)])
def test_a_ramp_goes_from_start_to_end_and_stays_there(kind, horizon, start, end):
    ramp = Ramp(start, end, kind, horizon)
    numbers = [ramp.at(horizon * i // 40) for i in range(80)]
    assert (numbers[0], ramp.moves) == (start, True)
    assert all((later - earlier) * (end - start) >= 0 for earlier, later in pairwise(numbers))
    assert all(ramp.at(horizon + beyond) == end for beyond in (0, 1, 10**6))
    assert horizon == 1 or ramp.at(horizon - 1) != end


def test_the_three_shapes():
    for step in range(101):
        constant, linear, cosine = (Ramp(3.0, 1.0, kind, 100).at(step) for kind in KINDS)
        assert constant == 3.0
        assert linear == pytest.approx(3 - 2 * step / 100, abs=1e-14)
        assert cosine == pytest.approx(1 + 2 * math.cos(math.pi * step / 200) ** 2, abs=1e-14)


def test_a_warmup_rises_to_the_ramp():
    ramp = Ramp(1.0, 0.0, "constant", 100, warmup=3)
    assert [ramp.at(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert ramp.moves
    still = (
        Ramp(1.0, 1.0, "cosine", 9),
        Ramp(1.0, 0.0, "constant", 9),
        Ramp(0.0, 0.0, "cosine", 9, warmup=3),
    )
    assert not any(one.moves for one in still)


@dataclass
class Options:
    """Keys of which two have an end, and one moves."""

    p: float = 0.5
    p_end: float | None = 0.0
    q: float = 1.0
    q_end: float | None = None
    weekend: int = 7


def test_what_has_an_end_moves_and_leaves_the_options_alone():
    options = Options()
    assert list(ends(options)) == [("p", 0.5, 0.0)]
    assert with_numbers(options, {"p": 0.25}) == Options(p=0.25)
    assert options == Options()
    assert with_numbers(options, {}) is options


@pytest.mark.parametrize("full", [0.0, 0.05, 0.5, 0.9, 0.999, 0.99999])
def test_ema_decay_grows_to_the_requested_one(full):
    ramp = [ema_decay(full, step) for step in range(2000)]
    assert all(earlier <= later <= full for earlier, later in zip(ramp[:-1], ramp[1:], strict=True))
    assert ema_decay(full, math.ceil(9 / (1 - full))) == full


def test_a_young_average_is_mostly_the_newest_weights():
    assert [ema_decay(0.999, step) for step in (0, 8, 80)] == pytest.approx([1 / 10, 1 / 2, 9 / 10])


@pytest.mark.parametrize(("half_life", "images"), [(5e6, 512), (1000, 64), (64, 64), (10, 640)])
def test_half_of_an_average_is_older_than_its_half_life(half_life, images):
    decay = half_life_decay(half_life, images)
    assert decay ** (half_life / images) == pytest.approx(0.5)
    assert half_life_decay(0.0, images) == 0.0
