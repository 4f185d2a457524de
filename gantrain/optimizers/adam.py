"""Adam."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gantrain.core.update_rules import Moments, adam, adam_in_place, count, zeros
from gantrain.optimizers.base import OptimizerOptions
from gantrain.registry import option, register


@register("optimizer")
@dataclass
class Adam(OptimizerOptions):
    """Adam (Kingma and Ba 2015, alg. 1), one for each network, in one kernel where played eagerly."""

    name: str = option("adam", "registered name")
    acts_elementwise = True
    g_lr: float | None = option(  # type: ignore[assignment]
        None, "learning rate of G per update; 0 freezes it, null is the model's", minimum=0, maximum=1e3
    )
    d_lr: float | None = option(  # type: ignore[assignment]
        None, "learning rate of D per update; 0 freezes it, null is the model's", minimum=0, maximum=1e3
    )
    beta1: float = option(0.5, "decay of the mean of gradients", minimum=0, below=1)
    beta2: float = option(0.99, "decay of the mean of squared gradients", minimum=0, below=1)
    beta2_end: float | None = option(
        None, "this decay at optimizer.horizon, reached by train.ramp; null keeps it", minimum=0, below=1
    )

    def init(self, weights: Sequence[Tensor]) -> Moments:
        return count(weights) | zeros(weights, "exp_avg", "exp_avg_sq")

    def update(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, lr: float | Tensor
    ) -> tuple[list[Tensor], Moments]:
        return adam(weights, gradients, moments, lr, float(self.beta1), self.beta2)

    def update_in_place(
        self,
        weights: list[Tensor],
        gradients: list[Tensor],
        moments: Moments,
        lr: float,
        refused: Tensor | None = None,
    ) -> None:
        # One kernel for all weights takes a third of the time of one after another.
        adam_in_place(weights, gradients, moments, lr, float(self.beta1), self.beta2, refused)
