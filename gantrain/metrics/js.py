"""The divergence that the trained discriminator estimates, on held-out data."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import estimate_from_means
from gantrain.metrics.base import NETWORKS, Evaluation, Metric, RunSpec
from gantrain.metrics.side import Side
from gantrain.metrics.tools.accuracy import best_accuracy
from gantrain.objectives.base import Logits, Objective
from gantrain.registry import option, register


def divergence_tag(quantity: str, batches: bool) -> str:
    """Return the tag of a quantity; with ``batches`` D looks across samples, and estimates a larger one of theirs."""
    return f"divergence/{quantity}_batch" if batches and quantity != "game" else f"divergence/{quantity}"


def quantities(objective: Objective) -> list[str]:
    """Return the names of the divergences that a game's D estimates."""
    zeros = torch.zeros(2)
    return list(objective.estimate(Logits(zeros, zeros, zeros if objective.mismatch_weight > 0 else None)))


def estimates(objective: Objective, batches: bool) -> list[str]:
    """Return the tags of the divergences that a game's D estimates; ``batches`` is whether it looks across samples."""
    return [divergence_tag(quantity, batches) for quantity in quantities(objective)]


def logit_estimates(logits: Logits) -> dict[str, Estimate]:
    """Return what logits say besides the divergence, by tag: their mean on held-out data, and D's accuracy."""
    mean = estimate_from_means(float(logits.real.mean()), logits.real, group=logits.group)
    return {"logits/holdout": mean, "logits/accuracy": best_accuracy(logits.real, logits.fake, logits.group)}


@register("metric")
@dataclass
class JS(Metric):
    """The objective's own estimate: D in eval mode on held-out reals and as many fresh samples of the live G."""

    name: str = option("js", "registered name")
    shared_protocol = NETWORKS
    has_floor = False
    needs_d = True

    def expected_tags(self, run: RunSpec) -> list[str]:
        if run.objective is None or not run.objective.has_game:
            return []
        return [*estimates(run.objective, run.couples_samples), "logits/holdout"]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        tags = estimates(evaluation.game.objective, evaluation.game.couples_samples)
        return super().protocol(evaluation) | {"estimates": tags}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        logits = evaluation.once(self.logits)
        tags: dict[str, float] = {
            divergence_tag(quantity, evaluation.game.couples_samples): value
            for quantity, value in evaluation.game.objective.estimate(logits).items()
        }
        return tags | {tag: estimate.with_error(None) for tag, estimate in logit_estimates(logits).items()}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        estimates = logit_estimates(evaluation.once(self.logits))
        return {tag: e.error for tag, e in estimates.items() if e.error is not None}

    @staticmethod
    def logits(evaluation: Evaluation) -> Logits:
        """Return D's logits on held-out data, fresh samples and, where the game has them, wrong pairs."""
        real = evaluation.reals
        y = real.y
        # Wrong pairs: data with another condition (Reed et al. 2016, alg. 1).
        has_wrong = evaluation.game.objective.mismatch_weight > 0 and y is not None
        wrong = evaluation.game.wrong(y) if has_wrong else None  # type: ignore[arg-type]
        mismatched = None if wrong is None else evaluation.logits(real, wrong)
        return Logits(evaluation.logits(real, y), fake_logits(evaluation), mismatched, evaluation.group)


def fake_logits(evaluation: Evaluation) -> Tensor:
    """Return D's logits on fresh samples of the live G."""
    if evaluation.read_fake_logits is not None:
        return evaluation.read_fake_logits()
    return evaluation.logits(evaluation.once(fresh_samples), evaluation.reals.y)


def fresh_samples(evaluation: Evaluation) -> Side:
    """Return fresh samples of the live G for the labels of the held-out data."""
    return evaluation.generate(evaluation.game.G_live, evaluation.reals.y, "divergence")


def of_training_data(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation of D on training data in place of held-out ones.

    The fresh samples of G are the same ones, and D sees them once, unless the labels of the data decide what they are.
    """
    data = replace(evaluation.data, holdout=evaluation.data.train)
    found = replace(evaluation, data=data)
    if evaluation.conditional or found.n != evaluation.n:
        return found
    return replace(found, read_fake_logits=lambda: evaluation.once(JS.logits).fake)
