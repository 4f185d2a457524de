"""Why a confident D teaches a minimax G nothing: the factor of its gradient, and the norms of both as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gantrain.core.figures import panels, render
from gantrain.metrics.base import EVAL_D, LIVE_G, Evaluation, Metric
from gantrain.registry import option, register

if TYPE_CHECKING:
    from PIL.Image import Image


NORMS = {
    "gradient/g_minimax": ("minimax, of E log(1 - D)", "tab:blue"),
    "gradient/g_non_saturating": ("non-saturating, of -E log D", "tab:red"),
}


@register("metric")
@dataclass
class Gradients(Metric):
    """Mean probability of real that D gives samples, and the norms of G's two gradients over the run as a figure.

    The slope of log(1 - D) is -D times that of the logit, the slope of -log D is -(1 - D) times it: so the first
    gradient fades with this mean and the second does not. The curves need ``train.compare_gradients=true``.
    """

    name: str = option("gradients", "registered name")
    tags = ("logits/fake_probability",)
    shared_protocol = EVAL_D | LIVE_G
    has_floor = False
    needs_d = True

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        if not evaluation.objective.classifies:  # sigmoid(logit) is no probability
            return {}
        fake, y = evaluation.generate(evaluation.G_live, evaluation.real[1], "divergence")
        logits = evaluation.logits(fake, y).cpu().double()
        return {"logits/fake_probability": float(torch.sigmoid(logits).mean())}

    def figures(self, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
        """Return ``gradients``: both norms over steps and D's held-out accuracy; nothing before they are logged."""
        if not any(tag in row for row in history for tag in NORMS):
            return {}
        return {"gradients": render(_curves_figure(history))}


def curve(history: Sequence[Mapping[str, float]], tag: str) -> tuple[list[float], list[float]]:
    """Return the steps at which a tag was logged, and its values; what was not finite is left out."""
    known = [(row["step"], row[tag]) for row in history if row.get(tag) is not None]
    return [step for step, _ in known], [value for _, value in known]


def _curves_figure(history: Sequence[Mapping[str, float]]) -> Any:
    figure, (ax,) = panels(width=6.4)
    for tag, (label, colour) in NORMS.items():
        steps, norms = curve(history, tag)
        points = [pair for pair in zip(steps, norms, strict=True) if pair[1] > 0]  # 0 has no logarithm
        if points:
            ax.semilogy(*zip(*points, strict=True), color=colour, lw=1.5, label=label)
    ax.set(
        xlabel="step", ylabel="norm of G's gradient", title="What is left of G's gradient when D is confident"
    )
    right = ax.twinx()
    right.plot(
        *curve(history, "logits/accuracy"), color="grey", lw=1, ls="--", label="D's held-out accuracy (right)"
    )
    right.set(ylim=(0.48, 1.02), ylabel="accuracy")
    lines = [*ax.get_lines(), *right.get_lines()]
    figure.legend(
        lines, [line.get_label() for line in lines], loc="outside lower center", ncols=3, fontsize=8
    )
    return figure
