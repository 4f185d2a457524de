"""A small real run, for tests of single updates and of the loop."""

from dataclasses import dataclass, field

import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import Config, resolve
from gantrain.datasets.base import Data
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.updates import d_step, g_step


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
        return d_step(self.state, *self.batches(number), i, Play.create(self.config, self.runtime))

    def move_g(self, number: int = 0) -> dict[str, Tensor]:
        return g_step(self.state, *self.batches(number), 0, Play.create(self.config, self.runtime))

    def tensors(self, *parts: str) -> dict[str, Tensor]:
        return {k: v.clone() for k, v in self.state.tensors().items() if k.split("/")[0] in parts}


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
    **options,
) -> Game:
    """Return a run on a ring of four modes; ``options`` are keys of ``train``."""
    config = resolve(
        composed(*CHOICES)
        | {
            "seed": seed,
            "dataset": dataset or {"name": "ring", "modes": 4, "n": 50, "n_holdout": 10},
            "model": {"name": "auto", "width": 8, "condition": condition, "packing": packing},
            "penalty": {"name": penalty},
            "objective": {"name": objective},
            "optimizer": {"name": "adam", "schedule": "constant"} | (optimizer or {}),
            "train": {"steps": 6, "batch_size": 8} | options,
        }
    )
    runtime, data = Runtime(config.device), config.dataset.load(config.seed)
    state = TrainState.create(config, data.spec, runtime)
    batches = Batches(data.train, config.train.batch_size, seed, runtime.device)
    return Game(config, data, state, batches, runtime)


def same(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return before.keys() == after.keys() and all(
        torch.equal(value, after[name]) for name, value in before.items()
    )


def digest(batch: Tensor) -> bytes:
    return batch.numpy().tobytes()


def gradients(network: nn.Module) -> list[Tensor | None]:
    return [p.grad for p in network.parameters()]


class Spy(nn.Module):
    """Records the inputs of a network."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.calls = network, []
        self.has_batch_stats = False
        self.latents = getattr(network, "latents", None)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls.append((x.detach().clone(), None if y is None else y.clone()))
        return self.network(x, y)
