"""The arms of the comparison: what a classifier is trained on in each, and how it is trained.

Arms are paired: under one seed they share the initial weights, the order of classes and the real rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Split
from gantrain.features.tools import classifier

SHIFT = 8  # a picture is shifted by up to an eighth of its sides
TREES = 100  # of each class, in gradient boosting


@dataclass(frozen=True)
class Arm:
    """What one classifier is trained on; of two sources, half of each batch comes from each."""

    name: str
    has_real: bool = True
    has_synthetic: bool = False
    is_augmented: bool = False


REAL = Arm("real")
AUGMENTED = Arm("real + flips and shifts", is_augmented=True)
BOTH = Arm("real + synthetic", has_synthetic=True)
SYNTHETIC = Arm("synthetic", has_real=False, has_synthetic=True)


def arms_for(spec: Spec) -> list[Arm]:
    """Return the arms for data: points are not flipped or shifted."""
    return [REAL, *[AUGMENTED] * spec.is_image, BOTH, SYNTHETIC]


@dataclass(frozen=True)
class Source:
    """Labelled samples that an arm draws from, every class as often as any other.

    Attributes:
        split: The samples.
        rows: Which of them may be drawn, [N].
    """

    split: Split
    rows: Tensor

    @cached_property
    def labels(self) -> Tensor:
        """The class of each row, [N]."""
        assert self.split.y is not None  # only labelled data are classified
        return self.split.y.cpu()[self.rows]

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return the samples at places [n] in ``rows``, as float32, and their classes."""
        x, y = self.split.take(self.rows[places])
        assert y is not None
        return x, y

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return the places of ``n`` random samples, each of a random class among those that there are."""
        order, counts = self._by_class
        classes = torch.randint(len(counts), (n,), generator=generator)
        within = (torch.rand(n, generator=generator, dtype=torch.float64) * counts[classes]).long()
        return order[(counts.cumsum(0) - counts)[classes] + within]

    @cached_property
    def _by_class(self) -> tuple[Tensor, Tensor]:
        """The places in the order of their classes, and how many each class has that has any."""
        return self.labels.argsort(stable=True), self.labels.unique(return_counts=True)[1]


def predictions(arm: Arm, spec: Spec, real: Source, synthetic: Source, test: Tensor, seed: int) -> Tensor:
    """Return the class of each test sample [N, ...], according to a classifier that this arm has trained.

    Pictures: the small convolutional network of ``features=classifier``, as many steps in each arm. Points: gradient
    boosting (scikit-learn), on a bootstrap of the real rows, since it has no other randomness.
    """
    sources = [real] * arm.has_real + [synthetic] * arm.has_synthetic
    if spec.is_image:
        return _by_network(spec, sources, test, arm.is_augmented, seed)
    return _by_boosting(sources, real, test, seed)


def _by_network(spec: Spec, sources: list[Source], test: Tensor, is_augmented: bool, seed: int) -> Tensor:
    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        n = classifier.BATCH // len(sources)
        parts = [source.take(source.draw(n, generator)) for source in sources]
        x, y = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        return (flip_and_shift(x, generator) if is_augmented else x), y

    network = classifier.fit(spec, draw, classifier.STEPS, seed)
    return classifier.predict(network, test)


def flip_and_shift(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return images [N, C, H, W], half of them mirrored, each shifted by up to an eighth, edges repeated."""
    n, (h, w) = len(x), x.shape[-2:]
    is_flipped = torch.rand(n, generator=generator) < 0.5
    x = torch.where(is_flipped[:, None, None, None], x.flip(-1), x)
    for dim, size in ((2, h), (3, w)):
        most = max(1, size // SHIFT)
        by = torch.randint(-most, most + 1, (n,), generator=generator)
        index = (torch.arange(size) - by[:, None]).clamp(0, size - 1)  # [N, size]
        shape = [n, 1, size, 1] if dim == 2 else [n, 1, 1, size]
        x = x.gather(dim, index.view(shape).expand_as(x))
    return x


def _by_boosting(sources: list[Source], real: Source, test: Tensor, seed: int) -> Tensor:
    from sklearn.ensemble import HistGradientBoostingClassifier

    generator = torch.Generator().manual_seed(seed)
    bootstrap = _bootstrap_by_class(real.labels, generator)
    x, y = [], []
    for source in sources:
        points, labels = source.take(bootstrap if source is real else torch.arange(len(source.rows)))
        x.append(points.flatten(1).double().numpy())
        y.append(labels.numpy())
    model = HistGradientBoostingClassifier(max_iter=TREES, random_state=seed, class_weight="balanced")
    model.fit(np.concatenate(x), np.concatenate(y))
    return torch.from_numpy(model.predict(test.flatten(1).double().numpy()).astype(np.int64))


def _bootstrap_by_class(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return as many places of each class as it has, drawn with replacement, so that none is lost."""
    parts = []
    for label in labels.unique():
        places = (labels == label).nonzero()[:, 0]
        parts.append(places[torch.randint(len(places), (len(places),), generator=generator)])
    return torch.cat(parts)
