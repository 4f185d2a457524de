"""The evaluation that all metrics of a suite share: both sides of samples, their features, and the game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gantrain.core.device import upload
from gantrain.core.float32 import full_float32
from gantrain.core.spec import Spec, bounded
from gantrain.datasets.base import Data, Split
from gantrain.features.base import Extractor, Features, default_features
from gantrain.features.tools.stored import stored_features
from gantrain.metrics.game import Game
from gantrain.metrics.suite import Suite
from gantrain.registry import build

T = TypeVar("T")
Side = tuple[Tensor, Tensor | None]  # samples [n, ...] and their labels [n]
CHUNK = 500  # samples sent through a network at a time
BYTES = 2**26  # of the activations of an extractor at a time: more of them leave a processor's caches
GPU_BYTES = 2**30


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
        substitute: Samples [n, ...] and their labels in place of those of the game's ``G``, or what
            returns them once they are read, or None.
        reference: Samples [n, ...] and their labels in place of held-out ones, likewise.
        is_balanced: Whether training shows every class equally often, as these held-out samples do not.
        feature_source: What ``features`` are.
        read_features: Returns ``features_of_sides`` where they are known already, or None.
        read_fake_logits: Returns D's logits on fresh samples where they are known already, or None.
    """

    data: Data
    suite: Suite
    device: torch.device
    seed: int
    players: Game | None = None
    conditional: bool = False
    substitute: Side | Callable[[], Side] | None = field(default=None, repr=False)
    reference: Side | Callable[[], Side] | None = field(default=None, repr=False)
    is_balanced: bool = False
    feature_source: Features = field(default_factory=lambda: build("features", {"name": "auto"}))
    read_features: Callable[[], tuple[Tensor, Tensor]] | None = field(default=None, repr=False, compare=False)
    read_fake_logits: Callable[[], Tensor] | None = field(default=None, repr=False, compare=False)
    _results: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def with_circumstances(self, protocol: Mapping[str, object]) -> dict[str, object]:
        """Return a metric's protocol with what else holds for this evaluation: networks, split and training."""
        stated = dict(protocol)
        if self.players is None:
            stated["G"] = "samples of files"
        elif stated.get("G") == "averaged weights" and not self.players.is_averaged:
            stated["G"] = "live weights"
        if self.players is not None and self.data.within is not None and "split" in stated:
            stated["split"] = "training samples, none are held out"
        return stated | ({"train": "equal shares of classes"} if self.is_balanced else {})

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
        return part.take(self.order(part, n), self.device)

    def order(self, part: Split, n: int) -> Tensor:
        """Return which ``n`` samples of a split ``subset`` takes."""
        # A separate generator, so that evaluating leaves every other random draw unchanged.
        return torch.randperm(len(part), generator=torch.Generator().manual_seed(self.seed))[:n]

    @cached_property
    def real(self) -> tuple[Tensor, Tensor | None]:
        """Held-out samples [n, ...] and their labels [n]."""
        side = self.reference() if callable(self.reference) else self.reference
        return side or self.subset(self.data.holdout, self.n)

    @cached_property
    def fake(self) -> tuple[Tensor, Tensor | None]:
        """Samples of ``G`` [n, ...] and the labels they were generated for, which are those of ``real``."""
        side = self.substitute() if callable(self.substitute) else self.substitute
        if side:
            return side
        x, y = self.generate(self.game.G, self.real[1], "evaluate")
        return bounded(x), y

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

    @property
    def extractor(self) -> Extractor:
        """What maps samples to features."""
        return self.feature_source.extractor(self.data, self.device)

    def features(self, x: Tensor) -> Tensor:
        """Return the features [N, d] of samples [N, ...], float64, by which metrics compare them."""
        extractor = self.extractor
        budget = BYTES if x.device.type == "cpu" else GPU_BYTES
        size = max(1, min(CHUNK, budget // extractor.bytes_per_sample))
        # A run's precision is that of its own networks: features are the same in every run.
        with full_float32(x.device):
            return torch.cat([in_double(extractor(part)) for part in x.split(size)])

    def features_at(self, part: Split, index: Tensor) -> Tensor:
        """Return ``features`` of the samples of a split at ``index``, few of which are in memory at a time."""
        size = max(1, min(CHUNK, BYTES // (4 * self.data.spec.numel)))
        return torch.cat([self.features(part.take(i, self.device)[0]) for i in index.split(size)])

    def features_of_real(self, x: Tensor) -> Tensor:
        """Return ``features`` of real samples; those of a published network, which takes long, are cached."""
        if not self.feature_source.is_published:
            return self.features(x)
        return in_double(stored_features(self.extractor, x, self.features))

    @cached_property
    def features_of_sides(self) -> tuple[Tensor, Tensor]:
        """The features of held-out data and of samples, both [n, d]."""
        if self.read_features is not None:
            return self.read_features()
        return self.features_of_real(self.real[0]), self.features(self.fake[0])

    @property
    def feature_name(self) -> str:
        """The name of the features, ``coordinates`` for those of points."""
        spec, name = self.data.spec, self.feature_source.name
        name = default_features(spec) if name == "auto" else name
        return "coordinates" if name == "pixels" and not spec.is_image else name

    @cached_property
    def tag_suffix(self) -> str:
        """What the tags of metrics that read features end in: ``/NAME``, or nothing for the default features."""
        return tag_suffix(self.feature_source, self.data.spec)

    def once(self, compute: Callable[[Evaluation], T]) -> T:
        """Return ``compute(self)``, computed once for all numbers and figures of this evaluation."""
        if compute not in self._results:
            self._results[compute] = compute(self)
        return self._results[compute]

    def of_train(self) -> Evaluation:
        """Return the evaluation of training data in place of samples."""
        return replace(self, substitute=self.subset(self.data.train, min(self.n, len(self.data.train))))


def tag_suffix(features: Features, spec: Spec) -> str:
    """Return ``/NAME`` of features that are not those that ``features=auto`` picks for these data; else nothing."""
    return "" if features.name in ("auto", default_features(spec)) else f"/{features.name}"
