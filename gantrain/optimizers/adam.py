"""Adam."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gantrain.optimizers.base import OptimizerOptions
from gantrain.registry import option, register


@register("optimizer")
@dataclass
class Adam(OptimizerOptions):
    """Adam (Kingma and Ba 2015, alg. 1), one for each network, fused where the device has it."""

    name: str = option("adam", "registered name")
    beta1: float = option(0.5, "decay of the mean of gradients", minimum=0, below=1)
    beta2: float = option(0.99, "decay of the mean of squared gradients", minimum=0, below=1)

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        # m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, w <- w - lr m' / (sqrt(v') + eps), ' without the bias
        return torch.optim.Adam(parameters, lr=lr, betas=(float(self.beta1), float(self.beta2)), fused=True)
