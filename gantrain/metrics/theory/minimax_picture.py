"""The figure of min_G max_D V(G, D): for each generator the best D, then the generator whose best D is worst.

Exact mathematics of p = N(0, 1) and q = N(mean, std^2); the networks are not evaluated.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import logsigmoid

from gantrain.core.figures import panels, render
from gantrain.metrics.base import Evaluation, History, Metric
from gantrain.registry import option, register

MEANS, COLOURS = (1.0, 2.0, 4.0), ("tab:green", "tab:orange", "tab:red")
REACH, POINTS = 14.0, 8001  # standard deviations and nodes: here the trapezoidal rule is exact to rounding
NAMES = [f"G{i} = N({mean:g}, 1)" for i, mean in enumerate(MEANS, 1)]
CHANCE = -2 * math.log(2)  # V at D = 1/2, in nats


def log_density(x: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Return log N(x; mean, std^2) in nats, shape as ``x``."""
    return -0.5 * ((x - mean) / std).square() - math.log(std) - 0.5 * math.log(2 * math.pi)


def value(w: Tensor, mean: float, std: float = 1.0) -> Tensor:
    """Return V(G, D_w) = E_p log D_w(x) + E_q log(1 - D_w(x)) in nats, shape as ``w`` [S], float64.

    D_w(x) = sigmoid(w (log p(x) - log q(x))), for q = N(mean, std^2): 1/2 everywhere at w = 0, the best D at w = 1.
    """
    reach = REACH * max(std, 1.0)
    x = torch.linspace(min(0.0, mean) - reach, max(0.0, mean) + reach, POINTS, dtype=torch.float64)
    log_p, log_q = log_density(x), log_density(x, mean, std)
    logit = w.double()[:, None] * (log_p - log_q)
    integrand = log_p.exp() * logsigmoid(logit) + log_q.exp() * logsigmoid(
        -logit
    )  # p log D + q log(1 - D), [S, x]
    return torch.trapezoid(integrand, x, dim=1)


def best_value(mean: float, std: float = 1.0) -> float:
    """Return max_D V = 2 JSD(p, q) - 2 log 2 in nats, at D = p / (p + q) (Goodfellow et al. 2014, prop. 1, thm. 1)."""
    return float(value(torch.ones(1), mean, std))


@register("metric")
@dataclass
class MinimaxPicture(Metric):
    """A figure without numbers: V over D for three generators, and max_D V over all generators of a line."""

    name: str = option("minimax_picture", "registered name")
    has_floor = False
    is_demonstration = True

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return {"p": "N(0, 1)", "q": [f"N({mean:g}, 1)" for mean in MEANS], "by": "quadrature"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return {}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``minimax_picture``: three generators, V over D for each of them, max_D V over G."""
        figure, (densities, over_d, over_g) = panels(3, width=4.7, height=4.9)
        _densities(densities)
        _over_d(over_d)
        _over_g(over_g)
        figure.suptitle("min over G of max over D of V(G, D) = E log D(x) + E log(1 - D(G(z)))")
        return {"minimax_picture": render(figure)}


def _note(
    ax: Any, text: str, at: tuple[float, float], offset: tuple[int, int], colour: str, ha: str = "left"
) -> None:
    ax.annotate(text, at, offset, textcoords="offset points", fontsize=9, color=colour, ha=ha)


# Left: the data and three generators. Middle: V over D for each of them. Right: max_D V over all generators.
def _densities(ax: Any) -> None:
    x = torch.linspace(-4, 8, 400, dtype=torch.float64)
    ax.fill_between(x, log_density(x).exp(), color="black", alpha=0.15)
    ax.plot(x, log_density(x).exp(), color="black", label="data, N(0, 1)")
    for mean, colour, name in zip(MEANS, COLOURS, NAMES, strict=True):
        ax.plot(x, log_density(x, mean).exp(), color=colour, label=name)
    ax.set(xlabel="x", ylabel="density", ylim=(0, 0.55), title="three generators to choose from")
    ax.legend(frameon=False, fontsize=9, loc="upper right")


def _over_d(ax: Any) -> None:
    w = torch.linspace(-0.15, 2.4, 256, dtype=torch.float64)
    least = min(MEANS, key=best_value)
    for mean, colour, name in zip(MEANS, COLOURS, NAMES, strict=True):
        top = best_value(mean)
        ax.plot(w, value(w, mean), color=colour)
        ax.plot(1, top, "o", color=colour, ms=7)
        text = f"{top:.3f}, the least: choose it" if mean == least else f"max over D: {top:.3f}"
        _note(ax, f"{name.split()[0]}, {text}", (1, top), (0, 9), colour, ha="center")
    ax.axhline(CHANCE, color="grey", lw=0.8, ls=":")
    ax.axvline(1, color="grey", lw=0.8, ls=":")
    _note(ax, "D = 1/2: -2 log 2", (0, CHANCE), (4, -12), "grey")
    ax.set(xlim=(-0.15, 2.4), ylim=(-1.9, 0.15), xlabel="w, with D(x) = sigmoid(w log p(x)/q(x))")
    ax.set(ylabel="V(G, D) in nats", title="inner: for each G the best D, at w = 1")


def _over_g(ax: Any) -> None:
    means = torch.linspace(-5, 5, 201, dtype=torch.float64).tolist()
    ax.plot(means, [best_value(mean) for mean in means], color="black")
    for mean, colour, name in zip(MEANS, COLOURS, NAMES, strict=True):
        ax.plot(mean, best_value(mean), "o", color=colour, ms=7)
        _note(ax, name.split()[0], (mean, best_value(mean)), (7, -7), colour)
    ax.plot(0, best_value(0.0), "*", color="tab:blue", ms=15)
    least = f"least: -2 log 2 = {CHANCE:.3f}\nat mean 0, where q = p"
    _note(ax, least, (0, CHANCE), (0, -32), "tab:blue", ha="center")
    ax.axhline(0, color="grey", lw=0.8, ls=":")
    _note(ax, "0: D is never wrong", (-5, 0), (0, 4), "grey")
    ax.set(xlabel="mean of G = N(mean, 1)", ylabel="max over D of V = 2 JSD - 2 log 2, in nats")
    ax.set(ylim=(-1.68, 0.12), title="outer: the G whose best D is worst")
