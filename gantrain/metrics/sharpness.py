"""Whether samples are as sharp as the data: how strongly neighbouring pixels differ."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import CHUNK, SAMPLES, Evaluation, Metric, RunSpec
from gantrain.registry import option, register


def sharpness(x: Tensor) -> float:
    """Return the variance of the discrete Laplacian in each channel of images [N, C, H, W], averaged over N and C.

    The focus measure of Pech-Pacheco et al. (2000), with the 4-neighbour Laplacian where all neighbours exist. It
    grows with the square of contrast and is independent of brightness.
    """
    x = x.cpu().double()
    # x_left + x_right + x_above + x_below - 4 x at each inner pixel, [N, C, H - 2, W - 2].
    across = x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    down = x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    edges = across + down - 4 * x[..., 1:-1, 1:-1]
    return float(edges.flatten(2).var(2, correction=0).mean())


@register("metric")
@dataclass
class Sharpness(Metric):
    """Sharpness of samples over that of held-out data: 1 is as sharp, below 1 blur or low contrast, above 1 noise."""

    name: str = option("sharpness", "registered name")
    tags = ("fidelity/sharpness",)
    shared_protocol = SAMPLES | {"features": "variance of the 4-neighbour Laplacian"}

    def why_unsupported(self, run: RunSpec) -> str | None:
        if not run.spec.is_image or min(run.spec.shape[1:]) < 4:
            return "sharpness needs images of at least 4x4 pixels"
        if run.data is None:
            return None
        parts = torch.arange(len(run.data.holdout)).split(CHUNK)
        flat = all(bool((x == x[..., :1, :1]).all()) for x, _ in map(run.data.holdout.take, parts))
        return "the held-out images are flat, each of one colour" if flat else None

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        scale = sharpness(evaluation.real[0])  # 0 where the images of this evaluation are flat
        return {"fidelity/sharpness": sharpness(evaluation.fake[0]) / scale} if scale > 0 else {}
