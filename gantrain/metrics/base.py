"""What a metric is, and the evaluation that all metrics of a suite share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from PIL.Image import Image
from torch import Tensor, nn

from gantrain.core.device import upload
from gantrain.core.estimate import Estimate
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Density, Split
from gantrain.metrics.game import Game
from gantrain.metrics.suite import Suite
from gantrain.objectives.base import Objective

T = TypeVar("T")
# Every scalar so far, ``{"step": …, tag: value}`` for each step that had any, oldest first.
History = Sequence[Mapping[str, float]]
CHUNK = 500  # samples sent through a network at a time


def in_chunks(network: Callable[..., Tensor], x: Tensor, y: Tensor | None = None, size: int = 0) -> Tensor:
    """Return ``network(x, y)`` of N samples and their conditions or None, ``size`` or ``CHUNK`` samples at a time."""
    parts = x.split(size or CHUNK)
    conditions = [None] * len(parts) if y is None else y.split(size or CHUNK)
    return torch.cat([network(part, c) for part, c in zip(parts, conditions, strict=True)])


def in_double(x: Tensor) -> Tensor:
    """Return a tensor in float64 on its device; on the CPU where that is Apple's GPU, which has no such numbers."""
    return (x.cpu() if x.device.type == "mps" else x).double()


@dataclass(frozen=True)
class Evaluation:
    """Samples on two sides: those of a generator, and held-out data.

    Attributes:
        data: The dataset; ``fake`` has as many samples as ``real``.
        suite: The protocol.
        device: Where the samples and networks are.
        seed: Chooses which held-out samples are used when there are more than ``suite.n``.
        players: The game of a run; None where there are samples alone.
        conditional: Whether the samples were generated for the labels of ``real``, each for one.
        substitute: Samples [n, ...] and their labels in place of those of the game's ``G``, or None.
        reference: Samples [n, ...] and their labels in place of held-out ones, or None.
    """

    data: Data
    suite: Suite
    device: torch.device
    seed: int
    players: Game | None = None
    conditional: bool = False
    substitute: tuple[Tensor, Tensor | None] | None = field(default=None, repr=False)
    reference: tuple[Tensor, Tensor | None] | None = field(default=None, repr=False)
    _results: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Samples on each side."""
        return min(self.suite.n, len(self.data.holdout))

    @property
    def game(self) -> Game:
        """The game of a run. Raises LookupError without one: a metric that reads it says ``needs_game``."""
        if self.players is None:
            raise LookupError("these samples have no game")
        return self.players

    @property
    def group(self) -> int:
        """Consecutive logits that depend on each other: those of a batch, for a D that looks across it."""
        game = self.game
        return max(self._samples_per_call(self.n) // game.packing, 1) if game.batch else 1

    def _samples_per_call(self, n: int) -> int:
        # Whole packs only; and a D that looks across its batch gets batches of one size, as in training.
        return min(self.game.batch or CHUNK, n) // self.game.packing * self.game.packing

    def subset(self, part: Split, n: int) -> tuple[Tensor, Tensor | None]:
        """Return ``n`` samples of a split, the same ones for the same seed."""
        # A separate generator, so that evaluating leaves every other random draw unchanged.
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(self.seed))[:n]
        return part.take(order, self.device)

    @cached_property
    def real(self) -> tuple[Tensor, Tensor | None]:
        """Held-out samples [n, ...] and their labels [n]."""
        return self.reference or self.subset(self.data.holdout, self.n)

    @cached_property
    def fake(self) -> tuple[Tensor, Tensor | None]:
        """Samples of ``G`` [n, ...] and the labels they were generated for, which are those of ``real``."""
        return self.substitute or self.generate(self.game.G, self.real[1], "evaluate")

    def generate(self, G: nn.Module, y: Tensor | None, purpose: str) -> tuple[Tensor, Tensor | None]:
        """Return ``n`` samples of a generator for the labels ``y`` [n] or None, and those labels."""
        # z [n, ...] and conditions [n, ...] to samples [n, ...]
        z = upload(self.game.latents(self.n, purpose), self.device)
        return in_chunks(G, z, self.condition(y)).float(), y

    def logits(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Return D's logits, float32, one for each sample or pack, label smoothing undone."""
        game, size = self.game, self._samples_per_call(len(x))
        unit = size if game.batch else game.packing
        x = x[: len(x) // unit * unit]
        c = None if y is None else self.condition(y[: len(x)])
        return game.undo(in_chunks(game.D, x, c, size).float())

    def condition(self, y: Tensor | None) -> Tensor | None:
        """Return what the networks see of labels [n, ...]: None if they are not conditional."""
        return y if self.conditional else None

    def once(self, compute: Callable[[Evaluation], T]) -> T:
        """Return ``compute(self)``, computed once for all numbers and figures of this evaluation."""
        if compute not in self._results:
            self._results[compute] = compute(self)
        return self._results[compute]

    def of_train(self) -> Evaluation:
        """Return the evaluation of training data in place of samples."""
        return replace(self, substitute=self.subset(self.data.train, min(self.n, len(self.data.train))))


@dataclass(frozen=True)
class RunSpec:
    """What decides which metrics a run supports, before its data are loaded and after.

    Attributes:
        spec: Shape and classes of the data.
        objective: What the game is; None where there are samples alone.
        conditional: Whether samples are generated for conditions.
        couples_samples: Whether D looks across the samples of a batch.
        tractable: Whether G knows its density.
        density: The data's density, if it is known.
        data: The data, once they are loaded.
    """

    spec: Spec
    objective: Objective | None = None
    conditional: bool = False
    couples_samples: bool = False
    tractable: bool = False
    density: Density | None = None
    data: Data | None = None


# What protocols share: the split, the discriminator and the generator.
HOLDOUT = {"split": "holdout"}
EVAL_D = {"D": "playing, eval mode"}
LIVE_G = {"G": "live weights"}
SAMPLES = HOLDOUT | {"G": "averaged weights"}
NETWORKS = HOLDOUT | EVAL_D | LIVE_G


class Metric(ABC):
    """Numbers, and perhaps figures, of an evaluation.

    Attributes:
        name: The registered name.
        tags: Tags with a chart and a column from the first step on, where the run supports the metric.
        shared_protocol: What all evaluations by this metric have in common.
        has_floor: Whether the same metric of real samples in place of those of G is a useful floor.
        compares_real: Whether its value depends on held-out samples, and not on those of G alone.
        needs_game: Whether it reads the networks of a run, and not samples alone.
        needs_d: Whether it evaluates D, which a baseline does not train.
        is_demonstration: Whether it shows a point of theory and is no part of ``metric=full``.
    """

    name: str
    tags: Sequence[str] = ()
    shared_protocol: Mapping[str, object] = SAMPLES
    has_floor: bool = True
    compares_real: bool = True
    needs_game: bool = False
    needs_d: bool = False
    is_demonstration: bool = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        """Return why the metric cannot be computed for a run, or None when it can.

        Called before the data are loaded and after; while ``run.data`` is None, any condition on it holds.
        """
        return None

    def expected_tags(self, run: RunSpec) -> Sequence[str]:
        """Return ``tags``, or those of them that a supported run writes."""
        return self.tags

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return how the numbers are computed: n, split, networks, and what the metric adds."""
        return {"n": evaluation.n, **self.shared_protocol}

    @abstractmethod
    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``{tag: value}``, called under inference mode.

        An ``Estimate`` that has an error logs it at every evaluation, as ``<tag>_se``.
        """

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        """Return standard errors over samples, by tag, that are not logged, of a jackknife for example.

        One that is itself an ``Estimate`` may have a caveat.
        Called after ``__call__`` for the result of a run and by ``gantrain evaluate``, under inference mode.
        """
        return {}

    def known_floors(self, evaluation: Evaluation) -> dict[str, Estimate] | None:
        """Return what a perfect generator would read, by tag, where no splits of real samples have to show it.

        The error of each is the standard deviation of one such reading.
        """
        return None

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return figures by name for ``figures/``, after each evaluation; called under inference mode."""
        return {}
