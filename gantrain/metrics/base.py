"""What a metric is, and the evaluation that all metrics of one reading share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, Split
from gantrain.models.base import Model
from gantrain.objectives.base import Objective
from gantrain.registry import option

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
CHUNK = 500  # samples sent through a network at a time


@dataclass
class Suite:
    """Which metrics are read, and their protocol."""

    names: list[str] = option([], "metrics to read; those that do not fit the data are left out")
    n: int = option(1000, "samples on each side, at most those held out", minimum=2, maximum=10_000_000)
    published: dict[str, float] = option(
        {}, "numbers in print by tag, shown beside the mean of the last fifth of the run"
    )
    k: int = option(
        5, "nearest neighbours that draw the balls of precision, recall, density, coverage", minimum=1
    )
    title: str = option("", "what was played, in words, for the figures that show it")
    refit_steps: int = option(1000, "updates of the fresh discriminator of metric refit", minimum=1)


@dataclass(frozen=True)
class Evaluation:
    """One reading of a generator and a discriminator against held-out data.

    Attributes:
        data: The dataset; ``fake`` has as many samples as ``real``.
        G: The generator that samples are judged by (the average of weights).
        G_live: The generator that D plays against.
        D: The discriminator, in eval mode as both generators.
        objective: The game, which knows what D's logits mean.
        latents: ``(n, purpose) -> latents [n, ...]``, the same for the same purpose.
        suite: The protocol.
        device: Where the networks are.
        seed: Chooses which held-out samples are used when there are more than ``suite.n``.
        wrong: ``y [N, ...] -> y [N, ...]``: a wrong condition for each right one; None where there is none.
        batch: Samples that D is shown at once when it looks across them; 0 when it judges each alone.
        conditional: Whether the players see what a sample is asked for.
        autocast: The precision that networks run in, as a context.
        undo: ``logits [N] -> logits [N]``: those of the D that labels without noise would have given.
    """

    data: Data
    G: nn.Module
    G_live: nn.Module
    D: nn.Module
    objective: Objective
    latents: Callable[[int, str], Tensor]
    suite: Suite
    device: torch.device
    seed: int
    wrong: Callable[[Tensor], Tensor | None]
    undo: Callable[[Tensor], Tensor]
    batch: int = 0
    conditional: bool = False
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext
    given: tuple[Tensor, Tensor | None] | None = field(default=None, repr=False)
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Samples on each side."""
        return min(self.suite.n, len(self.data.holdout))

    def some(self, part: Split, n: int) -> tuple[Tensor, Tensor | None]:
        """Return ``n`` samples of a split, the same ones for the same seed."""
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(self.seed))[:n]
        return part.take(order, self.device)

    @cached_property
    def real(self) -> tuple[Tensor, Tensor | None]:
        """Held-out samples [n, ...] and their labels [n]."""
        return self.some(self.data.holdout, self.n)

    @cached_property
    def fake(self) -> tuple[Tensor, Tensor | None]:
        """Samples of ``G`` [n, ...] and the labels they were asked for, which are those of ``real``."""
        return self.given or self.generate(self.G, self.real[1], "evaluate")

    def generate(self, G: nn.Module, y: Tensor | None, purpose: str) -> tuple[Tensor, Tensor | None]:
        """Return ``n`` samples of a generator for the labels ``y`` [n] or None, and those labels."""
        z, asked = self.latents(self.n, purpose).to(self.device), self.shown(y)
        parts = [
            G(z[i : i + CHUNK], None if asked is None else asked[i : i + CHUNK])
            for i in range(0, self.n, CHUNK)
        ]
        return torch.cat(parts).float(), y

    def logits(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Return D's logits [N], float32, label smoothing undone."""
        if self.batch:  # this D looks across samples, so it is shown the batches it knows, and no remainder
            size = min(self.batch, len(x))
            count = len(x) // size * size
        else:
            size, count = CHUNK, len(x)
        y = self.shown(y)
        parts = [
            self.D(x[i : i + size], None if y is None else y[i : i + size]) for i in range(0, count, size)
        ]
        return self.undo(torch.cat(parts).float())

    def shown(self, y: Tensor | None) -> Tensor | None:
        """Return what the players see of labels [n, ...]: nothing where they are not conditional."""
        return y if self.conditional else None

    def once(self, make: Callable[[Evaluation], T]) -> T:
        """Return what ``make`` makes of this evaluation, made once for all numbers and pictures that show it."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def of_real(self) -> Evaluation:
        """Return the evaluation in which training data take the place of samples: its readings are the floor."""
        return replace(self, given=self.some(self.data.train, min(self.n, len(self.data.train))))


class Planned(Protocol):
    """What is known of a run before its data are read: its ``Config``."""

    dataset: Dataset
    spec: Spec
    model: Model
    objective: Objective


class Metric:
    """A reading of an evaluation.

    Attributes:
        floored: Whether the same reading of training data against held-out data is a floor worth printing.
        needs_d: Whether it reads D, which a baseline does not train.
    """

    name: str
    floored = True
    needs_d = False

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why the metric cannot be read from this data, or None when it can."""
        return None

    def expected(self, run: Planned) -> list[str]:
        """Return the tags that charts and tables show of this metric, as far as a run's config tells.

        What is named here has its column in HPARAMS and its line in a chart from the first step on, not only after
        the first reading. A metric that reads D is asked only where one is trained.
        """
        return []

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return how the numbers are made: features, n, k, split."""
        raise NotImplementedError

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``{tag: value}``; called under inference mode."""
        raise NotImplementedError

    def figures(self, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
        """Return pictures by name, drawn after each evaluation and written under ``figures/``; called as the reading.

        Args:
            evaluation: The one just read.
            history: Every scalar so far, ``{"step": …, tag: value}`` for each step that had any, oldest first.
        """
        return {}
