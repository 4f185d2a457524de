"""Why p_G(x) of a network is out of reach: no sample equals x, and boxes and kernels depend on their size."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.metrics.base import HOLDOUT, LIVE_G, Evaluation, History, Metric, RunSpec
from gantrain.metrics.parzen import log_likelihood, scale
from gantrain.metrics.tools.quadrature import density_of_data, density_of_generator, samples
from gantrain.registry import option, register

LATENTS = 100_000
POINTS = 100  # held-out points at which p_G is estimated, at most
SIZES = (100, 1000, 10_000)  # samples under the kernels
# Half the side of a box, and sigma of a kernel, in standard deviations of the data.
BOXES, SIGMAS = torch.logspace(-4, 0.5, 19).double(), torch.logspace(-3.5, 0.5, 25).double()
MIN_HITS = 400  # hits in all boxes together for a relative error of 5 %, 1 / sqrt(400)


def hits(x: Tensor, cloud: Tensor, halves: Tensor) -> Tensor:
    """Return how many samples [M, d] fall into the box of each half side [E] around each point x [N, d], int64 [E, N].

    A box is {x' : |x'_i - x_i| <= half for every coordinate i}; that of half side 0 is the point itself, so its count
    is the Monte-Carlo sum of 1[G(z) = x] over latents.
    """
    counts = []
    for part in x.split(max(1, 1_000_000 // len(cloud))):
        # max_i |x'_i - x_i|, [points, M]
        away = torch.stack([(cloud[:, i] - part[:, i, None]).abs() for i in range(x.shape[1])]).amax(0)
        counts.append(torch.stack([(away <= half).sum(1) for half in halves]))
    return torch.cat(counts, 1)


def exponent(halves: Tensor, counts: Tensor) -> float:
    """Return the slope of log hits [E] against log half side [E], from the smallest box with ``MIN_HITS`` to the next.

    The share of samples in a box of half side e goes to 0 as e^d if they have a density in d dimensions, whatever G is;
    boxes that are not small against the data give less. 0 if there are too few hits.
    """
    first = int((counts < MIN_HITS).sum())
    if first + 1 >= len(counts):
        return 0.0
    # d log hits / d log e, as the difference quotient of neighbouring boxes
    rise = counts[first + 1].double().log() - counts[first].double().log()
    return float(rise / (halves[first + 1] / halves[first]).log())


@dataclass(frozen=True)
class Estimates:
    """Estimates of p_G by counting and by kernels.

    Attributes:
        x: Points, shape [N, d].
        sigmas: Of the kernels, in the data's unit, shape [S].
        curves: Mean log-likelihood in nats of each kernel estimate by its number of samples, each [S].
        halves: Half sides of boxes, in the data's unit, shape [E].
        counts: Hits in each box, shape [E, N].
        exact: Hits on the points themselves, of ``LATENTS`` at each.
    """

    x: Tensor
    sigmas: Tensor
    curves: dict[int, Tensor]
    halves: Tensor
    counts: Tensor
    exact: int


def estimate_density(evaluation: Evaluation) -> Estimates:
    """Estimate p_G at held-out points by counting and by kernels."""
    x = evaluation.real[0][:POINTS].cpu().double()
    cloud, unit = samples(evaluation, LATENTS, "why no likelihood"), scale(evaluation)
    counts = hits(x, cloud, torch.cat([torch.zeros(1).double(), unit * BOXES]))
    curves = {n: log_likelihood(x, cloud[:n], unit * SIGMAS).mean(1) for n in SIZES}
    return Estimates(x, unit * SIGMAS, curves, unit * BOXES, counts[1:], int(counts[0].sum()))


def near_best(estimates: Estimates, n: int) -> Tensor:
    """Return the part of a kernel's curve, [S'], within a factor of 3 of the sigma at which it is highest."""
    best = estimates.sigmas[estimates.curves[n].argmax()]
    return estimates.curves[n][(estimates.sigmas / best).log().abs() <= math.log(3)]


@register("metric")
@dataclass
class WhyNoLikelihood(Metric):
    """Estimates of p_G(x) = E_z 1[G(z) = x] at held-out points, for the live generator.

    Counted, it is 0 for any number of latents; with a tolerance it is a power of the tolerance; by a kernel it depends
    on sigma and n, as a sweep over ``model.z_dim`` shows.
    """

    name: str = option("why_no_likelihood", "registered name")
    shared_protocol = LIVE_G | HOLDOUT
    has_floor = False
    needs_game = True
    is_demonstration = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.spec.is_image:
            return "boxes around images hold no samples to count"
        return "on a line rounding makes hits" if run.spec.numel == 1 else None

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {
            "n_points": min(POINTS, evaluation.n),
            "n_latents": LATENTS,
            "kernel": "Gaussian",
            "n_kernel": list(SIZES),
            "sigmas": [scale(evaluation) * float(SIGMAS[i]) for i in (0, -1)],
            "spread": "over sigmas within a factor of 3 of the best, at the most samples",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return five numbers under ``generator/``.

        ``exact_hits`` of ``LATENTS`` latents at each point; ``box_exponent``; ``kernel_best``, the mean log-likelihood
        at the most samples and the best sigma; ``kernel_spread`` over sigma; ``kernel_spread_n`` over the number of
        samples, each at its best sigma.
        """
        estimates = evaluation.once(estimate_density)
        swing, best = near_best(estimates, SIZES[-1]), [float(estimates.curves[n].max()) for n in SIZES]
        return {
            "generator/exact_hits": float(estimates.exact),
            "generator/box_exponent": exponent(estimates.halves, estimates.counts.sum(1)),
            "generator/kernel_best": best[-1],
            "generator/kernel_spread": float(swing.max() - swing.min()),
            "generator/kernel_spread_n": max(best) - min(best),
        }

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``why_no_likelihood``: the share of samples in a box, and the kernels' estimates of p_G."""
        estimates = evaluation.once(estimate_density)
        figure, (boxes, kernels) = panels(2, width=5.8, height=4.6)
        _boxes(boxes, estimates)
        top = _kernels(kernels, estimates)
        log_p = density_of_data(evaluation.data) if evaluation.data.density is not None else None
        log_q = density_of_generator(evaluation)
        truths = (log_p, "black", "the data's own density"), (log_q, "tab:green", "this G's density")
        for log_density, colour, name in truths:
            if log_density is not None:
                truth = float(log_density(estimates.x).mean())
                kernels.axhline(truth, color=colour, lw=1, label=f"{name}: {truth:.2f}")
                top = max(top, truth)
        kernels.set_ylim(top - 14, top + 1)
        kernels.legend(frameon=False, fontsize=9, loc="lower right")
        return {"why_no_likelihood": render(figure)}


def _boxes(ax: Any, estimates: Estimates) -> None:
    halves, counts = estimates.halves, estimates.counts.sum(1)
    share = counts / (LATENTS * len(estimates.x))
    some = share > 0
    ax.loglog(halves[some], share[some], "o-", color="tab:blue", ms=4, label="share of samples in a box")
    if power := exponent(halves, counts):
        # The power law through the first box with enough hits.
        first = int((counts < MIN_HITS).sum())
        line = share[first] * (halves / halves[first]) ** power
        below, name = line <= 1, f"tolerance to the power {power:.2f}"
        ax.loglog(halves[below], line[below], color="grey", lw=1, ls="--", label=name)
    ax.set_ylim(float(share[some].min()) / 3 if some.any() else 1e-9, 100)
    ax.set_xlim(float(halves[some][0]) / 2 if some.any() else None, float(halves[-1]) * 2)
    exact = f"tolerance 0: {estimates.exact} of {LATENTS:,} at each of {len(estimates.x)} points"
    ax.plot([], [], " ", label=exact)
    ax.set(xlabel="tolerance: half side of a box around x")
    ax.set(ylabel="Monte-Carlo estimate of P(G(z) in the box)")
    ax.set_title("counting: the answer is the tolerance's")
    ax.legend(frameon=False, fontsize=9, loc="upper left")


def _kernels(ax: Any, estimates: Estimates) -> float:
    """Plot the curves and return the highest value."""
    shades, highest = ("#c8a2d0", "#9659a8", "#4b1d5e"), []
    for (n, curve), colour in zip(estimates.curves.items(), shades, strict=True):
        best = int(curve.argmax())
        highest.append(float(curve[best]))
        label = f"{n:,} samples: {highest[-1]:.2f} at sigma {estimates.sigmas[best]:.2g}"
        ax.plot(estimates.sigmas, curve, color=colour, label=label)
        ax.plot(estimates.sigmas[best], highest[-1], "o", color=colour)
    ax.set(xscale="log", xlabel="sigma of the kernel", ylabel="mean log-likelihood of held-out points, nats")
    ax.set_title("kernels: the answer is sigma's and n's")
    return max(highest)
