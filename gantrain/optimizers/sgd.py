"""Stochastic gradient descent."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gantrain.core.update_rules import Moments, sgd, zeros
from gantrain.optimizers.base import OptimizerOptions
from gantrain.registry import option, register


@register("optimizer")
@dataclass
class SGD(OptimizerOptions):
    """Gradient descent, optionally with heavy-ball momentum (Polyak 1964)."""

    name: str = option("sgd", "registered name")
    acts_elementwise = True
    g_lr: float = option(1e-2, "learning rate of G per update; 0 freezes it", minimum=0, maximum=1e3)
    d_lr: float = option(1e-2, "learning rate of D per update; 0 freezes it", minimum=0, maximum=1e3)
    momentum: float = option(0.0, "fraction of the last update that is added to the next", minimum=0, below=1)

    def init(self, weights: Sequence[Tensor]) -> Moments:
        return zeros(weights, "momentum_buffer") if self.momentum else {}

    def update(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, lr: float | Tensor
    ) -> tuple[list[Tensor], Moments]:
        return sgd(weights, gradients, moments, lr, float(self.momentum))
