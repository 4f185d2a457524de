"""The numbers that schedules set for one step: learning rates, the weights of costs, how far averages move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gantrain.training.play import Play

RULE, COST = "rule.", "cost."


@dataclass(frozen=True)
class Rates:
    """The numbers that schedules set for one step: floats, or 0-dim tensors in a compiled step.

    Attributes:
        by_name: ``g_lr`` and ``d_lr``; ``ema``, how far the average of G's weights moves towards G; ``rule.<key>``,
            other keys of the update rule that move; ``cost.<name>``, the weights of the costs that are due.
    """

    by_name: dict[str, float | Tensor]

    @classmethod
    def at(cls, step: int, play: Play) -> Rates:
        """Return the rates of the step after ``step`` finished ones."""
        rule = play.present("optimizer", play.rule, step)
        numbers: dict[str, float | Tensor] = {"g_lr": rule.g_lr, "d_lr": rule.d_lr}
        numbers["ema"] = 1.0 - play.ema_decay(step)
        others = play.ramps["optimizer"].keys() - numbers.keys()
        numbers |= {RULE + key: getattr(rule, key) for key in sorted(others)}
        for name, one in play.costs.items():
            weight = play.present(f"penalty.{name}", one, step).weight(step)
            if weight is not None and (play.objective.has_game or one.player == "g"):
                numbers[COST + name] = weight
        return cls(numbers)

    @property
    def g_lr(self) -> float | Tensor:
        """G's learning rate."""
        return self.by_name["g_lr"]

    @property
    def d_lr(self) -> float | Tensor:
        """D's learning rate."""
        return self.by_name["d_lr"]

    @property
    def ema(self) -> float | Tensor:
        """How far the average of G's weights moves towards G."""
        return self.by_name["ema"]

    @property
    def rule(self) -> dict[str, float | Tensor]:
        """The other keys of the update rule that move."""
        return self._part(RULE)

    @property
    def costs(self) -> dict[str, float | Tensor]:
        """The weights of the costs that are due, by name."""
        return self._part(COST)

    @property
    def due(self) -> tuple[str, ...]:
        """The names of the costs that are due."""
        return tuple(self.costs)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, in the order of ``numbers``."""
        return tuple(self.by_name)

    @property
    def numbers(self) -> list[float | Tensor]:
        """All as a list, which ``of`` reads."""
        return list(self.by_name.values())

    @classmethod
    def of(cls, numbers: Sequence[float | Tensor], names: tuple[str, ...]) -> Rates:
        """Return the rates of these names."""
        return cls(dict(zip(names, numbers, strict=True)))

    def _part(self, prefix: str) -> dict[str, float | Tensor]:
        return {name.removeprefix(prefix): n for name, n in self.by_name.items() if name.startswith(prefix)}
