"""A run's settings, checked and resolved."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gantrain.datasets.base import Dataset
from gantrain.metrics.base import Suite
from gantrain.models.base import Model
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.optimizers.base import OptimizerOptions
from gantrain.options import Device, Folder, Train
from gantrain.penalties.base import Penalty
from gantrain.spec import Spec


@dataclass
class Config:
    """A run, checked and resolved: nothing is left to decide.

    Attributes:
        seed: Seed of everything random.
        name: Part of the run folder's name.
        run: Where to write.
        dataset: The data source.
        spec: Its shape and classes.
        model: The players' recipe, never ``auto``.
        penalty: The cost on D.
        objective: The game.
        noise: What is added to D's inputs and labels.
        optimizer: Update rule of both players; ``horizon`` is set.
        device: The machine that was asked for.
        metric: The suite that is read.
        train: The loop.
    """

    seed: int
    name: str
    run: Folder
    dataset: Dataset
    spec: Spec
    model: Model
    penalty: Penalty
    objective: Objective
    noise: Noise
    optimizer: OptimizerOptions
    device: Device
    metric: Suite
    train: Train

    def plain(self) -> dict[str, Any]:
        """Return the resolved config as plain data; ``resolve`` makes an equal config of it."""
        plain = dataclasses.asdict(self)
        del plain["spec"]  # the dataset says it
        return plain
