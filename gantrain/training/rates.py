"""The numbers that a schedule sets for one step: learning rates, the weights of costs, how far averages move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gantrain.core.schedules import ema_decay
from gantrain.training.play import Play
from gantrain.training.state import lr_factor


@dataclass(frozen=True)
class Rates:
    """The numbers that a schedule sets for one step: floats, or 0-dim tensors in a compiled step.

    Attributes:
        g_lr: G's learning rate.
        d_lr: D's learning rate.
        ema: How far the average of G's weights moves towards G.
        costs: The weights of the costs that are due, by name.
    """

    g_lr: float | Tensor
    d_lr: float | Tensor
    ema: float | Tensor
    costs: dict[str, float | Tensor]

    @classmethod
    def at(cls, step: int, play: Play) -> Rates:
        """Return the rates of the step after ``step`` finished ones."""
        # Both learning rates share the schedule, each with its own base.
        factor, rule = lr_factor(play.rule, step), play.rule
        costs: dict[str, float | Tensor] = {}
        for name, one in play.costs.items():
            weight = one.weight(step, rule.horizon)
            if weight is not None and (play.objective.has_game or one.player == "g"):
                costs[name] = weight
        return cls(rule.g_lr * factor, rule.d_lr * factor, 1.0 - ema_decay(play.ema, step), costs)

    @property
    def due(self) -> tuple[str, ...]:
        """The names of the costs that are due."""
        return tuple(self.costs)

    @property
    def numbers(self) -> list[float | Tensor]:
        """All rates as a list, which ``of`` reads."""
        return [self.g_lr, self.d_lr, self.ema, *self.costs.values()]

    @classmethod
    def of(cls, numbers: Sequence[float | Tensor], due: tuple[str, ...]) -> Rates:
        """Return the rates that ``numbers`` lists, with the costs that are due."""
        g_lr, d_lr, ema, *weights = numbers
        return cls(g_lr, d_lr, ema, dict(zip(due, weights, strict=True)))
