"""A small real run, for tests of single updates and of the loop."""

import copy
from dataclasses import dataclass, field

import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import Config, resolve
from gantrain.datasets.base import Data
from gantrain.models.base import Discriminator, Generator
from gantrain.objectives.base import Objective
from gantrain.optimizers.base import OptimizerOptions
from gantrain.training.batches import Batches
from gantrain.training.draws import Draw, Inputs
from gantrain.training.eager import eager_players
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, trainable_weights
from gantrain.training.step import differentiate_d, differentiate_g


def state_of(G: Generator, D: nn.Module, rule: OptimizerOptions) -> TrainState:
    """Return the state before the first step of a game between two given networks."""
    opt_G, opt_D = (rule.init(list(trainable_weights(player).values())) for player in (G, D))
    return TrainState(G, D, copy.deepcopy(G).requires_grad_(False), opt_G, opt_D)


def move_d(state: TrainState, real: Tensor, y: Tensor | None, i: int, play: Play) -> dict[str, Tensor]:
    """Differentiate D's loss in update ``i`` of a step; nothing is updated but what a penalty keeps."""
    players, rates = eager_players(state, play), Rates.at(state.step, play)
    draws = Draw(play, state.G, state.D, state.step).for_d(real, y, i, rates.due)
    tags = differentiate_d(players, Inputs(real, y, draws), rates, play)
    state.memory = players.memory
    return tags


def move_g(state: TrainState, real: Tensor, y: Tensor | None, j: int, play: Play) -> dict[str, Tensor]:
    """Differentiate G's loss in update ``j`` of a step; nothing is updated but what a cost keeps."""
    players, rates = eager_players(state, play), Rates.at(state.step, play)
    draws = Draw(play, state.G, state.D, state.step).for_g(real, y, j, rates.due)
    tags = differentiate_g(players, Inputs(real, y, draws), rates, play)
    state.memory = players.memory
    return tags


@dataclass
class Game:
    """A small real run, and what was reported of it."""

    config: Config
    data: Data
    state: TrainState
    batches: Batches
    runtime: Runtime
    reports: list[dict[str, Tensor]] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)

    def play(self, batches=None) -> "Game":
        train(
            self.state,
            batches or self.batches,
            self.config,
            self.runtime,
            self.reports.append,
            lambda state: self.kept.append(state.step),
        )
        return self

    def move_d(self, number: int = 0, i: int = 0) -> dict[str, Tensor]:
        return move_d(self.state, *self.batches(number), i, Play.create(self.config, self.runtime))

    def move_g(self, number: int = 0) -> dict[str, Tensor]:
        return move_g(self.state, *self.batches(number), 0, Play.create(self.config, self.runtime))

    def tensors(self, *parts: str) -> dict[str, Tensor]:
        return {k: v.clone() for k, v in self.state.tensors().items() if k.split("/")[0] in parts}


def condition_of(objective: Objective) -> str:
    """Return a ``model.condition`` that the objective can be played with."""
    if "classes" in objective.needs:
        return "auxiliary_classifier"
    return "concat" if objective.needs_condition or objective.mismatch_weight > 0 else "none"


CHOICES = ("dataset=ring", "device=cpu", "metric=none", "model=mlp", "name=test")
EVERYTHING = ("G", "D", "G_ema", "opt_G", "opt_D")


def game(
    objective="non_saturating",
    penalty="none",
    condition="none",
    dataset=None,
    optimizer=None,
    seed=0,
    packing=1,
    model=None,
    device=None,
    augment=None,
    group=None,
    **options,
) -> Game:
    """Return a run on a ring of four modes, or a process's part of it; ``options`` are keys of ``train``."""
    config = resolve(
        composed(*CHOICES)
        | {
            "seed": seed,
            "dataset": dataset or {"name": "ring", "modes": 4, "n": 50, "n_holdout": 10},
            "model": {"name": "auto", "width": 8, "condition": condition, "packing": packing} | (model or {}),
            "penalty": {"name": penalty} if isinstance(penalty, str) else penalty,
            "objective": {"name": objective} if isinstance(objective, str) else objective,
            "augment": augment or {"name": "none"},
            "optimizer": {"name": "adam", "schedule": "constant"} | (optimizer or {}),
            "device": {"kind": "cpu"} | (device or {}),
            "train": {"steps": 6, "batch_size": 8} | options,
        }
    )
    runtime, data = Runtime(config.device, group), config.dataset.load(config.seed)
    state = TrainState.create(config, data.spec, runtime)
    batches = Batches(data.train, config.train.batch_size, seed, runtime.device, runtime.group)
    return Game(config, data, state, batches, runtime)


def same(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return before.keys() == after.keys() and all(
        torch.equal(value, after[name]) for name, value in before.items()
    )


def digest(batch: Tensor) -> bytes:
    return batch.numpy().tobytes()


def gradients(network: nn.Module) -> list[Tensor | None]:
    return [p.grad for p in network.parameters()]


class Spy(Discriminator):
    """Records the inputs of a network."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.calls = network, []
        self.latents = getattr(network, "latents", None)
        self.training_latents = getattr(network, "training_latents", None)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls.append((x.detach().clone(), None if y is None else y.clone()))
        return self.network(x, y)
