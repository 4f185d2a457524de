"""Evaluating two sets of pictures that belong to no run: the same metrics, errors and floors as for a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gantrain.config.device import Device
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.files.sample_set import Samples
from gantrain.errors import ConfigError, DataError
from gantrain.features.base import Features, default_features
from gantrain.features.tools.classifier import why_not_trainable
from gantrain.metrics.base import Metric, RunSpec
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.side import Side
from gantrain.metrics.suite import Suite
from gantrain.registry import build
from gantrain.training.evaluate import compute, select_metrics
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.runtime import Runtime

POOL = 4  # times the samples of a reading: the real pictures that readings and floors are drawn from


@dataclass(frozen=True)
class Sides:
    """What is compared.

    Attributes:
        fake: Pictures of a generator.
        real: Pictures that it is compared with.
        train: Pictures that it was trained on, if those are others; else ``real`` are taken for them.
    """

    fake: Samples
    real: Samples
    train: Samples | None = None


def evaluate_pictures(
    sides: Sides, suite: Suite, features: Features, device: Device, seed: int
) -> EvaluationResult:
    """Return the metrics of pictures on two sides, with errors and floors.

    Args:
        sides: Of one shape.
        suite: Which metrics; ``n`` is at most what the smaller side has.
        features: What they compare.
        device: Where.
        seed: Chooses which pictures are compared where there are more.

    Raises:
        ConfigError: When no metric of the suite compares pictures.
        DataError: For a class that the real pictures lack.
    """
    runtime = Runtime(device)
    with runtime.settings():
        metrics, evaluation = open_evaluation(sides, suite, features, runtime.device, seed)
        return compute(metrics, evaluation, final=True)


def open_evaluation(
    sides: Sides, suite: Suite, features: Features, device: torch.device, seed: int
) -> tuple[list[Metric], Evaluation]:
    """Return the metrics of a suite that compare samples on two sides, and the evaluation that they read.

    Raises as ``evaluate_pictures``.
    """
    n = min(suite.n, len(sides.fake.split), len(sides.real.split))
    data = data_of(sides, n, seed)
    source = suitable_features(features, data)
    evaluation = Evaluation(data, replace(suite, n=n), device, seed, feature_source=source)
    fake = sides.fake.split
    if data.spec.classes:
        fake = replace(fake, y=translated_labels(sides.fake, sides.real))
    evaluation = with_samples(evaluation, evaluation.subset(fake, n))
    has_labels = evaluation.fakes.y is not None and data.spec.classes > 0
    run = RunSpec(data.spec, conditional=has_labels, data=data, features=source, n=n)
    return select_metrics(suite, run), evaluation


def data_of(sides: Sides, n: int, seed: int) -> Data:
    """Return the real pictures as data: held-out ones, or without others to train on, some that stand for such.

    Those are at most ``POOL`` times ``n``, since all of their features are computed.
    """
    real = sides.real
    spec = Spec(tuple(real.split.x.shape[1:]), len(real.classes))
    if sides.train is not None:
        labels = translated_labels(sides.train, real) if spec.classes else None
        return Data(spec, replace(sides.train.split, y=labels), real.split)
    draws = torch.Generator().manual_seed(seed)
    pool = torch.randperm(len(real.split), generator=draws)[: POOL * n].sort().values
    y = None if real.split.y is None else real.split.y[pool]
    holdout = Split(real.split.x, y, real.split.places(pool), real.split.file)
    return Data(spec, real.split, holdout, within=pool)


def translated_labels(pictures: Samples, real: Samples) -> Tensor | None:
    """Return labels as indices into the classes of the real pictures, by name; None without labels.

    Numbers stand for the place of a class where the other side has names.

    Raises:
        DataError: For a class that the real pictures lack.
    """
    if pictures.split.y is None:
        return None
    numbers = [all(name.isdecimal() for name in side.classes) for side in (pictures, real)]
    if any(numbers):
        keys: list[list[Any]] = [
            [int(name) for name in side.classes] if is_number else [*range(len(side.classes))]
            for side, is_number in zip((pictures, real), numbers, strict=True)
        ]
    else:
        keys = [list(pictures.classes), list(real.classes)]
    places = {key: place for place, key in enumerate(keys[1])}
    if missing := [name for name, key in zip(pictures.classes, keys[0], strict=True) if key not in places]:
        what = f"has the class {missing[0]}, which the real pictures have not"
        raise DataError("evaluate", what, "rename it, or leave classes out by dataset.labels=none")
    return torch.tensor([places[key] for key in keys[0]])[pictures.split.y]


def suitable_features(features: Features, data: Data) -> Features:
    """Return the features, or pixels for the default ones where no classifier can be trained. Raises ConfigError."""
    if features.name == "auto" and default_features(data.spec) == "classifier" and why_not_trainable(data):
        pixels: Features = build("features", {"name": "pixels"})
        return pixels
    why = why_not_trainable(data) if features.name == "classifier" else features.why_unsupported(data.spec)
    if why:
        remedy = "add train=SET of labelled pictures" if features.name == "classifier" else "choose others"
        raise ConfigError("features", f"{features.name}: {why}", f"{remedy}, or features=pixels")
    return features


def with_samples(evaluation: Evaluation, fakes: Side) -> Evaluation:
    """Return the evaluation of samples and their labels.

    Where both sides have as many pictures of each class, each sample gets the place of a real one of its class.
    """
    y, real = fakes.y, evaluation.reals.y
    if y is None or real is None or not torch.equal(y.sort().values, real.sort().values):
        return replace(evaluation, substitute=fakes)
    order = torch.empty_like(y)
    order[real.argsort(stable=True)] = y.argsort(stable=True)
    return replace(evaluation, substitute=fakes.in_order(order), conditional=True)
