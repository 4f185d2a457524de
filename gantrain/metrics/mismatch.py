"""Whether D uses the condition: how well it separates right pairs from data with a wrong condition."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import EVAL_D, HOLDOUT, Evaluation, Metric, RunSpec
from gantrain.registry import option, register


def auc(high: Tensor, low: Tensor) -> float:
    """Return P(high > low) + P(high = low) / 2 for samples ``high`` [N] and ``low`` [M]: the area under the ROC."""
    low, high = low.double().sort().values, high.double()
    below, up_to = (torch.searchsorted(low, high, right=right) for right in (False, True))
    return float((below + up_to).double().mean()) / (2 * len(low))


@register("metric")
@dataclass
class Mismatch(Metric):
    """AUC of D's logits on held-out data with the right condition against a wrong one.

    1/2 is a D that ignores the condition. Only the objective ``conditional`` trains D for it.
    """

    name: str = option("mismatch", "registered name")
    tags = ("logits/mismatched_auc",)  # in [0, 1]
    shared_protocol = EVAL_D | HOLDOUT | {"wrong": "another condition, uniform over the others"}
    has_floor = False
    needs_d = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        if not run.conditional:
            return "the model is not conditional (model.condition=none)"
        return None if len(run.spec.conditions()) > 1 else "there is one condition, so none is wrong"

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        x, y = evaluation.real
        wrong = None if y is None else evaluation.wrong(y)
        if wrong is None:  # all held-out conditions are the same
            return {}
        return {"logits/mismatched_auc": auc(evaluation.logits(x, y), evaluation.logits(x, wrong))}
