"""The vanishing gradient of the minimax G: the factor of its gradient, and the norms of both gradients as curves."""

from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.figures import legend_below, panels, render
from gantrain.metrics.base import EVAL_D, LIVE_G, Evaluation, History, Metric
from gantrain.registry import option, register

NORMS = {
    "gradient/g_minimax": ("minimax, of E log(1 - D)", "tab:blue"),
    "gradient/g_non_saturating": ("non-saturating, of -E log D", "tab:red"),
}


@register("metric")
@dataclass
class Gradients(Metric):
    """Mean D(G(z)), and the norms of G's two gradients over the run as a figure.

    With l the logit and D = sigmoid(l), d/dl log(1 - D) = -D and d/dl -log D = -(1 - D): the minimax gradient vanishes
    with this mean and the non-saturating one does not (Arjovsky and Bottou 2017, sec. 2). The curves need
    ``train.compare_gradients=true``.
    """

    name: str = option("gradients", "registered name")
    tags = ("logits/fake_probability",)
    shared_protocol = EVAL_D | LIVE_G
    has_floor = False
    needs_d = True

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        values = evaluation.once(probabilities)
        return (
            {"logits/fake_probability": Estimate(float(values.mean()), n=len(values))} if len(values) else {}
        )

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        values = evaluation.once(probabilities)
        return {"logits/fake_probability": float(values.std()) / len(values) ** 0.5} if len(values) else {}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``gradients``: both norms over steps and D's held-out accuracy; nothing before they are logged."""
        if not any(tag in row for row in history for tag in NORMS):
            return {}
        return {"gradients": render(_curves_figure(history))}


def probabilities(evaluation: Evaluation) -> Tensor:
    """Return D's probability of real for samples of the live G, float64 [n]; none where sigmoid(logit) is not one."""
    if not evaluation.game.objective.classifies:
        return torch.empty(0)
    fake = evaluation.generate(evaluation.game.G_live, evaluation.reals.y, "divergence")
    return torch.sigmoid(evaluation.logits(fake, fake.y).cpu().double())


def curve(history: History, tag: str) -> tuple[list[float], list[float]]:
    """Return the steps at which a tag was logged, and its values; those that were not finite are left out."""
    rows = [row for row in history if row.get(tag) is not None]
    return [row["step"] for row in rows], [row[tag] for row in rows]


def _curves_figure(history: History) -> Any:
    # Left axis: the norms on a log scale. Right axis: the accuracy of D.
    figure, (ax,) = panels(width=6.4)
    for tag, (label, colour) in NORMS.items():
        steps, norms = curve(history, tag)
        points = [pair for pair in zip(steps, norms, strict=True) if pair[1] > 0]  # 0 has no logarithm
        if points:
            ax.semilogy(*zip(*points, strict=True), color=colour, lw=1.5, label=label)
    ax.set(xlabel="step", ylabel="norm of G's gradient")
    ax.set_title("What is left of G's gradient when D is confident")
    right = ax.twinx()
    accuracy = curve(history, "logits/accuracy")
    right.plot(*accuracy, color="grey", lw=1, ls="--", label="D's held-out accuracy (right)")
    right.set(ylim=(0.48, 1.02), ylabel="accuracy")
    legend_below(figure, ax, right)
    return figure
