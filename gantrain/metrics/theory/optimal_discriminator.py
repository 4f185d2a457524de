"""D compared with the optimal D* = p / (p + q), where the data's density is known."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.figures import legend_below, panels, render
from gantrain.metrics.base import NETWORKS, Evaluation, History, Metric, RunSpec
from gantrain.metrics.exact import CELL_SAMPLES, histogram_protocol, side_of_cells, why_not_integrable
from gantrain.metrics.tools.histogram import Cells
from gantrain.metrics.tools.quadrature import density_of_data, density_of_generator, samples
from gantrain.registry import option, register

SIDE = 160  # points along each axis of a plane; four times as many on a line


@register("metric")
@dataclass
class OptimalDiscriminator(Metric):
    """Distance of D from the optimal D* = p / (p + q) (Goodfellow et al. 2014, prop. 1), as a number and a figure.

    D* needs the density of the live generator. If that has none, its samples are counted in cells; D* is then an
    estimate, which has another tag.
    """

    name: str = option("optimal_discriminator", "registered name")
    shared_protocol = NETWORKS
    has_floor = False
    needs_game = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.conditional:
            return "D evaluates points with their conditions, whose density is not known"
        return why_not_integrable(run)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        is_known = density_of_generator(evaluation) is not None
        own = {"q": "known density"} if is_known else histogram_protocol(evaluation)
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``divergence/d_error``, or ``divergence/d_error_density``: E |D - D*| over data and samples alike.

        Only where sigmoid(logit) is D's probability that one point is real.
        """
        if not _is_probability(evaluation):
            return {}
        return {d_error_tag(evaluation): Estimate(float(evaluation.once(d_errors).mean()), n=evaluation.n)}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        tag = d_error_tag(evaluation)
        if not _is_probability(evaluation) or tag.endswith(
            "_density"
        ):  # whose counts have an error of their own
            return {}
        return {tag: 0.5 * math.sqrt(float(evaluation.once(d_errors).var(1).sum()) / evaluation.n)}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``optimal_discriminator``: curves of p, q, D and D* in one dimension, D next to D* in two."""
        if not _is_probability(evaluation):
            return {}
        data, log_q = evaluation.data, density_of_generator(evaluation)
        log_p = density_of_data(data)
        cloud = samples(evaluation, CELL_SAMPLES if log_q is None else 2000, "optimal discriminator")
        low, high = _frame_corners(evaluation.real[0].cpu().double(), cloud[:2000])
        # A grid of pixel centres, x [count^d, d].
        count = SIDE if len(low) == 2 else 4 * SIDE
        step = (high - low) / count
        axes = [low[i] + step[i] * (torch.arange(count) + 0.5) for i in range(len(low))]
        x = torch.cartesian_prod(*axes).reshape(-1, len(low))
        D = torch.sigmoid(evaluation.logits(x.float().to(evaluation.device), None)).cpu().double()
        p = log_p(x).exp()
        if log_q is None:
            q = _cell_density(cloud, low, step, count)
            best, of = p / (p + q), f"q from {CELL_SAMPLES:,} samples"
        else:
            q = log_q(x).exp()
            best, of = torch.sigmoid(log_p(x) - log_q(x)), "q known"
        # Where neither has a sample in 200,000 in a pixel, the ratio is too uncertain to plot.
        best = best.where((p + q) * step.prod() > 1 / CELL_SAMPLES, torch.nan)
        draw = _line if len(low) == 1 else _plane
        return {"optimal_discriminator": render(draw(axes, p, q, D, best, of))}


def d_error_tag(evaluation: Evaluation) -> str:
    """Return the tag of the mean error of D, another one where q is counted."""
    return f"divergence/d_error{'_density' * (density_of_generator(evaluation) is None)}"


def d_errors(evaluation: Evaluation) -> Tensor:
    """Return |D - D*| at held-out data and at as many samples of the live G, float64 [2, n]."""
    log_p, log_q = density_of_data(evaluation.data), density_of_generator(evaluation)
    fake = evaluation.generate(evaluation.game.G_live, evaluation.reals.y, "divergence")
    x = torch.cat([evaluation.reals.x, fake.x])
    points = x.cpu().double()
    if log_q is None:
        cloud = samples(evaluation, CELL_SAMPLES, "optimal discriminator")
        best = Cells.of(log_p, cloud, side_of_cells(evaluation)).best(log_p, points)
    else:
        best = torch.sigmoid(log_p(points) - log_q(points))  # p / (p + q)
    return (torch.sigmoid(evaluation.logits(x, None)).cpu().double() - best).abs().reshape(2, -1)


def _is_probability(evaluation: Evaluation) -> bool:
    return evaluation.game.objective.classifies and not evaluation.game.couples_samples


def _frame_corners(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the corners of a box around the 0.5 and 99.5 % quantiles of both clouds [n, d], with a margin."""
    ends = torch.stack([torch.quantile(x, at, 0) for x in (real, fake) for at in (0.005, 0.995)])
    margin = 0.25 * (ends.amax(0) - ends.amin(0)).max().clamp(min=1e-6)
    return ends.amin(0) - margin, ends.amax(0) + margin


def _cell_density(x: Tensor, low: Tensor, step: Tensor, count: int) -> Tensor:
    """Return the density of samples in each pixel of a frame, row by row, by counting."""
    place = ((x - low) / step).floor()
    place = place[((place >= 0) & (place < count)).all(1)].long()
    key = place[:, 0] if len(low) == 1 else place[:, 0] * count + place[:, 1]
    return torch.bincount(key, minlength=count ** len(low)) / (len(x) * step.prod())


def _line(axes: list[Tensor], p: Tensor, q: Tensor, D: Tensor, best: Tensor, of: str) -> Any:
    # Left axis: both densities. Right axis: D and D*.
    figure, (ax,) = panels(width=6.4)
    x = axes[0].numpy()
    for density, name, colour in ((p, "p, the data", "black"), (q, "q, the generator", "goldenrod")):
        ax.fill_between(x, density.numpy(), color=colour, alpha=0.15)
        ax.plot(x, density.numpy(), color=colour, lw=1, label=name)
    ax.set(xlabel="x", ylabel="density", ylim=(0, None), title=f"D against the best D, {of}")
    right = ax.twinx()
    right.plot(x, best.numpy(), color="tab:blue", lw=3, alpha=0.5, label="D* = p/(p + q)")
    right.plot(x, D.numpy(), color="tab:red", lw=1.5, ls="--", label="D")
    right.set(ylabel="probability of real", ylim=(-0.02, 1.02))
    legend_below(figure, ax, right)
    return figure


def _plane(axes: list[Tensor], p: Tensor, q: Tensor, D: Tensor, best: Tensor, of: str) -> Any:
    figure, both = panels(2)
    x, y = (axis.numpy() for axis in axes)
    titles = "D(x)", f"D*(x) = p/(p + q), {of}; grey: neither"
    for ax, surface, title in zip(both, (D, best), titles, strict=True):
        z = surface.reshape(len(x), len(y)).T.numpy()
        mesh = ax.pcolormesh(x, y, z, cmap="RdBu", vmin=0, vmax=1, shading="nearest")
        ax.set(aspect="equal", facecolor="lightgrey")
        ax.set_title(title, fontsize=10)
    figure.colorbar(mesh, ax=both, label="probability of real")
    return figure
