"""Coverage of the data's modes, where these are known."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.errors import share_error
from gantrain.metrics.tools.mode_counts import describe_counts, mode_errors, mode_estimates
from gantrain.registry import option, register


def counts_near_modes(x: Tensor, modes: Tensor, std: float | Tensor, within: float = 3.0) -> Tensor:
    """Return how many samples of high quality each mode has, shape [K], by PacGAN's rule (Lin et al. 2018, sec. 4.1).

    A sample of x [N, d] is of high quality if it lies strictly within ``within`` standard deviations of the nearest of
    ``modes`` [K, d], which share one ``std`` or have one each, [K].
    """
    distance, nearest = torch.cdist(x.double(), modes.to(x).double()).min(1)
    good = distance < within * torch.as_tensor(std).to(distance).expand(len(modes))[nearest]
    return torch.bincount(nearest[good], minlength=len(modes)).cpu()


def count_modes(x: Tensor, modes: Tensor, std: float | Tensor, within: float = 3.0) -> dict[str, float]:
    """Return PacGAN's three numbers of samples x [N, d]: see ``counts_near_modes`` and ``describe_counts``."""
    counts = counts_near_modes(x, modes, std, within)
    return describe_counts(counts) | {"high_quality": float(counts.sum()) / len(x)}


@register("metric")
@dataclass
class Modes(Metric):
    """Modes with a sample, the share of samples near a mode, and how uneven their histogram is (PacGAN's protocol)."""

    name: str = option("modes", "registered name")
    tags = ("diversity/modes", "diversity/mode_kl", "fidelity/high_quality")
    compares_real = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        has_modes = run.density is not None and len(run.density.modes) > 1
        return None if has_modes else "this data has no known modes"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        density = evaluation.data.density
        assert density is not None  # as ``why_unsupported`` requires
        return {"within": "3 sd", "n": evaluation.n, "of": len(density.modes), "G": "averaged weights"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        n, counts = len(evaluation.fakes), evaluation.once(counts_of_fakes)
        share = float(counts.sum()) / n
        values = mode_estimates(counts, n) | {"high_quality": Estimate(share, n=n)}
        return {tag: values[tag.split("/")[1]] for tag in self.tags}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        n, counts = len(evaluation.fakes), evaluation.once(counts_of_fakes)
        values = mode_errors(counts, n, evaluation.seed)
        values["high_quality"] = share_error(float(counts.sum()) / n, n)
        return {tag: values[tag.split("/")[1]] for tag in self.tags}


def counts_of_fakes(evaluation: Evaluation) -> Tensor:
    """Return how many samples of high quality each mode of the data has, shape [K]."""
    density = evaluation.data.density
    assert density is not None  # as ``why_unsupported`` requires
    return counts_near_modes(evaluation.fake[0], density.modes, density.std)
