"""RMSprop."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gantrain.core.update_rules import Moments, count, rmsprop, zeros
from gantrain.optimizers.base import OptimizerOptions
from gantrain.registry import option, register


@register("optimizer")
@dataclass
class RMSprop(OptimizerOptions):
    """Gradients divided by their root mean square (Tieleman and Hinton 2012), the choice of WGAN and GAN_stability."""

    name: str = option("rmsprop", "registered name")
    acts_elementwise = True
    # Gradients are scaled to about 1, so its learning rates are those of Adam, not of SGD.
    g_lr: float = option(1e-4, "learning rate of G per update; 0 freezes it", minimum=0, maximum=1e3)
    d_lr: float = option(1e-4, "learning rate of D per update; 0 freezes it", minimum=0, maximum=1e3)
    alpha: float = option(0.99, "decay of the mean of squared gradients", minimum=0, below=1)

    def init(self, weights: Sequence[Tensor]) -> Moments:
        return count(weights) | zeros(weights, "square_avg")

    def update(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, lr: float | Tensor
    ) -> tuple[list[Tensor], Moments]:
        return rmsprop(weights, gradients, moments, lr, float(self.alpha))
