"""All that the thermometer reads of two sets of samples: the divergence, coverage, precision, copies, classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.config.device import Device
from gantrain.core.directions import base
from gantrain.core.estimate import Estimate
from gantrain.datasets.files.sample_set import Samples
from gantrain.errors import DataError
from gantrain.metrics.suite import Suite
from gantrain.registry import build, parse
from gantrain.training.evaluate import compute
from gantrain.training.evaluate_pictures import Sides, open_evaluation
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.runtime import Runtime
from gantrain.verdicts.thermometer.divergence import Divergence, divergence_of_pictures, divergence_of_points

JSD, VARIATION = "divergence/js_refit", "divergence/total_variation"
METRICS = ["prdc", "nearest", "sharpness", "class_balance"]
POINTS, PICTURES, FEWEST = 10_000, 2_000, 20  # samples of a reading on each side: at most, at least


@dataclass(frozen=True)
class Reading:
    """Numbers with their errors and floors, and what the verdict rests on.

    Attributes:
        result: Metrics, errors, floors and protocol, as an evaluation has them.
        divergence: Of FAKE from REAL.
        n: Samples on each side.
        distinct: How many of them differ from all others before them: fake, real.
    """

    result: EvaluationResult
    divergence: Divergence
    n: int
    distinct: tuple[int, int]
    shape: tuple[int, ...] = field(default=())

    def value(self, tag: str) -> Estimate | None:
        """Return a metric by its tag without the name of features; None where it was not read."""
        return _find(self.result.estimates, tag)

    def floor(self, tag: str) -> Estimate | None:
        """Return what real samples read against real ones; None where that is not known."""
        return _find(self.result.floors, tag)


def _find(values: dict[str, Estimate], tag: str) -> Estimate | None:
    return next((value for known, value in values.items() if base(known) == tag), None)


def take_reading(
    fake: Samples, real: Samples, n: int | None = None, seed: int = 0, jsd_only: bool = False
) -> Reading:
    """Return what there is to read of samples of one shape.

    Args:
        fake: Samples of a generator; points in units of the real ones.
        real: Real ones.
        n: At most so many on each side; None for 10,000 points, or 2,000 pictures.
        seed: Chooses them, the folds and initial weights.
        jsd_only: Whether the other metrics are left out.

    Raises:
        DataError: For fewer than 20 samples on a side, or a class that the real ones lack.
    """
    shape = tuple(real.split.x.shape[1:])
    is_image = len(shape) == 3
    most = n or (PICTURES if is_image else POINTS)
    for side, samples in (("FAKE", fake), ("REAL", real)):
        if len(samples.split) < FEWEST:
            raise DataError(
                "thermometer", f"{side} has {len(samples.split)} samples", f"give {FEWEST} at least"
            )
    names = [] if jsd_only else METRICS
    suite: Any = parse(Suite.complete(), "metric", {"names": names, "n": max(most, 2)})
    runtime = Runtime(parse(Device, "device", {"kind": "cpu"}))
    with runtime.settings():
        metrics, evaluation = open_evaluation(
            Sides(fake, real), suite, build("features", {"name": "pixels"}), runtime.device, seed
        )
        result = compute(metrics, evaluation, final=True)
        found = _divergence(evaluation.reals.x, evaluation.fakes.x, seed)
        pool = real.split.take(
            torch.randperm(len(real.split), generator=torch.Generator().manual_seed(seed + 1))
        )[0]
        half = min(evaluation.n, len(pool)) // 2
        floor = _divergence(pool[:half], pool[half : 2 * half], seed)
    for tag, value, of_real in (
        (JSD, found.jsd, floor.jsd),
        (VARIATION, found.total_variation, floor.total_variation),
    ):
        result.estimates[tag] = value
        result.floors[tag] = Estimate(of_real, of_real.error, half)
    result.protocol["thermometer"] = {
        "D": f"fresh, a weighted sum of {', '.join(found.learners)}",
        "weights": found.learners,
        "gain": float(found.gain),
        "unexplained": float(found.unexplained),
        "split": "each sample read by D of other samples",
        "G": "samples of files",
        "n": evaluation.n,
        "n_floor": half,
        "tags": [JSD, VARIATION],
    }
    distinct = tuple(_distinct(side.x) for side in (evaluation.fakes, evaluation.reals))
    return Reading(result, found, evaluation.n, (distinct[0], distinct[1]), shape)


def _divergence(real: Tensor, fake: Tensor, seed: int) -> Divergence:
    if real.dim() == 4:
        return divergence_of_pictures(real, fake, seed=seed)
    return divergence_of_points(real.double().numpy(), fake.double().numpy(), seed)


def _distinct(x: Tensor) -> int:
    return len({row.tobytes() for row in np.ascontiguousarray(x.flatten(1).numpy())})
