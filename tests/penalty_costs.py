"""What a penalty costs a discriminator on given data and samples."""

from collections.abc import Callable

import torch
from torch import Tensor

from gantrain.core.gradients import Autograd
from gantrain.penalties.base import FAKE, REAL, Memory, Pass, Penalty


def pass_of(
    penalty: Penalty,
    D: Callable[[Tensor, Tensor | None], Tensor],
    real: Tensor,
    fake: Tensor,
    y: Tensor | None = None,
    seed: int = 0,
    memory: Memory | None = None,
) -> Pass:
    """Return D's pass as the penalty sees it, each kind and each gradient by a pass of its own."""

    def slope_at(x: Tensor) -> Tensor:
        return Autograd.by_input(lambda x: D(x, y), x)[1].flatten(1)

    real_logits, fake_logits = D(real, y), D(fake, y)
    return Pass(
        real=real,
        fake=fake,
        real_logits=real_logits,
        fake_logits=fake_logits,
        slopes={kind: slope_at({REAL: real, FAKE: fake}[kind]) for kind in penalty.slopes_of},
        slope_at=slope_at,
        value_at=lambda x: D(x, y),
        draw=penalty.draw(real, torch.Generator().manual_seed(seed)),
        memory=penalty.observe(memory or penalty.initial_memory(), real_logits, fake_logits),
    )


def cost_of(
    penalty: Penalty,
    D: Callable[[Tensor, Tensor | None], Tensor],
    real: Tensor,
    fake: Tensor,
    y: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Return the cost in the first step, times its weight, 0-dim."""
    weight = penalty.weight(0)
    assert weight is not None
    return weight * penalty(pass_of(penalty, D, real, fake, y, seed))
