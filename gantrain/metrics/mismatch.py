"""Whether D looks at the condition: how well it tells right pairs from data beside a wrong one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation, Metric, Planned
from gantrain.registry import option, register


def auc(high: Tensor, low: Tensor) -> float:
    """Return how probably one of ``high`` [N] is above one of ``low`` [M], ties half: the area under the ROC."""
    low, high = low.double().sort().values, high.double()
    below, up_to = (torch.searchsorted(low, high, right=right) for right in (False, True))
    return float((below + up_to).double().mean()) / (2 * len(low))


@register("metric")
@dataclass
class Mismatch(Metric):
    """D rejects wrong pairs: AUC of its logits on held-out data with the right condition against a wrong one.

    1/2 is a D that does not see the condition. Only the objective ``conditional`` trains D for it.
    """

    name: str = option("mismatch", "registered name")
    floored = False
    needs_d = True

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: D must see conditions, of which there are several."""
        if not conditional:
            return "the model is not conditional (model.condition=none)"
        return None if len(data.spec.conditions()) > 1 else "there is one condition, so none is wrong"

    def expected(self, run: Planned) -> list[str]:
        """Return the AUC, where D sees one of several conditions."""
        seen = run.model.is_conditional and len(run.spec.conditions()) > 1
        return ["logits/mismatched_auc"] if seen else []

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return who judges what."""
        return {
            "D": "playing, eval mode",
            "split": "holdout",
            "wrong": "another condition, uniform over the others",
            "n": evaluation.n,
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``logits/mismatched_auc`` in [0, 1]; nothing where all held-out conditions are the same."""
        x, y = evaluation.real
        wrong = None if y is None else evaluation.wrong(y)
        if wrong is None:
            return {}
        return {"logits/mismatched_auc": auc(evaluation.logits(x, y), evaluation.logits(x, wrong))}
