"""Whether a generator covers the data or seeks a mode: how widely it spreads, and both densities as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.metrics.base import SAMPLES, Evaluation, Metric, RunSpec
from gantrain.metrics.exact import why_not_integrable
from gantrain.metrics.theory.gradients import curve
from gantrain.metrics.tools.quadrature import density_of_data, density_of_generator, samples
from gantrain.registry import option, register

if TYPE_CHECKING:
    from PIL.Image import Image


POINTS = 600  # at which densities on a line are drawn
CLOUD = 20_000  # samples that show the density of a generator without one


@register("metric")
@dataclass
class Spread(Metric):
    """Standard deviation of samples over that of held-out points, all coordinates together.

    The Gaussian of least KL(p, q) has the data's moments, so its spread is 1; that of one that seeks a mode is less.
    """

    name: str = option("spread", "registered name")
    tags = ("diversity/spread",)
    shared_protocol = SAMPLES | {
        "features": "coordinates",
        "G": "averaged weights; live weights in the figure",
    }

    def why_unsupported(self, run: RunSpec) -> str | None:
        return why_not_integrable(run)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        fake, real = (x.double().var(0).sum().sqrt() for x in (evaluation.fake[0], evaluation.real[0]))
        return {"diversity/spread": float(fake / real)}

    def figures(self, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
        """Return ``densities`` on a line: p and q, and the way of q's mean and standard deviation where it has them."""
        if evaluation.data.spec.numel > 1:
            return {}
        cloud = samples(evaluation, CLOUD, "densities")
        low, high = _frame_ends(evaluation.real[0].cpu().double(), cloud)
        x = torch.linspace(low, high, POINTS, dtype=torch.float64)[:, None]
        log_q = density_of_generator(evaluation)
        if log_q is None:
            counts = torch.histc(cloud.flatten(), POINTS // 5, low, high).repeat_interleave(5)
            q = counts * (POINTS // 5) / ((high - low) * CLOUD)
        else:
            q = log_q(x).exp()
        return {
            "densities": render(_densities(x[:, 0], density_of_data(evaluation.data)(x).exp(), q, history))
        }


def _frame_ends(*clouds: Tensor) -> tuple[float, float]:
    """Return the ends of a frame around points [N, 1], without the last thousandths of their spread."""
    ends = torch.stack([torch.quantile(x, at) for x in clouds for at in (0.001, 0.999)])
    margin = 0.1 * float(ends.max() - ends.min())
    return float(ends.min()) - margin, float(ends.max()) + margin


def _densities(x: Tensor, p: Tensor, q: Tensor, history: Sequence[Mapping[str, float]]) -> Any:
    steps, mu = curve(history, "generator/mu")
    _, sigma = curve(history, "generator/sigma")
    figure, axes = panels(2 if steps else 1, width=4.8, height=3.6)
    for density, name, colour in ((p, "p, the data", "black"), (q, "q, the generator", "goldenrod")):
        axes[0].fill_between(x.numpy(), density.numpy(), color=colour, alpha=0.15)
        axes[0].plot(x.numpy(), density.numpy(), color=colour, label=name)
    axes[0].set(xlabel="x", ylabel="density", ylim=(0, None))
    axes[0].legend(fontsize=8)
    for ax in axes[1:]:
        ends = [[m + sign * s for m, s in zip(mu, sigma, strict=True)] for sign in (-1, 1)]
        ax.fill_between(steps, *ends, color="goldenrod", alpha=0.3, label="mean ± standard deviation of q")
        ax.plot(steps, mu, color="goldenrod")
        ax.set(xlabel="step", ylabel="x", ylim=(float(x[0]), float(x[-1])))
        ax.legend(fontsize=8)
    return figure
