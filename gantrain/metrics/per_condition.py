"""Whether samples of one condition differ from each other, as data of one condition do."""

import math
from dataclasses import dataclass

import torch

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import SAMPLES, Evaluation, Metric, RunSpec
from gantrain.metrics.side import Side
from gantrain.registry import option, register

NUMBERS = 2**22  # of one condition in memory at a time, in double precision
FEWEST = 5  # samples of a condition, on average, for a reliable error


def per_condition_std(side: Side) -> Estimate | None:
    """Return the mean over coordinates and conditions of the standard deviation of samples of one condition.

    Its labels are [N] or [N, K]; conditions that occur once do not count. In the data's unit; None if all occur once.
    Its error, by the delta method, is over samples of these conditions.
    """
    assert side.y is not None  # as ``why_unsupported`` requires
    _, which, counts = torch.unique(side.y.cpu(), dim=0, return_inverse=True, return_counts=True)
    spreads, variances = [], []
    for kind in torch.arange(len(counts))[counts > 1]:
        x = side.take((which == kind).nonzero()[:, 0]).cpu().flatten(1)
        stds, changes = [], []
        for part in x.split(max(1, NUMBERS // len(x)), 1):
            rows = part.double()
            std = rows.std(0)
            # A sample changes the standard deviation s of its condition by (d^2 - s^2) / 2 s (n - 1), d from its mean.
            change = (rows - rows.mean(0)).square_().sub_(std.square()).div_(2 * std).nan_to_num_(0.0)
            stds.append(std)
            changes.append(change.mean(1) * (len(std) / x.shape[1]))
        spreads.append(torch.cat(stds).mean())
        variances.append(torch.stack(changes).sum(0).var() / len(x))
    if not spreads:
        return None
    error = float(torch.stack(variances).sum()) ** 0.5 / len(spreads)
    few = int(counts[counts > 1].sum()) < FEWEST * len(spreads)
    caveat = f"fewer than {FEWEST} samples of a condition" if few else ""
    return Estimate(float(torch.stack(spreads).mean()), error, len(side), caveat=caveat)


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
        real, fake = evaluation.once(spreads_of_sides)
        # 0 for the data where held-out samples of a condition are all the same.
        if not real or fake is None:
            return {}
        ratio = Estimate(fake / real, n=fake.n, caveat=fake.caveat)
        return {"diversity/per_condition_std": ratio}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = evaluation.once(spreads_of_sides)
        if not real or fake is None:
            return {}
        of_real, of_fake = real.error or 0.0, fake.error or 0.0
        return {"diversity/per_condition_std": math.hypot(of_fake, fake / real * of_real) / real}


def spreads_of_sides(evaluation: Evaluation) -> tuple[Estimate | None, Estimate | None]:
    """Return ``per_condition_std`` of held-out data and of samples."""
    return per_condition_std(evaluation.reals), per_condition_std(evaluation.fakes)
