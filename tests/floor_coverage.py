"""How often real against real is within the errors that a floor states, over datasets that differ in their samples."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from labelled_points import heaps
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Density, Split
from gantrain.datasets.digits import Digits
from gantrain.datasets.gaussians import GaussianModes
from gantrain.metrics.base import Metric
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.metrics.tools.floors import floors, real_against_real
from gantrain.registry import build

Draw = Callable[[int, int], tuple[Tensor, Tensor | None]]  # number of samples and seed, to samples and labels


def gaussians(n: int, seed: int) -> tuple[Tensor, None]:
    """Return points of a standard normal law."""
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)), None


def pairs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return as many points of each of two classes that overlap a little, in random order."""
    x, y = heaps(n // 2, 2, seed, gap=3.0)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    return x[order], y[order]


def digits() -> Draw:
    """Return draws of handwritten digits, without one twice."""
    data = Digits().load(0)
    parts = [part.take(torch.arange(len(part))) for part in (data.train, data.holdout)]
    x, y = (torch.cat(sides) for sides in zip(*parts, strict=True))

    def draw(n: int, seed: int) -> tuple[Tensor, Tensor]:
        rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:n]
        return x[rows], y[rows]

    return draw


def modes(n: int, seed: int) -> tuple[Tensor, None]:
    """Return points of eight narrow Gaussians."""
    return RING.sample(n, torch.Generator().manual_seed(seed))[0], None


RING = GaussianModes(6 * torch.eye(8), 0.1)


def scene(draw: Draw, n: int, seed: int, density: Density | None = None) -> Evaluation:
    """Return an evaluation with n held-out and n reserved samples, which its floors are read from."""
    x, y = draw(5 * n, seed)
    classes = 0 if y is None else int(y.max()) + 1
    train, held = (
        Split(x[rows], None if y is None else y[rows]) for rows in (slice(4 * n), slice(4 * n, 5 * n))
    )
    data = Data(Spec(tuple(x.shape[1:]), classes=classes), train, held, density)
    return Evaluation(data, Suite(n=n), torch.device("cpu"), seed, conditional=y is not None)


def shares_within(
    metric: str, draw: Draw, n: int, repetitions: int, density: Density | None = None, errors: float = 2.0
) -> dict[str, float]:
    """Return by tag the share of readings within so many of a floor's errors of their expected value.

    Each of the repetitions reads the floors of one dataset, and real against real of another one. The expected value is
    the mean of these readings.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(repetitions):
        one: Metric = build("metric", {"name": metric})
        with torch.inference_mode():
            known = floors(one, scene(draw, n, seed, density))
            other = scene(draw, n, 10_000 + seed, density)
            reading = one(next(real_against_real(other, one.compares_real)))
        for tag, floor in known.items():
            assert floor.error is not None
            found.setdefault(tag, []).append((float(reading[tag]), floor.error))
    means = {tag: statistics.fmean(value for value, _ in each) for tag, each in found.items()}
    return {
        tag: statistics.fmean(abs(value - means[tag]) <= errors * error for value, error in each)
        for tag, each in found.items()
    }


def share_of_nearest(draw: Draw, n: int, repetitions: int, errors: float = 2.0) -> float:
    """Return the share of datasets whose new data are, from training data, within so many errors of the floor.

    The distance is to the training samples that there are, so each repetition has its own.
    """
    inside = 0
    for seed in range(repetitions):
        x, _ = draw(6 * n, seed)
        data = Data(Spec(tuple(x.shape[1:])), Split(x[: 4 * n]), Split(x[4 * n : 5 * n]))
        scene = Evaluation(data, Suite(n=n), torch.device("cpu"), seed, substitute=(x[5 * n :], None))
        metric: Metric = build("metric", {"name": "nearest"})
        with torch.inference_mode():
            (tag, floor), *_ = floors(metric, scene).items()
            reading = float(metric(scene)[tag])
        assert floor.error is not None
        inside += abs(reading - float(floor)) <= errors * floor.error
    return inside / repetitions
