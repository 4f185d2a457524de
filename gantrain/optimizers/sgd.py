"""Stochastic gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gantrain.optimizers.base import OptimizerOptions
from gantrain.registry import option, register


@register("optimizer")
@dataclass
class SGD(OptimizerOptions):
    """Gradient descent, optionally with heavy-ball momentum (Polyak 1964)."""

    name: str = option("sgd", "registered name")
    g_lr: float = option(1e-2, "learning rate of G per update; 0 freezes it", minimum=0, maximum=1e3)
    d_lr: float = option(1e-2, "learning rate of D per update; 0 freezes it", minimum=0, maximum=1e3)
    momentum: float = option(0.0, "fraction of the last update that is added to the next", minimum=0, below=1)

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        # m <- mu m + g, w <- w - lr m
        return torch.optim.SGD(parameters, lr=lr, momentum=float(self.momentum))
