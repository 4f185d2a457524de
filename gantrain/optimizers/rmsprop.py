"""RMSprop."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gantrain.optimizers.base import OptimizerOptions
from gantrain.registry import option, register


@register("optimizer")
@dataclass
class RMSprop(OptimizerOptions):
    """Gradients divided by their root mean square (Tieleman and Hinton 2012), the choice of WGAN and GAN_stability."""

    name: str = option("rmsprop", "registered name")
    # Gradients are scaled to about 1, so its learning rates are those of Adam, not of SGD.
    g_lr: float = option(1e-4, "learning rate of G per update; 0 freezes it", minimum=0, maximum=1e3)
    d_lr: float = option(1e-4, "learning rate of D per update; 0 freezes it", minimum=0, maximum=1e3)
    alpha: float = option(0.99, "decay of the mean of squared gradients", minimum=0, below=1)

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        # v <- a v + (1 - a) g^2, w <- w - lr g / (sqrt(v) + eps)
        return torch.optim.RMSprop(parameters, lr=lr, alpha=float(self.alpha))
