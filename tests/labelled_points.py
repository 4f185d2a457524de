"""Labelled samples on two sides without a run: what the metrics of single classes read."""

from __future__ import annotations

import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.suite import Suite

Side = tuple[Tensor, Tensor]


def heaps(n: int, classes: int, seed: int, spread: float = 1.0, gap: float = 6.0) -> Side:
    """Return n points of each class, normal around places on a line."""
    y = torch.arange(classes).repeat(n)
    draws = torch.Generator().manual_seed(seed)
    x = spread * torch.randn(len(y), 2, generator=draws)
    x[:, 0] += gap * y
    return x, y


def labelled_scene(real: Side, fake: Side, train: Side | None = None, k: int = 5) -> Evaluation:
    """Return the evaluation of samples with labels against held-out ones with labels."""
    spec = Spec(tuple(real[0].shape[1:]), classes=int(real[1].max()) + 1)
    data = Data(spec, Split(*(train or real)), Split(*real))
    return Evaluation(
        data=data,
        suite=Suite(n=len(real[0]), k=k),
        device=torch.device("cpu"),
        seed=0,
        conditional=True,
        reference=real,
        substitute=fake,
    )
