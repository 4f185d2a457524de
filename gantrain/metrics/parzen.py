"""Parzen windows: log-likelihood of held-out data under a kernel density estimate of the samples."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.figures import panels, render
from gantrain.core.sampling_error import tail_caveat
from gantrain.metrics.base import Evaluation, History, Metric
from gantrain.metrics.evaluation import in_double
from gantrain.registry import option, register

ROWS = 500  # rows of the distance matrix in memory at a time
VALID = 1000  # held-out samples that choose sigma, at most; the published protocol's number
COARSE, FINE = torch.logspace(-3, 1, 17).double(), torch.logspace(-0.25, 0.25, 25).double()
WARNING = (
    "swings with sigma and n, unreliable in many dimensions, prefers centroids to data (Theis et al. 2016)"
)


def log_likelihood(x: Tensor, centres: Tensor, sigmas: Tensor) -> Tensor:
    """Return log q(x) in nats, [S, N], at x [N, d], q the mean of N(centre, sigma^2 I), centres [M, d], sigmas [S]."""
    scales = sigmas.tolist()
    # log q(x) = log sum_m exp(-|x - c_m|^2 / 2 sigma^2) - log M - d log(sigma sqrt(2 pi))
    constants = [math.log(len(centres)) + x.shape[1] * math.log(s * math.sqrt(2 * math.pi)) for s in scales]
    parts = []
    for rows in x.split(ROWS):
        squared = torch.cdist(rows, centres).square()  # [rows, M]
        pairs = zip(scales, constants, strict=True)
        parts.append(torch.stack([torch.logsumexp(squared / (-2 * s * s), 1) - c for s, c in pairs]))
    return torch.cat(parts, 1)


def choose(valid: Tensor, centres: Tensor, scale: float) -> float:
    """Return the sigma that gives ``valid`` [N, d] the highest mean log-likelihood under ``centres`` [M, d].

    The grid is ``scale`` times 0.001 to 10 in 17 steps of 10^(1/4), then 25 of 10^(1/48) around the best of them.
    ``valid`` are neither centres nor the points on which the likelihood is then computed.
    """
    sigma = scale
    for grid in (COARSE, FINE):
        sigmas = sigma * grid
        sigma = float(sigmas[int(log_likelihood(valid, centres, sigmas).mean(1).argmax())])
    return sigma


def rows(x: Tensor, evaluation: Evaluation) -> Tensor:
    """Return samples as float64 [N, d]: images in [0, 1] as published, points as they are."""
    x = in_double(x.detach().flatten(1))
    return (x + 1) / 2 if evaluation.data.spec.is_image else x


def halves(evaluation: Evaluation) -> tuple[Tensor, Tensor]:
    """Return held-out samples that choose sigma, and those that the likelihood is computed on, each [N, d]."""
    x = rows(evaluation.real[0], evaluation)
    return x[::2][:VALID], x[1::2]


def scale(evaluation: Evaluation) -> float:
    """Return the data's standard deviation, the root of its mean square over coordinates; 1 for constant data."""
    x = evaluation.subset(evaluation.data.train, VALID).x
    return float(rows(x, evaluation).var(0, unbiased=False).mean().sqrt()) or 1.0


def sigma_of(evaluation: Evaluation) -> float:
    """Return the sigma that cross-validation chooses for the evaluation's samples."""
    return choose(halves(evaluation)[0], rows(evaluation.fake[0], evaluation), scale(evaluation))


@register("metric")
@dataclass
class Parzen(Metric):
    """Parzen-window log-likelihood (Breuleux et al. 2011; Goodfellow et al. 2014, sec. 5), kept for its history.

    It is not the likelihood of the generator but of samples blurred by sigma. In many dimensions it swings with sigma
    and n and prefers centroids to data (Theis et al. 2016): compare with the floor, at equal n, and trust neither.
    """

    name: str = option("parzen", "registered name")
    tags = ("fidelity/log_likelihood_parzen",)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        valid, test = halves(evaluation)
        low, high = (scale(evaluation) * float(COARSE[i]) for i in (0, -1))
        return super().protocol(evaluation) | {
            "kernel": "Gaussian",
            "sigma": sigma_of(evaluation),
            "grid": [low, high],
            "grid_steps": "17, then 25 around the best",
            "unit": "nats, pixels in [0, 1]" if evaluation.data.spec.is_image else "nats, coordinates",
            "split": "half of holdout chooses sigma, the other half is read",
            "n_sigma": len(valid),
            "n_read": len(test),
            "warning": WARNING,
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        centres, sigma = rows(evaluation.fake[0], evaluation), sigma_of(evaluation)
        values = log_likelihood(halves(evaluation)[1], centres, torch.tensor([sigma]).double())[0]
        error = math.sqrt(float(values.var()) / len(values)) if len(values) > 1 else None
        (tag,) = self.tags
        caveat = tail_caveat(values) if error else ""
        return {tag: Estimate(float(values.mean()), error, len(values), caveat=caveat)}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``parzen``: the log-likelihood against sigma, training data's too, and for a part of the samples."""
        valid, test = halves(evaluation)
        test = test[:VALID]
        fakes, copies = (rows(part.fake[0], evaluation) for part in (evaluation, evaluation.of_train()))
        unit, chosen = scale(evaluation), sigma_of(evaluation)
        sigmas = chosen * torch.logspace(-0.6, 0.6, 25).double()
        figure, (left, right) = panels(2)

        # One curve over sigma and its chosen sigma; the y range follows the curves near sigma and these points.
        def plot(panel: Any, label: str, centres: Tensor, color: str) -> Tensor:
            curve = log_likelihood(test, centres, sigmas).mean(1).cpu()
            best = choose(valid, centres, unit)
            at = log_likelihood(test, centres, torch.tensor([best]).double()).mean().cpu()
            panel.plot(sigmas, curve, color=color, label=f"{label}: {at:.1f} at sigma {best:.3g}")
            panel.plot([best], [at], "o", color=color)
            return torch.cat([curve[8:17], at[None]])

        shades = ("#c8a2d0", "#9659a8", "#4b1d5e")
        sizes = sorted({max(len(fakes) // part, 1) for part in (16, 4, 1)})
        heights = [plot(left, "training data", copies, "black"), plot(left, "samples", fakes, "#c98a00")]
        for n, shade in zip(sizes, shades[-len(sizes) :], strict=True):
            heights.append(plot(right, f"{n} samples", fakes[:n], shade))
        low, high = float(torch.cat(heights).min()), float(torch.cat(heights).max())
        left.set_title("log-likelihood of held-out data, chosen sigma marked")
        right.set_title("the same from fewer samples")
        for panel in (left, right):
            panel.set(xscale="log", xlabel="sigma", ylabel="nats")
            panel.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
            panel.tick_params(which="minor", labelbottom=False)
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
        return {"parzen": render(figure)}
