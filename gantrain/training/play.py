"""What a step needs to know of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.config.moving import Ramps, present, ramps
from gantrain.config.options import Config
from gantrain.core.memory import Memory, Remembers, memory_of
from gantrain.core.schedules import ema_decay, half_life_decay
from gantrain.distributed.shards import Parts
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.training.runtime import Runtime

T = TypeVar("T")
AUGMENT = "augment"  # the name of what an augmentation keeps
COMPILE_SECONDS = 15.0  # of one update


def active_costs(penalty: Penalty) -> dict[str, Penalty]:
    """Return the costs that a penalty is the sum of, by name."""
    return {name: one for name, one in penalty.members().items() if one.active}


def owners_of(penalty: Penalty, augment: Augmentation) -> dict[str, Remembers]:
    """Return what keeps tensors between updates, by the name under which a checkpoint saves them."""
    return {f"penalty.{name}": one for name, one in active_costs(penalty).items()} | {AUGMENT: augment}


@dataclass(frozen=True)
class Play:
    """What a step uses of a run; nothing in it changes while training.

    Attributes:
        objective: The losses of both networks.
        penalty: The costs added to both losses, as one.
        costs: Those of them that are active, by name.
        owners: What keeps tensors between updates, by name.
        needs: What D is asked beside its logit.
        noise: Noise on D's inputs and labels.
        augment: The augmentation of D's inputs.
        rule: The update rule of both networks, and their learning rates.
        seed: The run's seed.
        classes: Classes of the data, 0 without.
        packing: Samples that D classifies jointly.
        d_steps: Updates of D in a step, at most.
        g_steps: Updates of G in a step.
        is_simultaneous: Whether D's last update of a step waits for G's gradient.
        is_joint: Whether D may see data and samples in one pass: it looks at each on its own.
        batch_size: Samples of data in a batch, and fakes.
        parts: Those that a batch is differentiated in, by one process or several.
        unroll: Discriminator updates to unroll in G's loss.
        unroll_rule: Whether they are plain ``descent``, or made by D's ``optimizer``.
        unroll_lr: Learning rate of those updates; None for D's own.
        compare_gradients: Whether to measure the minimax and the non-saturating gradient of G.
        ramps: Of the numbers that move, by owner and key.
        ema: Decay of the average of G's weights.
        ema_half_life: Images after which weights count half in it; None for ``ema``.
        images: The most of a step.
        device: Where the networks are.
        autocast: Returns the context in which networks run: their precision.
        is_mixed: Whether that precision is below float32; penalties are computed in float32 all the same.
    """

    objective: Objective
    penalty: Penalty
    costs: dict[str, Penalty]
    owners: dict[str, Remembers]
    needs: frozenset[str]
    noise: Noise
    augment: Augmentation
    rule: OptimizerOptions
    seed: int
    classes: int
    packing: int
    d_steps: int
    g_steps: int
    is_simultaneous: bool
    is_joint: bool
    batch_size: int
    parts: Parts
    unroll: int
    unroll_rule: str
    unroll_lr: float | None
    compare_gradients: bool
    ramps: Ramps
    ema: float
    ema_half_life: float | None
    images: int
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]
    is_mixed: bool

    @classmethod
    def create(cls, config: Config, runtime: Runtime) -> Play:
        """Return what a step uses of a run."""
        shards = config.device.shards or config.device.processes
        return cls(
            objective=config.objective,
            penalty=config.penalty,
            costs=active_costs(config.penalty),
            owners=owners_of(config.penalty, config.augment),
            needs=config.objective.needs | config.penalty.needs,
            noise=config.noise,
            augment=config.augment,
            rule=config.optimizer,
            seed=config.seed,
            classes=config.spec.classes,
            packing=config.model.packing,
            d_steps=config.train.d_steps,
            g_steps=config.train.g_steps,
            is_simultaneous=config.train.update == "simultaneous",
            is_joint=not config.model.couples_samples,
            batch_size=config.train.batch_size,
            parts=Parts(
                shards * config.train.accumulate,
                runtime.group,
                is_exact=config.device.reduce == "exact",
                has_whole_statistics=config.device.batch_norm == "batch",
            ),
            unroll=config.train.unroll,
            unroll_rule=config.train.unroll_rule,
            unroll_lr=config.train.unroll_lr,
            compare_gradients=config.train.compare_gradients,
            ramps=ramps(config),
            ema=config.train.ema,
            ema_half_life=config.train.ema_half_life,
            images=config.train.images_per_step(config.objective.has_game),
            device=runtime.device,
            autocast=runtime.autocast,
            is_mixed=runtime.is_mixed,
        )

    @property
    def updates(self) -> int:
        """The updates of a step, real and unrolled."""
        return self.d_steps + self.g_steps * (1 + self.unroll)

    @property
    def compile_seconds(self) -> float:
        """What compiling a step takes on two cores of a server, about."""
        return COMPILE_SECONDS * self.updates

    def present(self, owner: str, options: T, step: int) -> T:
        """Return options with the values that their keys have in the step after ``step`` finished ones."""
        return present(self.ramps, owner, options, step)

    def ema_decay(self, step: int) -> float:
        """Return the decay of the average of G's weights in the step after ``step`` finished ones."""
        if self.ema_half_life is None:
            return ema_decay(self.ema, step)
        ramp = self.ramps["train"].get("ema_half_life")
        if ramp is None:
            return ema_decay(half_life_decay(self.ema_half_life, self.images), step)
        return half_life_decay(ramp.at(step), self.images)

    def costs_of(self, player: str, due: Mapping[str, object]) -> dict[str, Penalty]:
        """Return the costs on ``d`` or ``g`` that are due, by name."""
        return {name: one for name, one in self.costs.items() if one.player == player and name in due}

    def see(self, x: Tensor, draws: dict[str, Tensor], kind: str, memory: Memory) -> Tensor:
        """Return samples ``x`` [N, ...] as D sees them while training: augmented, then with instance noise."""
        if f"augment {kind}" in draws:
            x = self.augment(x, draws[f"augment {kind}"], memory_of(AUGMENT, memory))
        return x + draws[f"noise {kind}"] if f"noise {kind}" in draws else x
