"""Whether a generator covers the data or seeks a mode: how widely it spreads, and both densities as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation, Metric, Planned
from gantrain.metrics.exact import unknown_density
from gantrain.metrics.theory.gradients import curve
from gantrain.metrics.tools.quadrature import density_of_data, density_of_generator, samples
from gantrain.registry import option, register

if TYPE_CHECKING:
    from PIL.Image import Image


POINTS = 600  # at which densities on a line are drawn
DRAWN = 20_000  # samples that show the density of a generator without one


@register("metric")
@dataclass
class Spread(Metric):
    """Standard deviation of samples over that of held-out points, all coordinates together.

    The Gaussian of least KL(p, q) has the data's moments, so it reads 1; one that seeks a mode reads less.
    """

    name: str = option("spread", "registered name")

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: points on a line or a plane, whose density is known."""
        return unknown_density(data)

    def expected(self, run: Planned) -> list[str]:
        """Return the ratio."""
        return ["diversity/spread"]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return what is compared."""
        return {
            "features": "coordinates",
            "n": evaluation.n,
            "split": "holdout",
            "G": "averaged weights; live weights in the figure",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``diversity/spread``."""
        fake, real = (x.double().var(0).sum().sqrt() for x in (evaluation.fake[0], evaluation.real[0]))
        return {"diversity/spread": float(fake / real)}

    def figures(self, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
        """Return ``densities`` on a line: p and q, and the way of q's mean and standard deviation where it has them."""
        if evaluation.data.spec.numel > 1:
            return {}
        drawn = samples(evaluation, DRAWN, "densities")
        low, high = _shown(evaluation.real[0].cpu().double(), drawn)
        x = torch.linspace(low, high, POINTS, dtype=torch.float64)[:, None]
        log_q = density_of_generator(evaluation)
        if log_q is None:
            counts = torch.histc(drawn.flatten(), POINTS // 5, low, high).repeat_interleave(5)
            q = counts * (POINTS // 5) / ((high - low) * DRAWN)
        else:
            q = log_q(x).exp()
        return {"densities": render(_drawn(x[:, 0], density_of_data(evaluation.data)(x).exp(), q, history))}


def _shown(*clouds: Tensor) -> tuple[float, float]:
    """Return the ends of a frame around points [N, 1], without the last thousandths of their spread."""
    ends = torch.stack([torch.quantile(x, at) for x in clouds for at in (0.001, 0.999)])
    margin = 0.1 * float(ends.max() - ends.min())
    return float(ends.min()) - margin, float(ends.max()) + margin


def _drawn(x: Tensor, p: Tensor, q: Tensor, history: Sequence[Mapping[str, float]]) -> Any:
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
