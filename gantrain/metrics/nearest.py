"""Whether samples are copies of training data: their distance to the nearest of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.datasets.base import Split
from gantrain.metrics.base import Evaluation, Metric
from gantrain.registry import option, register

MAX_SAMPLES, ROWS = 500, 10_000  # samples in a median; training samples in memory at a time


def nearest(x: Tensor, train: Split) -> tuple[Tensor, Tensor]:
    """Return the Euclidean distance of each sample [N, ...] to its nearest training sample, float64 [N], and which.

    The nearest of a chunk is chosen by matrix product, ten times as fast, with an error below the resolution of float32
    data; its distance is then computed from the differences, so that a copy is at exactly 0.
    """
    x = (x.cpu() if x.device.type == "mps" else x).flatten(1).double()  # Apple's GPUs have no float64
    best = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    index = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for i in range(0, len(train), ROWS):
        part = train.take(torch.arange(i, min(i + ROWS, len(train))), x.device)[0].flatten(1).double()
        middle = part.mean(0)  # of small vectors the matrix product has the smallest rounding errors
        pick = torch.cdist(x - middle, part - middle, compute_mode="use_mm_for_euclid_dist").argmin(1)
        distance = (x - part[pick]).norm(dim=1)
        index = torch.where(distance < best, pick + i, index)
        best = torch.minimum(distance, best)
    return best, index


@register("metric")
@dataclass
class Nearest(Metric):
    """Median distance of samples to their nearest training sample, over that of held-out data.

    1 is as far from the training data as new data are; below 1 is copying, 0 copies only; above 1 is off the data, as
    noise is. Averages of a few training images are below 1 too, and then in ``fidelity/sharpness`` as well. For points
    of few dimensions it measures how dense the data are where samples fall. On at most 500 samples a side.
    """

    name: str = option("nearest", "registered name")
    tags = ("fidelity/nearest_distance",)
    has_floor = False  # training data are at 0 from themselves; the held-out side is the yardstick already

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {
            "features": "pixels" if evaluation.data.spec.is_image else "coordinates",
            "n": min(MAX_SAMPLES, evaluation.n),
            "train": len(evaluation.data.train),
            "holdout_distance": self.holdout_distance(evaluation),
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        scale = self.holdout_distance(evaluation)
        if scale == 0:  # half of the held-out data are training data too
            return {}
        distance, _ = nearest(evaluation.fake[0][:MAX_SAMPLES], evaluation.data.train)
        return {"fidelity/nearest_distance": float(distance.median()) / scale}

    def holdout_distance(self, evaluation: Evaluation) -> float:
        """Return held-out data's median distance to their nearest training sample, computed once a run."""
        key = evaluation.n, evaluation.seed
        last = getattr(self, "_last", None)
        if last is None or last[0] is not evaluation.data or last[1] != key:
            distance, _ = nearest(evaluation.real[0][:MAX_SAMPLES], evaluation.data.train)
            self._last = last = (evaluation.data, key, float(distance.median()))
        return last[2]
