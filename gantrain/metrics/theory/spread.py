"""Whether a generator covers the data or seeks one mode: its spread, and both densities as a figure."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.figures import panels, render
from gantrain.metrics.base import SAMPLES, Evaluation, History, Metric, RunSpec
from gantrain.metrics.exact import why_not_integrable
from gantrain.metrics.theory.gradients import curve
from gantrain.metrics.tools.quadrature import density_of_data, density_of_generator, samples
from gantrain.registry import option, register

POINTS = 600  # at which densities in one dimension are plotted
CLOUD = 20_000  # samples in the histogram of a generator without a density


def spread(fake: Tensor, real: Tensor) -> tuple[float, float]:
    """Return the ratio of the standard deviations of samples and data, [n, d] each, and its error (delta method)."""
    squared = [(x.double() - x.double().mean(0)).square().sum(1) for x in (fake, real)]
    variances = [float(values.mean()) for values in squared]
    # Of the variance of the samples, and of that of the data times the squared ratio.
    ratio = (variances[0] / variances[1]) ** 0.5
    errors = [float(values.std()) / len(values) ** 0.5 for values in squared]
    return ratio, 0.5 * math.hypot(errors[0], ratio**2 * errors[1]) / max(ratio * variances[1], 1e-300)


@register("metric")
@dataclass
class Spread(Metric):
    """Standard deviation of samples over that of held-out points, all coordinates together.

    The Gaussian q of least KL(p, q) has the moments of the data, so its spread is 1; a q that seeks one mode has less.
    """

    name: str = option("spread", "registered name")
    tags = ("diversity/spread",)
    shared_protocol = SAMPLES | dict(features="coordinates", G="averaged weights; live weights in the figure")
    needs_game = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        return why_not_integrable(run)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return {
            "diversity/spread": Estimate(spread(evaluation.fake[0], evaluation.real[0])[0], n=evaluation.n)
        }

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        return {"diversity/spread": spread(evaluation.fake[0], evaluation.real[0])[1]}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``densities`` in one dimension: p and q, and the history of q's mean and deviation if it logs them."""
        if evaluation.data.spec.numel > 1:
            return {}
        cloud = samples(evaluation, CLOUD, "densities")
        low, high = _frame_ends(evaluation.real[0].cpu().double(), cloud)
        x = torch.linspace(low, high, POINTS, dtype=torch.float64)[:, None]
        log_q = density_of_generator(evaluation)
        if log_q is None:
            # A histogram of bins of 5 points each, as a density.
            counts = torch.histc(cloud.flatten(), POINTS // 5, low, high).repeat_interleave(5)
            q = counts * (POINTS // 5) / ((high - low) * CLOUD)
        else:
            q = log_q(x).exp()
        p = density_of_data(evaluation.data)(x).exp()
        return {"densities": render(_densities(x[:, 0], p, q, history))}


def _frame_ends(*clouds: Tensor) -> tuple[float, float]:
    """Return the ends of an interval around the 0.1 and 99.9 % quantiles of points [N, 1], with a margin."""
    ends = torch.stack([torch.quantile(x, at) for x in clouds for at in (0.001, 0.999)])
    margin = 0.1 * float(ends.max() - ends.min())
    return float(ends.min()) - margin, float(ends.max()) + margin


def _densities(x: Tensor, p: Tensor, q: Tensor, history: History) -> Any:
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
