"""What metrics read of a run besides samples: its networks, and the game that they play."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import cast

from torch import Tensor, nn

from gantrain.augment.base import Augmentation
from gantrain.core.judgement import Judgement
from gantrain.core.memory import Memory
from gantrain.models.base import Discriminator
from gantrain.objectives.base import Objective
from gantrain.registry import build


@dataclass(frozen=True)
class Game:
    """The networks of a run, and the game that they play.

    Attributes:
        G: The generator whose samples are evaluated (the average of weights, if there is one).
        G_live: The generator that D plays against.
        D: The discriminator, in eval mode as both generators.
        objective: Which knows what D's logits mean.
        latents: ``(n, purpose) -> latents [n, ...]``, the same for the same purpose.
        wrong: ``y [N, ...] -> y [N, ...]``: a wrong condition for each right one; None if there is none.
        undo: ``logits [N] -> logits [N]``: those of the D that labels without noise would have given.
        batch: Samples per call of a D that looks across its batch; 0 for a D that does not.
        packing: Samples that D classifies jointly, as one.
        autocast: The precision that networks run in, as a context.
        augment: The augmentation of D's inputs while training.
        augment_memory: What it keeps.
        is_averaged: Whether ``G`` is the average of the weights of ``G_live``, and not the same.
    """

    G: nn.Module
    G_live: nn.Module
    D: nn.Module
    objective: Objective
    latents: Callable[[int, str], Tensor]
    wrong: Callable[[Tensor], Tensor | None]
    undo: Callable[[Tensor], Tensor]
    batch: int = 0
    packing: int = 1
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext
    augment: Augmentation = field(default_factory=lambda: build("augment", {"name": "none"}))
    augment_memory: Memory = field(default_factory=dict)
    is_averaged: bool = True

    @property
    def couples_samples(self) -> bool:
        """Whether D looks across samples: its divergence is then that of packs or batches."""
        return self.batch > 0 or self.packing > 1

    def judge(self, x: Tensor, y: Tensor | None) -> Judgement:
        """Return what D says of samples, in float32: its logit, and more where the objective needs it."""
        said = cast(Discriminator, self.D).judge(x, y) if self.objective.needs else Judgement(self.D(x, y))
        return said.float()
