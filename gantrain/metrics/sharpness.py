"""Whether samples are as sharp as the data: how strongly neighbouring pixels differ."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.metrics.base import CHUNK, Evaluation, Metric, Planned
from gantrain.registry import option, register


def sharpness(x: Tensor) -> float:
    """Return the variance of the discrete Laplacian inside each channel of each image, averaged over both.

    The focus measure of Pech-Pacheco et al. (2000), with the 4-neighbour Laplacian where all neighbours exist. It
    grows with the square of contrast and does not see brightness.

    Args:
        x: Images, shape [N, C, H, W], sides at least 3.
    """
    x = x.cpu().double()
    across = x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    down = x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    edges = across + down - 4 * x[..., 1:-1, 1:-1]
    return float(edges.flatten(2).var(2, correction=0).mean())


@register("metric")
@dataclass
class Sharpness(Metric):
    """Sharpness of samples over that of held-out data: 1 is as sharp, below 1 blur or low contrast, above 1 noise."""

    name: str = option("sharpness", "registered name")

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: there must be pixels with neighbours, and they must differ."""
        if not data.spec.is_image or min(data.spec.shape[1:]) < 4:
            return "sharpness is read from images of 4x4 pixels and more"
        parts = torch.arange(len(data.holdout)).split(CHUNK)
        flat = all(bool((x == x[..., :1, :1]).all()) for x, _ in map(data.holdout.take, parts))
        return "the held-out images are flat, each of one colour" if flat else None

    def expected(self, run: Planned) -> list[str]:
        """Return the sharpness, for images with neighbours enough."""
        return ["fidelity/sharpness"] if run.spec.is_image and min(run.spec.shape[1:]) >= 4 else []

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return features, n and split."""
        return {
            "features": "variance of the 4-neighbour Laplacian",
            "n": evaluation.n,
            "split": "holdout",
            "G": "averaged weights",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``fidelity/sharpness``; nothing where the held-out images that were drawn are flat."""
        known = sharpness(evaluation.real[0])
        return {"fidelity/sharpness": sharpness(evaluation.fake[0]) / known} if known > 0 else {}
