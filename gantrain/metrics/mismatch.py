"""Whether D uses the condition: how well it separates right pairs from data with a wrong condition."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import EVAL_D, HOLDOUT, Evaluation, Metric, RunSpec
from gantrain.metrics.tools.errors import clustered_share_error
from gantrain.registry import option, register


def shares_below(x: Tensor, others: Tensor) -> Tensor:
    """Return for each of x [N] the share of ``others`` [M] below it, equal ones counted half, float64 [N]."""
    others, x = others.double().sort().values, x.double()
    below, up_to = (torch.searchsorted(others, x, right=right) for right in (False, True))
    return (below + up_to).double() / (2 * len(others))


def auc(high: Tensor, low: Tensor) -> float:
    """Return P(high > low) + P(high = low) / 2 for samples ``high`` [N] and ``low`` [M]: the area under the ROC."""
    return float(shares_below(high, low).mean())


def auc_error(high: Tensor, low: Tensor) -> float:
    """Return the standard error of ``auc`` of N pairs, shape [N] each (DeLong, DeLong and Clarke-Pearson 1988)."""
    return float((shares_below(high, low) - shares_below(low, high)).std()) / len(high) ** 0.5


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
        if run.objective is not None and "classes" in run.objective.needs:
            return "D is not given the condition, but names it (model.condition=auxiliary_classifier)"
        return None if len(run.spec.conditions()) > 1 else "there is one condition, so none is wrong"

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        pairs = evaluation.once(logits_of_pairs)
        return {} if pairs is None else {"logits/mismatched_auc": Estimate(auc(*pairs), n=len(pairs[0]))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        pairs = evaluation.once(logits_of_pairs)
        if pairs is None:
            return {}
        error = clustered_share_error(auc(*pairs), len(pairs[0]), auc_error(*pairs))
        return {"logits/mismatched_auc": error}


def logits_of_pairs(evaluation: Evaluation) -> tuple[Tensor, Tensor] | None:
    """Return D's logits on held-out data with the right condition and with a wrong one, [n]; None without such."""
    side = evaluation.reals
    y = side.y
    wrong = None if y is None else evaluation.game.wrong(y)
    # All held-out conditions may be the same.
    return None if wrong is None else (evaluation.logits(side, y), evaluation.logits(side, wrong))
