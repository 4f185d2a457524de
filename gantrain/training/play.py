"""What the updates of D and G need to know of a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.config.options import Config
from gantrain.core.random import stream
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.penalties.base import Penalty
from gantrain.training.runtime import Runtime


@dataclass(frozen=True)
class Play:
    """What the updates use of a run; nothing in it changes while training.

    Attributes:
        objective: The losses of both networks.
        penalty: The cost added to D's loss.
        noise: Noise on D's inputs and labels.
        augment: The augmentation of D's inputs.
        seed: The run's seed.
        horizon: Step at which schedules end.
        classes: Classes of the data, 0 without.
        unroll: Discriminator updates to unroll in G's loss.
        unroll_lr: Learning rate of those updates; None for D's own.
        compare_gradients: Whether to measure the minimax and the non-saturating gradient of G.
        device: Where the networks are.
        autocast: Returns the context in which networks run: their precision.
    """

    objective: Objective
    penalty: Penalty
    noise: Noise
    augment: Augmentation
    seed: int
    horizon: int
    classes: int
    unroll: int
    unroll_lr: float | None
    compare_gradients: bool
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]

    @classmethod
    def create(cls, config: Config, runtime: Runtime) -> Play:
        """Return what the updates use of a run."""
        return cls(
            objective=config.objective,
            penalty=config.penalty,
            noise=config.noise,
            augment=config.augment,
            seed=config.seed,
            horizon=config.optimizer.horizon,
            classes=config.spec.classes,
            unroll=config.train.unroll,
            unroll_lr=config.train.unroll_lr,
            compare_gradients=config.train.compare_gradients,
            device=runtime.device,
            autocast=runtime.autocast,
        )

    # Randomness and inputs are functions of seed, step and purpose, so a resumed run repeats them.

    def stream(self, step: int, purpose: str) -> torch.Generator:
        """Return the CPU generator for one purpose in one step."""
        return stream(self.seed, step, purpose)

    def d_input(self, x: Tensor, step: int, purpose: str) -> Tensor:
        """Return samples ``x`` [N, ...] as D sees them while training: augmented, then with instance noise."""
        # Each purpose has its own stream, so switching one on changes no other random number.
        if self.augment.active:
            x = self.augment(x, self.stream(step, f"augment {purpose}"))
        return self.noise.perturb(x, step, lambda: self.stream(step, f"noise {purpose}"))
