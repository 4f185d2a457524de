"""The contract of an optimizer: two learning rates, one schedule, and how to build it for one network."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gantrain.registry import option


@dataclass
class OptimizerOptions(ABC):
    """Keys that every optimizer shares."""

    g_lr: float = option(1e-3, "learning rate of G per update; 0 freezes it", minimum=0, maximum=1e3)
    d_lr: float = option(1e-3, "learning rate of D per update; 0 freezes it", minimum=0, maximum=1e3)
    schedule: str = option(
        "cosine", "decay of both learning rates over the horizon", choices=("constant", "linear", "cosine")
    )
    horizon: int = option(0, "step at which the decay ends; 0 is the first run's train.steps", minimum=0)
    warmup: int = option(0, "steps over which both learning rates rise linearly from 0", minimum=0)

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """Return the torch optimizer of one network, at its learning rate before warm-up and decay."""
