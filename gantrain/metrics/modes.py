"""Coverage of the data's modes, where these are known."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.registry import option, register


def count_modes(x: Tensor, modes: Tensor, std: float | Tensor, within: float = 3.0) -> dict[str, float]:
    """Return PacGAN's three numbers (Lin et al. 2018, sec. 4.1 and their released code).

    A sample of x [N, d] is of high quality if it lies strictly within ``within`` standard deviations of the nearest of
    ``modes`` [K, d], which share one ``std`` or have one each, [K]. ``modes`` counts those with such a sample;
    ``mode_kl`` is KL(histogram of these samples, uniform) in nats.
    """
    distance, nearest = torch.cdist(x.double(), modes.to(x).double()).min(1)
    good = distance < within * torch.as_tensor(std).to(distance).expand(len(modes))[nearest]
    counts = torch.bincount(nearest[good], minlength=len(modes)).double()
    share = counts[counts > 0] / counts.sum()
    # KL(histogram, uniform) = log K - H; the H of no samples is 0.
    kl = math.log(len(modes)) + float((share * share.log()).sum())
    return {"modes": float((counts > 0).sum()), "high_quality": float(good.double().mean()), "mode_kl": kl}


@register("metric")
@dataclass
class Modes(Metric):
    """Modes with a sample, the share of samples near a mode, and how uneven their histogram is (PacGAN's protocol)."""

    name: str = option("modes", "registered name")
    tags = ("diversity/modes", "diversity/mode_kl", "fidelity/high_quality")

    def why_unsupported(self, run: RunSpec) -> str | None:
        has_modes = run.density is not None and len(run.density.modes) > 1
        return None if has_modes else "this data has no known modes"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        density = evaluation.data.density
        assert density is not None  # as ``why_unsupported`` requires
        return {"within": "3 sd", "n": evaluation.n, "of": len(density.modes), "G": "averaged weights"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        density = evaluation.data.density
        assert density is not None  # as ``why_unsupported`` requires
        values = count_modes(evaluation.fake[0], density.modes, density.std)
        return {tag: values[tag.split("/")[1]] for tag in self.tags}
