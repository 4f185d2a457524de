"""The contract of an optimizer: two learning rates, one schedule, and a pure update rule."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.core.schedules import KINDS
from gantrain.core.update_rules import Moments
from gantrain.registry import option


@dataclass
class OptimizerOptions(ABC):
    """Keys that every optimizer shares.

    Attributes:
        acts_elementwise: Whether ``update`` treats each number of a weight on its own, so that several weights may
            be one vector.
    """

    acts_elementwise: ClassVar[bool] = False

    g_lr: float = option(1e-3, "learning rate of G per update; 0 freezes it", minimum=0, maximum=1e3)
    d_lr: float = option(1e-3, "learning rate of D per update; 0 freezes it", minimum=0, maximum=1e3)
    g_lr_end: float = option(
        0.0, "learning rate of G at the horizon, unless it is constant", minimum=0, maximum=1e3
    )
    d_lr_end: float = option(
        0.0, "learning rate of D at the horizon, unless it is constant", minimum=0, maximum=1e3
    )
    schedule: str = option(
        "cosine", "shape of the way of both learning rates over the horizon", choices=KINDS
    )
    horizon: int = option(
        0, "step at which all that moves reaches its end; 0 is the first run's train.steps", minimum=0
    )
    warmup: int = option(0, "steps over which both learning rates rise linearly from 0", minimum=0)

    def resolve(self, horizon: int, rate: float) -> dict[str, float]:
        """Set what is left open: an ending of the decay, and learning rates of null; return the latter, by key.

        Args:
            horizon: The run's steps.
            rate: A learning rate of Adam that suits the model.
        """
        self.horizon = self.horizon or horizon
        rates = {key: rate for key in ("g_lr", "d_lr") if getattr(self, key) is None}
        for key in rates:
            setattr(self, key, rate)
        return rates

    @abstractmethod
    def init(self, weights: Sequence[Tensor]) -> Moments:
        """Return the moments before the first update, by the names under which a checkpoint stores them."""

    @abstractmethod
    def update(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, lr: float | Tensor
    ) -> tuple[list[Tensor], Moments]:
        """Return the weights and moments after one update; nothing is changed in place.

        Args:
            weights: Of one network.
            gradients: As many, of the same shapes.
            moments: As ``init`` or an earlier update returned them.
            lr: The learning rate after warm-up and decay; a 0-dim tensor in a compiled step.
        """

    @torch.no_grad()
    def update_in_place(
        self,
        weights: list[Tensor],
        gradients: list[Tensor],
        moments: Moments,
        lr: float,
        refused: Tensor | None = None,
    ) -> None:
        """Update weights and moments in place; where ``refused``, 0-dim, is 1, they stay as they are."""
        after, moved = self.update(weights, gradients, moments, lr)
        pairs = [*zip(weights, after, strict=True)]
        for name, tensors in moments.items():
            pairs += zip(tensors, moved[name], strict=True)
        for old, new in pairs:
            old.copy_(new if refused is None else torch.where(refused > 0, old, new))
