"""±1.96 errors of the metrics of samples contain their expected values in 92 to 98 % of repetitions."""

from __future__ import annotations

import pytest
import torch
from coverage import Coverage, coverage
from interval_coverage import Case, Draw, gaussians, is_honest, of_readings
from scipy.stats import t
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, GaussianModes, Split
from gantrain.metrics.base import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.metrics.tools.errors import from_halves, student_margin
from gantrain.metrics.tools.floors import floors
from gantrain.metrics.tools.mode_counts import mode_errors, mode_estimates
from gantrain.registry import build


def readings(name: str, draw: Draw, n: int, repetitions: int, labels: int = 0) -> dict[str, list[Estimate]]:
    return Case(name, draw, n, labels).readings(repetitions)


def mode_kls(weights: Tensor, n: int, repetitions: int) -> Coverage:
    generator = torch.Generator().manual_seed(n)
    found = []
    for _ in range(repetitions):
        drawn = torch.multinomial(weights, n, replacement=True, generator=generator)
        counts = torch.bincount(drawn, minlength=len(weights))
        found.append(mode_estimates(counts, n)["mode_kl"].with_error(mode_errors(counts, n, 0)["mode_kl"]))
    return of_readings(found)


MODES = {
    "equal": torch.ones(8),
    "a quarter": 1 + 0.25 * torch.linspace(-1, 1, 8),  # nearly equal in 300 samples, not in 10,000
    "uneven": torch.arange(1.0, 9.0),
    "a grid": torch.linspace(0.5, 1.5, 25),
    "two": torch.tensor([0.4, 0.6]),
    "halved": 0.7 ** torch.arange(20.0),
    "thousand": torch.ones(1000),
    "zipf": 1 / torch.arange(1.0, 1001.0),
}


@pytest.mark.parametrize("n", [300, 1000, 10_000])
@pytest.mark.parametrize("case", MODES)
@pytest.mark.slow
def test_error_of_mode_kl_holds(case, n):
    weights = MODES[case]
    repetitions = 300 if len(weights) < 50 else 60
    found = mode_kls(weights, n, repetitions)
    assert is_honest(found, repetitions), found
    assert found.caveat == 0


@pytest.mark.parametrize("case", ["equal", "uneven"])
def test_error_of_mode_kl_holds_for_equal_modes_too(case):
    found = mode_kls(MODES[case], 300, 100)
    assert is_honest(found, 100), found
    assert found.caveat == 0


def test_a_thousand_real_draws_find_632_of_1000_modes():
    """1000 (1 - 0.999^1000), with the standard deviation of an occupancy."""
    density = GaussianModes(torch.arange(1000.0)[:, None], 0.01)
    x, _ = density.sample(1000, torch.Generator().manual_seed(0))
    parts = [Split(density.sample(4000, torch.Generator().manual_seed(seed))[0]) for seed in (1, 2)]
    data = Data(Spec((1,)), *parts, density)
    scene = Evaluation(
        data=data, suite=Suite(n=1000), device=torch.device("cpu"), seed=0, substitute=(x, None)
    )
    floor = floors(build("metric", {"name": "modes"}), scene)["diversity/modes"]
    assert floor == pytest.approx(632.3, abs=15)
    assert floor.error == pytest.approx(9.9, rel=0.15)


# Metric, pair, n, classes of the samples.
FAST = {
    "sharpness": ("sharpness", gaussians(1, 6, 6, scale=0.8), 300, 0),
    "per_condition": ("per_condition", gaussians(3, scale=0.7), 300, 5),
    "kernel, equal": ("kernel", gaussians(16), 100, 0),
    "kernel, apart": ("kernel", gaussians(16, shift=0.5), 100, 0),
}

EQUAL = ("kernel, equal",)


@pytest.mark.parametrize("case", FAST)
def test_errors_in_closed_form_hold_the_expected_value(case):
    name, draw, n, labels = FAST[case]
    for tag, found in readings(name, draw, n, 150, labels).items():
        each = iter(found)
        # Equal laws are at the end of an interval, so that only one side of it can miss.
        result = coverage(lambda _, each=each: next(each), 0.0, 150) if case in EQUAL else of_readings(found)
        assert is_honest(result, 150), (tag, result)
        assert result.caveat == 0


def heavy(d: int, freedom: int) -> Draw:
    """Student's t, whose moments exist below its degrees of freedom, against the same moved by 1."""

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        sides = []
        for shift in (0.0, 1.0):
            x = torch.randn(n, d, generator=generator)
            scale = torch.randn(n, freedom, generator=generator).square().mean(1, keepdim=True).sqrt()
            sides.append(shift + x / scale)
        return sides[0], sides[1]

    return draw


@pytest.mark.parametrize("name", ["frechet", "kernel"])
def test_a_distance_of_infinite_variance_has_a_caveat(name):
    for found in readings(name, heavy(2, 2), 200, 12).values():
        assert sum(bool(each.caveat) for each in found) > 6


@pytest.mark.parametrize(("errors_of_a_mean", "is_symmetric"), [(3, False), (12, True)])
def test_frechet_near_equality_has_a_lopsided_interval(errors_of_a_mean, is_symmetric):
    """Of one dimension it is nearly a square, (d + e)^2: ±1.96 errors of d = 3 would hold 0.91."""
    shift = errors_of_a_mean * (2 / 300) ** 0.5
    for found in readings("frechet", gaussians(1, shift=shift), 300, 12).values():
        assert (sum(each.is_symmetric for each in found) > 6) == is_symmetric
        assert not any(each.caveat for each in found)


def test_students_margin_is_that_of_its_quantile():
    for freedom in (25, 40, 100):
        assert student_margin(freedom) == pytest.approx(t.ppf(0.975, freedom) / 1.96, rel=0.003)


@pytest.mark.parametrize(
    ("order", "power", "has_caveat"),
    [(-1, 0, False), (-1, 0.1, False), (-1, 2, True), (1, 0.3, False), (3, 100, True)],
)
def test_halves_and_quarters_show_the_variance_of_all(order, power, has_caveat):
    """Of a mean whose n-fold variance is 1 + power (n / 300)^order."""
    x, draws = torch.randn(300, generator=torch.Generator().manual_seed(1)).double(), torch.Generator()
    draws.manual_seed(2)

    def statistic(parts: Tensor) -> dict[str, Tensor]:
        size = parts.shape[-1]
        sd = (power * (size / 300) ** order / size) ** 0.5
        return {"mean": x[parts].mean(-1) + sd * torch.randn(parts.shape[:-1], generator=draws).double()}

    found = from_halves(statistic, 300, 0)["mean"]
    assert bool(found.caveat) == has_caveat
    assert has_caveat or found == pytest.approx(((1 + power) / 300) ** 0.5, rel=0.15)
