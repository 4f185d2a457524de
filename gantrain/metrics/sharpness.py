"""Whether samples are as sharp as the data: how strongly neighbouring pixels differ."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import SAMPLES, Evaluation, Metric, RunSpec
from gantrain.metrics.evaluation import in_double
from gantrain.metrics.tools.errors import ratio_error
from gantrain.registry import option, register

NUMBERS = 2**18  # pixels in memory at a time, in double precision


def sharpness_of_each(x: Tensor) -> Tensor:
    """Return the variance of the discrete Laplacian of images [N, C, H, W], averaged over channels, float64 [N].

    The focus measure of Pech-Pacheco et al. (2000), with the 4-neighbour Laplacian where all neighbours exist. It
    grows with the square of contrast and is independent of brightness.
    """
    parts = []
    for part in x.split(max(1, NUMBERS // x[0].numel())):
        part = in_double(part)
        # x_left + x_right + x_above + x_below - 4 x at each inner pixel, [n, C, H - 2, W - 2].
        across = part[..., 1:-1, :-2] + part[..., 1:-1, 2:]
        down = part[..., :-2, 1:-1] + part[..., 2:, 1:-1]
        edges = across + down - 4 * part[..., 1:-1, 1:-1]
        parts.append(edges.flatten(2).var(2, correction=0).mean(1))
    return torch.cat(parts)


def sharpness(x: Tensor) -> float:
    """Return the mean of ``sharpness_of_each``."""
    return float(sharpness_of_each(x).mean())


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
        parts = torch.arange(len(run.data.holdout)).split(max(1, NUMBERS // run.spec.numel))
        flat = all(bool((x == x[..., :1, :1]).all()) for x, _ in map(run.data.holdout.take, parts))
        return "the held-out images are flat, each of one colour" if flat else None

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = evaluation.once(sharpness_of_sides)
        # The scale is 0 where the images of this evaluation are flat.
        ratio = float(fake.mean() / real.mean()) if real.any() else None
        return {} if ratio is None else {"fidelity/sharpness": Estimate(ratio, n=len(fake))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = evaluation.once(sharpness_of_sides)
        return {"fidelity/sharpness": ratio_error(fake, real)} if real.any() else {}


def sharpness_of_sides(evaluation: Evaluation) -> tuple[Tensor, Tensor]:
    """Return the sharpness of each held-out image and of each sample, both [n]."""
    size = max(1, NUMBERS // evaluation.data.spec.numel)
    real, fake = (
        torch.cat([sharpness_of_each(part) for part in side.parts(size)])
        for side in (evaluation.reals, evaluation.fakes)
    )
    return real, fake
