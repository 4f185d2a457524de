"""What a metric is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL.Image import Image

from gantrain.augment.base import Augmentation
from gantrain.core.estimate import Estimate
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Density
from gantrain.features.base import Features
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.objectives.base import Objective
from gantrain.registry import build

# Every scalar so far, ``{"step": …, tag: value}`` for each step that had any, oldest first.
History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class RunSpec:
    """What decides which metrics a run supports, before its data are loaded and after.

    Attributes:
        spec: Shape and classes of the data.
        objective: What the game is; None where there are samples alone.
        conditional: Whether samples are generated for conditions.
        couples_samples: Whether D looks across the samples of a batch.
        tractable: Whether G knows its density.
        z_dim: Dimension of G's latent z; 0 without a G.
        density: The data's density, if it is known.
        data: The data, once they are loaded.
        features: What metrics that read features read.
        augment: The augmentation of D's inputs.
        n: Samples on each side, at most, as far as it is known.
    """

    spec: Spec
    objective: Objective | None = None
    conditional: bool = False
    couples_samples: bool = False
    tractable: bool = False
    z_dim: int = 0
    density: Density | None = None
    data: Data | None = None
    features: Features = field(default_factory=lambda: build("features", {"name": "auto"}))
    augment: Augmentation = field(default_factory=lambda: build("augment", {"name": "none"}))
    n: int = Suite.n


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
        reads_features: Whether it compares ``features_of_sides``; its tags then end in the name of features that are
            not the default.
        is_demonstration: Whether it shows a point of theory and is no part of ``metric=full``.
    """

    name: str
    tags: Sequence[str] = ()
    shared_protocol: Mapping[str, object] = SAMPLES
    has_floor: bool = True
    compares_real: bool = True
    needs_game: bool = False
    needs_d: bool = False
    reads_features: bool = False
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
        own: dict[str, object] = {"n": evaluation.n, **self.shared_protocol}
        if self.reads_features:
            extractor = evaluation.extractor
            own |= {"features": evaluation.feature_name, "features_dimension": extractor.dimension}
            own |= {f"features_{key}": value for key, value in extractor.protocol.items()}
        return own

    @abstractmethod
    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``{tag: value}``, called under inference mode.

        An ``Estimate`` that has an error logs it at every evaluation, as ``<tag>_se``.
        """

    def variance_between_pools(self, split: Evaluation) -> dict[str, float]:
        """Return how much the mean reading of a pool's splits varies between pools of real samples, by tag.

        It is an unbiased estimate from one split, which may be below 0. Most metrics have none: what splits of one pool
        share is little beside what they do not.
        """
        return {}

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
