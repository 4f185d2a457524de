"""Whether samples of one condition differ from each other, as data of one condition do."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import SAMPLES, Evaluation, Metric, RunSpec
from gantrain.registry import option, register


def per_condition_std(x: Tensor, y: Tensor) -> float | None:
    """Return the mean over coordinates and conditions of the standard deviation of samples of one condition.

    x is [N, ...], y [N] or [N, K]; conditions that occur once do not count. In the data's unit; None if all occur once.
    """
    _, which, counts = torch.unique(y.cpu(), dim=0, return_inverse=True, return_counts=True)
    x = x.cpu().double().flatten(1)
    spreads = [x[which == kind].std(0).mean() for kind in torch.arange(len(counts))[counts > 1]]
    return float(torch.stack(spreads).mean()) if spreads else None


@register("metric")
@dataclass
class PerCondition(Metric):
    """Diversity of samples of one condition over that of held-out data: 1 is equal, 0 is a G that ignores its noise.

    It measures how much pixels vary, not whether they vary as those of data do.
    """

    name: str = option("per_condition", "registered name")
    tags = ("diversity/per_condition_std",)
    shared_protocol = SAMPLES | dict(
        features="pixels or coordinates", split="holdout, as many samples of each condition"
    )

    def why_unsupported(self, run: RunSpec) -> str | None:
        if not run.conditional:
            return "the model is not conditional (model.condition=none)"
        if run.data is None:
            return None
        y = run.data.holdout.y
        is_repeated = y is not None and len(torch.unique(y, dim=0)) < len(y)
        return None if is_repeated else "no two held-out samples have the same condition"

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = (per_condition_std(*part) for part in (evaluation.real, evaluation.fake))  # type: ignore[arg-type]
        # 0 for the data where held-out samples of a condition are all the same.
        return {"diversity/per_condition_std": fake / real} if real and fake is not None else {}
