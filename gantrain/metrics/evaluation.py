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
from gantrain.core.spec import bounded
from gantrain.datasets.base import Data, Split
from gantrain.features.base import Extractor, Features, default_features, tag_suffix
from gantrain.features.tools.stored import stored_features
from gantrain.metrics.game import Game
from gantrain.metrics.side import (
    BYTES,
    CHUNK,
    Given,
    Side,
    chunk_size,
    given_side,
    in_chunks,
    is_large,
    to_bytes,
)
from gantrain.metrics.suite import Suite
from gantrain.registry import build

T = TypeVar("T")
ACTIVATIONS = 32  # numbers that a network of a run makes of each number of a sample, in its widest layer
MANY = 5000  # samples whose features are worth a cache


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
        substitute: Samples in place of those of the game's ``G``, or what returns them once they are read, or None.
        reference: Samples in place of held-out ones, likewise.
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
    substitute: Given | None = field(default=None, repr=False)
    reference: Given | None = field(default=None, repr=False)
    is_balanced: bool = False
    feature_source: Features = field(default_factory=lambda: build("features", {"name": "auto"}))
    read_features: Callable[[], tuple[Tensor, Tensor]] | None = field(default=None, repr=False, compare=False)
    read_fake_logits: Callable[[], Tensor] | None = field(default=None, repr=False, compare=False)
    _results: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def with_circumstances(self, protocol: Mapping[str, object]) -> dict[str, object]:
        """Return a metric's protocol with what else holds for this evaluation: networks, split and training."""
        stated = dict(protocol)
        if (
            self.players is not None
            and stated.get("G") == "averaged weights"
            and is_large(self.n, self.data.spec)
        ):
            stated["samples"] = "rounded to bytes, as image files have them"
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
        size, packing = self.game.batch or self.chunk, self.game.packing
        return min(max(size, packing), n) // packing * packing

    def subset(self, part: Split, n: int) -> Side:
        """Return ``n`` samples of a split, the same ones for the same seed."""
        return Side.of_split(part, self.order(part, n), self.device, self.data.spec)

    def order(self, part: Split, n: int) -> Tensor:
        """Return which ``n`` samples of a split ``subset`` takes."""
        # A separate generator, so that evaluating leaves every other random draw unchanged.
        return torch.randperm(len(part), generator=torch.Generator().manual_seed(self.seed))[:n]

    @cached_property
    def reals(self) -> Side:
        """Held-out samples."""
        return (
            self.subset(self.data.holdout, self.n) if self.reference is None else given_side(self.reference)
        )

    @cached_property
    def fakes(self) -> Side:
        """Samples of ``G`` for the labels of ``reals``; as bytes where numbers would take too much memory."""
        if self.substitute is not None:
            return given_side(self.substitute)
        drawn = self.generate(self.game.G, self.reals.y, "evaluate")
        parts = [to_bytes(x) if drawn.is_lazy else bounded(x) for x in drawn.parts(self.chunk)]
        return Side.of(torch.cat(parts), drawn.y)

    @property
    def real(self) -> tuple[Tensor, Tensor | None]:
        """Held-out samples [n, ...] and their labels [n]: all at once, which ``reals`` are not where they are large."""
        return self.reals.x, self.reals.y

    @property
    def fake(self) -> tuple[Tensor, Tensor | None]:
        """Samples of ``G`` [n, ...] and the labels they were generated for, which are those of ``real``."""
        return self.fakes.x, self.fakes.y

    def generate(self, G: nn.Module, y: Tensor | None, purpose: str) -> Side:
        """Return ``n`` samples of a generator for labels [n] or None; large ones are drawn as they are read."""
        # z [n, ...] and conditions [n, ...] to samples [n, ...]
        z, c = self.game.latents(self.n, purpose), self.condition(y)

        def read(rows: Tensor) -> Tensor:
            parts = []
            for part in rows.split(self.chunk):
                conditions = None if c is None else c[part.to(c.device)]
                parts.append(G(upload(z[part], self.device), conditions).float())
            return torch.cat(parts)

        return Side(read, y, len(z), is_large(len(z), self.data.spec))

    @property
    def chunk(self) -> int:
        """Samples sent through a network of the run at a time."""
        return chunk_size(4 * ACTIVATIONS * self.data.spec.numel, self.device)

    def logits(self, samples: Tensor | Side, y: Tensor | None) -> Tensor:
        """Return D's logits for samples and labels, float32, one for each sample or pack, label smoothing undone."""
        side = Side.of(samples, y) if isinstance(samples, Tensor) else samples
        game, size = self.game, self._samples_per_call(len(side))
        unit = size if game.batch else game.packing
        whole = len(side) // unit * unit
        c = None if y is None else self.condition(y[:whole])
        used = side if whole == len(side) else side.in_order(torch.arange(whole))
        return game.undo(torch.cat([*in_chunks(game.D, used.parts(size), c, size)]).float())

    def condition(self, y: Tensor | None) -> Tensor | None:
        """Return what the networks see of labels [n, ...]: None if they are not conditional."""
        return y if self.conditional else None

    @property
    def extractor(self) -> Extractor:
        """What maps samples to features."""
        return self.feature_source.extractor(self.data, self.device)

    def features(self, samples: Tensor | Side) -> Tensor:
        """Return the features [N, d] of samples [N, ...], float64, by which metrics compare them."""
        side = Side.of(samples, None) if isinstance(samples, Tensor) else samples
        parts = side.parts(chunk_size(self.extractor.bytes_per_sample, self.device))
        # A run's precision is that of its own networks: features are the same in every run.
        with full_float32(self.device):
            return torch.cat([in_double(self.extractor(part)) for part in parts])

    def features_of_split(self, part: Split, index: Tensor) -> Tensor:
        """Return ``features`` of the samples of a split at ``index``, float32, few of which are in memory at a time.

        Those of many samples, or of a published network, take long and are cached.
        """
        pieces = index.split(max(1, min(CHUNK, BYTES // (4 * self.data.spec.numel))))

        def compute() -> Tensor:
            found = torch.empty(len(index), self.extractor.dimension, device=self.device)
            for piece, place in zip(pieces, found.split(len(pieces[0])), strict=True):
                place.copy_(self.features(part.take(piece, self.device)[0]))
            return found

        is_fast = self.feature_name in ("pixels", "coordinates") or len(index) < MANY
        if is_fast and not self.feature_source.is_published:
            return compute()
        return stored_features(self.extractor, (part.select(piece)[0] for piece in pieces), compute)

    @cached_property
    def features_of_sides(self) -> tuple[Tensor, Tensor]:
        """The features of held-out data and of samples, both [n, d]."""
        if self.read_features is not None:
            return self.read_features()
        part = self.data.holdout
        if self.reference is None and self.feature_source.is_published:
            real = in_double(self.features_of_split(part, self.order(part, self.n)))
        else:
            real = self.features(self.reals)
        return real, self.features(self.fakes)

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
