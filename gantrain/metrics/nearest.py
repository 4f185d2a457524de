"""Whether samples are copies of training data: their distance to the nearest of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.datasets.base import Split
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.evaluation import in_double
from gantrain.metrics.side import Side
from gantrain.metrics.tools.errors import bootstrap
from gantrain.metrics.tools.pair_distances import MAX_TREE_DIMENSIONS, tree_of
from gantrain.registry import option, register

MAX_SAMPLES = 500  # in a median
BYTES = (
    2**25
)  # of the training samples that are in memory at a time, and of their distances; more is slower too
FEATURE_BYTES = 2**28  # of the training samples' features, which are kept


def nearest(x: Tensor, train: Split, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the Euclidean distance of each sample [N, ...] to its nearest training sample, float64 [N], and which.

    The distance is computed from the differences, however the nearest was found, so that a copy is at exactly 0.

    Args:
        x: The samples.
        train: The training samples, two at least where ``own`` are left out.
        own: Which training sample each is itself, [N], that does not count; None where they are others.
    """
    x = in_double(x.flatten(1))
    is_small = x.shape[1] <= MAX_TREE_DIMENSIONS and train.file is None and own is None
    index = by_tree(x, train) if is_small else by_product(x, train, own)
    size = max(1, BYTES // (8 * sum(x.shape)))
    pairs = zip(x.split(size), index.to(train.x.device).split(size), strict=True)
    return torch.cat([(part - train.take(i, x.device)[0].flatten(1)).norm(dim=1) for part, i in pairs]), index


def by_tree(x: Tensor, train: Split) -> Tensor:
    """Return the index of the nearest training sample of each x, float64 [N, d], for few dimensions."""
    rows, _ = train.take(torch.arange(len(train)))
    tree = tree_of(rows.flatten(1))
    # A sample that is no number is near to none; the first stands for it.
    index = torch.from_numpy(tree.query(x.cpu().nan_to_num().numpy())[1])
    return index.to(x.device)


def by_product(x: Tensor, train: Split, own: Tensor | None = None) -> Tensor:
    """Return the index of the nearest training sample of each x, float64 [N, d], but for its ``own``.

    It is chosen by matrix product, ten times as fast as from differences, with an error below the resolution of
    float32 data.
    """

    def rows(start: int, stop: int) -> Tensor:
        index = torch.arange(start, min(stop, len(train)))
        return train.take(index, x.device)[0].flatten(1).double()

    size = max(1, BYTES // (8 * sum(x.shape)))
    middle = rows(0, size).mean(0)  # of small vectors the matrix product has the smallest rounding errors
    centred = x - middle
    own = None if own is None else own.to(x.device)
    best = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    index = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for i in range(0, len(train), size):
        gaps = torch.cdist(centred, rows(i, i + size).sub_(middle), compute_mode="use_mm_for_euclid_dist")
        if own is not None:
            inside = ((own >= i) & (own < i + size)).nonzero()[:, 0]
            gaps[inside, own[inside] - i] = torch.inf
        gap, pick = gaps.min(1)
        index = torch.where(gap < best, pick + i, index)
        best = torch.minimum(gap, best)
    return index


@dataclass(frozen=True)
class TrainingSpace:
    """Training samples among which the nearest one is found.

    Attributes:
        rows: What is searched: their features, or the samples themselves.
        search: What these are, for a protocol: ``features`` or ``pixels``.
        index: Which training samples they are, [rows], where they are not all; else None.
    """

    rows: Split
    search: str
    index: Tensor | None = None

    @classmethod
    def of(cls, evaluation: Evaluation) -> TrainingSpace:
        """Compute the features of as many training samples as 256 MiB hold; none where samples are their own."""
        train, d = evaluation.data.train, evaluation.extractor.dimension
        is_plain = evaluation.feature_name in ("pixels", "coordinates")
        if is_plain and d == evaluation.data.spec.numel:
            return cls(train, "features")
        if evaluation.feature_source.is_published:
            return cls(train, "pixels")
        most, index = FEATURE_BYTES // (4 * d), torch.arange(len(train))
        if most < len(train):
            index = (
                torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:most].sort().values
            )
        rows = evaluation.features_of_split(train, index).cpu()
        return cls(Split(rows), "features", None if len(index) == len(train) else index)

    def _places(self, own: Tensor | None) -> Tensor | None:
        """Return where training samples are in ``rows``, -1 for those that are not there."""
        if own is None or self.index is None:
            return own
        places = torch.searchsorted(self.index, own).clamp(max=len(self.index) - 1)
        return torch.where(self.index[places] == own, places, -1)

    def distances(self, evaluation: Evaluation, side: Side, own: Tensor | None = None) -> Tensor:
        """Return the distance in features of the first samples of a side to their nearest training sample, [N]."""
        side, train = side.in_order(torch.arange(min(MAX_SAMPLES, len(side)))), evaluation.data.train
        if self.rows is train:
            found, which = nearest(side.x, train, own)
            if self.search == "features":
                return found.cpu()
        features = evaluation.features(side)
        if self.rows is not train:
            which = by_product(features, self.rows, self._places(own))
            which = which if self.index is None else self.index.to(which.device)[which]
        # Computed anew in chunks of the same size, so that the features of a copy have the same bits.
        others = evaluation.features(
            Side.of_split(train, which.cpu(), evaluation.device, evaluation.data.spec)
        )
        return (features - others).norm(dim=1).cpu()


@register("metric")
@dataclass
class Nearest(Metric):
    """Median distance of samples to their nearest training sample in features, over that of held-out data.

    1 is as far from the training data as new data are; below 1 is copying, 0 copies only; above 1 is off the data, as
    noise is. Averages of a few training images are below 1 too, and then in ``fidelity/sharpness`` as well. For points
    of few dimensions it measures how dense the data are where samples fall. On at most 500 samples a side. Where no
    data are held out, the yardstick is the distance of the data to the nearest other one. A published network would
    take long for all training samples: the nearest is then found by pixels, and only its distance is one of features.
    """

    name: str = option("nearest", "registered name")
    reads_features = True
    tags = ("fidelity/nearest_distance",)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        space = self.space(evaluation)
        return super().protocol(evaluation) | {
            "n": min(MAX_SAMPLES, evaluation.n),
            "train": len(space.rows),
            "nearest_by": space.search,
            "holdout_distance": self.holdout_distance(evaluation),
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        scale = self.holdout_distance(evaluation)
        if scale == 0:  # half of the held-out data are training data too
            return {}
        fake = evaluation.once(self.distances_of_fakes)
        return {"fidelity/nearest_distance": Estimate(float(fake.median()) / scale, n=len(fake))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = self.holdout_distances(evaluation), evaluation.once(self.distances_of_fakes)

        def ratio(pairs: Tensor) -> Tensor:
            return fake[pairs].median(1).values / real[pairs].median(1).values

        error = bootstrap(ratio, min(len(real), len(fake)), evaluation.seed)
        return {tag: error for tag in self(evaluation) if isfinite(error)}

    def known_floors(self, evaluation: Evaluation) -> dict[str, Estimate]:
        """Return that of held-out data, which are the yardstick: 1, and the error of two draws of them."""
        real = self.holdout_distances(evaluation)

        def ratio(draws: Tensor) -> Tensor:
            return real[draws].median(1).values / real[draws.flip(0)].median(1).values

        error = bootstrap(ratio, len(real), evaluation.seed)
        tags = self.tags if isfinite(error) else ()
        return {tag: Estimate(1.0, error, len(real)) for tag in tags}

    def holdout_distance(self, evaluation: Evaluation) -> float:
        """Return held-out data's median distance to their nearest training sample."""
        return float(self.holdout_distances(evaluation).median())

    def holdout_distances(self, evaluation: Evaluation) -> Tensor:
        """Return held-out data's distances to their nearest training samples, computed once a run."""
        key = evaluation.n, evaluation.seed, evaluation.feature_name
        last = getattr(self, "_last", None)
        if last is None or last[0] is not evaluation.data or last[1] != key:
            data, own = evaluation.data, None
            if data.within is not None:
                own = data.within[evaluation.order(data.holdout, evaluation.n)][:MAX_SAMPLES]
            distances = self.space(evaluation).distances(evaluation, evaluation.reals, own)
            self._last = last = (evaluation.data, key, distances)
        return last[2]

    def distances_of_fakes(self, evaluation: Evaluation) -> Tensor:
        """Return the distances of samples of G to their nearest training samples."""
        return self.space(evaluation).distances(evaluation, evaluation.fakes)

    def space(self, evaluation: Evaluation) -> TrainingSpace:
        """Return the training samples as they are compared, computed once a run."""
        key, last = evaluation.feature_name, getattr(self, "_last_space", None)
        if last is None or last[0] is not evaluation.data or last[1] != key:
            self._last_space = last = (evaluation.data, key, TrainingSpace.of(evaluation))
        return last[2]
