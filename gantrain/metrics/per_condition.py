"""Whether samples of one condition differ from each other, as data of one condition do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation, Metric, Planned
from gantrain.registry import option, register


def per_condition_std(x: Tensor, y: Tensor) -> float | None:
    """Return the standard deviation of each number among samples of one condition, averaged over numbers, conditions.

    Args:
        x: Samples, shape [N, ...].
        y: Their conditions, shape [N] or [N, K]; one that occurs once is left out.

    Returns:
        In the data's unit; None where every condition occurs once.
    """
    _, which, counts = torch.unique(y.cpu(), dim=0, return_inverse=True, return_counts=True)
    x = x.cpu().double().flatten(1)
    spreads = [x[which == kind].std(0).mean() for kind in torch.arange(len(counts))[counts > 1]]
    return float(torch.stack(spreads).mean()) if spreads else None


@register("metric")
@dataclass
class PerCondition(Metric):
    """Diversity that is left once the condition is fixed, over that of held-out data: 1 is theirs, 0 is noise ignored.

    The measure is how far pixels move, so it does not see whether they move as those of data do.
    """

    name: str = option("per_condition", "registered name")

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: samples must be asked for, and held-out data of one condition must be several."""
        if not conditional:
            return "the model is not conditional (model.condition=none)"
        y = data.holdout.y
        if y is None or len(torch.unique(y, dim=0)) == len(y):
            return "no two held-out samples have the same condition"
        return None

    def expected(self, run: Planned) -> list[str]:
        """Return the spread, where samples are asked for."""
        return ["diversity/per_condition_std"] if run.model.is_conditional else []

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return features, n and split."""
        return {
            "features": "pixels or coordinates",
            "n": evaluation.n,
            "split": "holdout, as many samples of each condition",
            "G": "averaged weights",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``diversity/per_condition_std``; nothing where held-out samples of a condition are all the same."""
        known, found = per_condition_std(*evaluation.real), per_condition_std(*evaluation.fake)  # type: ignore[arg-type]
        return {"diversity/per_condition_std": found / known} if known and found is not None else {}
