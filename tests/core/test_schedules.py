"""When work is due, how rates decay, how the average of weights forgets its start."""

import math

import pytest

from gantrain.core.schedules import decay, due, ema_decay

KINDS = ("constant", "linear", "cosine")
HORIZONS = (1, 2, 3, 7, 97, 3000, 10**6)


@pytest.mark.parametrize("every", [1, 2, 7, 50, 99, 100, 101, 1000])
@pytest.mark.parametrize("last", [1, 2, 99, 100, 101])
def test_work_is_due_at_each_multiple_and_once_at_the_end(every, last):
    found = [step for step in range(1, last + 1) if due(step, every, last)]
    assert found == sorted({*range(every, last + 1, every), last})


def test_work_every_0_steps_is_never_due():
    assert not any(due(step, 0, last) for last in (1, 10) for step in range(20))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", HORIZONS)
def test_rates_start_whole_and_never_rise(kind, horizon):
    factors = [decay(kind, horizon * i // 40, horizon) for i in range(80)]
    assert factors[0] == 1.0
    assert all(later <= earlier for earlier, later in zip(factors[:-1], factors[1:], strict=True))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("horizon", HORIZONS)
def test_decayed_rates_are_0_from_the_horizon_on(kind, horizon):
    assert all(decay(kind, horizon + beyond, horizon) == 0.0 for beyond in (0, 1, 10**6))
    assert decay(kind, horizon - 1, horizon) > 0.0


def test_the_three_shapes():
    for step in range(101):
        assert decay("constant", step, 100) == 1.0
        assert decay("linear", step, 100) == pytest.approx(1 - step / 100, abs=1e-15)
        assert decay("cosine", step, 100) == pytest.approx(math.cos(math.pi * step / 200) ** 2, abs=1e-15)


@pytest.mark.parametrize("full", [0.0, 0.05, 0.5, 0.9, 0.999, 0.99999])
def test_ema_decay_grows_to_the_requested_one(full):
    ramp = [ema_decay(full, step) for step in range(2000)]
    assert all(earlier <= later <= full for earlier, later in zip(ramp[:-1], ramp[1:], strict=True))
    assert ema_decay(full, math.ceil(9 / (1 - full))) == full


def test_a_young_average_is_mostly_the_newest_weights():
    assert [ema_decay(0.999, step) for step in (0, 8, 80)] == pytest.approx([1 / 10, 1 / 2, 9 / 10])
