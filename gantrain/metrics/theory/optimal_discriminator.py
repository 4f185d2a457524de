"""D compared with the best D there is, D* = p / (p + q), where the data's density is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.metrics.base import PLAYERS, Evaluation, Metric, RunSpec
from gantrain.metrics.exact import CELL_SAMPLES, why_not_integrable
from gantrain.metrics.tools.histogram import Cells, cell_side
from gantrain.metrics.tools.quadrature import density_of_data, density_of_generator, samples
from gantrain.registry import option, register

if TYPE_CHECKING:
    from PIL.Image import Image


SIDE = 160  # points along each axis of a plane; four times as many on a line


@register("metric")
@dataclass
class OptimalDiscriminator(Metric):
    """How far D's probability of real is from that of the best D, in numbers and as a picture.

    D* needs the density of the generator that D plays. Where it has none, its samples are counted in cells; D* is then
    an estimate, which has another tag.
    """

    name: str = option("optimal_discriminator", "registered name")
    shared_protocol = PLAYERS
    has_floor = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.conditional:
            return "D judges points with their conditions, whose density is not known"
        return why_not_integrable(run)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        own: dict[str, object] = {"q": "known density"}
        if density_of_generator(evaluation) is None:
            side = self._side(evaluation)
            own = {"q": "samples counted in cells", "n_counted": CELL_SAMPLES, "cell_side": side}
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``divergence/d_error``, or ``divergence/d_error_density``: E |D - D*| over data and samples alike.

        Only where sigmoid(logit) is D's probability that one point is real: D of other games is of another scale.
        """
        if not _is_probability(evaluation):
            return {}
        log_p, log_q = density_of_data(evaluation.data), density_of_generator(evaluation)
        fake, _ = evaluation.generate(evaluation.G_live, evaluation.real[1], "divergence")
        x = torch.cat([evaluation.real[0], fake])
        points = x.cpu().double()
        if log_q is None:
            cells = Cells.of(
                log_p, samples(evaluation, CELL_SAMPLES, "optimal discriminator"), self._side(evaluation)
            )
            best = cells.best(log_p, points)
        else:
            best = torch.sigmoid(log_p(points) - log_q(points))
        error = (torch.sigmoid(evaluation.logits(x, None)).cpu().double() - best).abs()
        return {f"divergence/d_error{'_density' * (log_q is None)}": float(error.mean())}

    def figures(self, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
        """Return ``optimal_discriminator``: curves of p, q, D and D* on a line, D next to D* on a plane."""
        if not _is_probability(evaluation):
            return {}
        data, log_q = evaluation.data, density_of_generator(evaluation)
        log_p = density_of_data(data)
        cloud = samples(evaluation, CELL_SAMPLES if log_q is None else 2000, "optimal discriminator")
        low, high = _frame_corners(evaluation.real[0].cpu().double(), cloud[:2000])
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
        # Where neither would leave one of 200,000 samples in a pixel, their ratio is not known well enough to draw.
        best = best.where((p + q) * step.prod() > 1 / CELL_SAMPLES, torch.nan)
        draw = _line if len(low) == 1 else _plane
        return {"optimal_discriminator": render(draw(axes, p, q, D, best, of))}

    @staticmethod
    def _side(evaluation: Evaluation) -> float:
        return cell_side(density_of_data(evaluation.data), evaluation.real[0].cpu().double())


def _is_probability(evaluation: Evaluation) -> bool:
    return evaluation.objective.classifies and not evaluation.batch


def _frame_corners(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the corners of a frame around both clouds, without the last hundredths of their spread."""
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
    lines = [*ax.get_lines(), *right.get_lines()]
    figure.legend(
        lines, [line.get_label() for line in lines], loc="outside lower center", ncols=4, fontsize=8
    )
    return figure


def _plane(axes: list[Tensor], p: Tensor, q: Tensor, D: Tensor, best: Tensor, of: str) -> Any:
    figure, both = panels(2)
    shape = [len(axis) for axis in axes]
    for ax, surface, title in zip(
        both, (D, best), ("D(x)", f"D*(x) = p/(p + q), {of}; grey: neither"), strict=True
    ):
        mesh = ax.pcolormesh(
            *(axis.numpy() for axis in axes),
            surface.reshape(shape).T.numpy(),
            cmap="RdBu",
            vmin=0,
            vmax=1,
            shading="nearest",
        )
        ax.set(aspect="equal", facecolor="lightgrey")
        ax.set_title(title, fontsize=10)
    figure.colorbar(mesh, ax=both, label="probability of real")
    return figure
