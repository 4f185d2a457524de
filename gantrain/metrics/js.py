"""The divergence that the trained discriminator estimates, on held-out data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import NETWORKS, Evaluation, Metric, RunSpec
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


def best_accuracy(real: Tensor, fake: Tensor) -> float:
    """Return the accuracy in [1/2, 1] of the best threshold between logits on data [N] and on samples [M].

    Each side counts a half, whatever N and M. Not every game has its threshold at 0: a critic's offset is free.
    """
    logits, order = torch.cat([real, fake]).double().sort()
    share = torch.tensor([-1 / len(real)] * len(real) + [1 / len(fake)] * len(fake), dtype=torch.float64)
    # Fakes below a threshold less reals below it; no threshold separates equal logits.
    gain = share.to(logits.device)[order].cumsum(0)
    gain = gain[torch.cat([logits.diff() > 0, torch.ones(1, dtype=torch.bool, device=logits.device)])]
    return 0.5 + 0.5 * max(0.0, float(gain.max()))


@register("metric")
@dataclass
class JS(Metric):
    """The objective's own estimate: D in eval mode on held-out reals and as many fresh samples of the live G."""

    name: str = option("js", "registered name")
    shared_protocol = NETWORKS
    has_floor = False
    needs_d = True

    def expected_tags(self, run: RunSpec) -> list[str]:
        if not run.objective.has_game:
            return []
        return [*estimates(run.objective, run.couples_samples), "logits/holdout"]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        tags = estimates(evaluation.objective, evaluation.couples_samples)
        return super().protocol(evaluation) | {"estimates": tags}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        logits = self.logits(evaluation)
        tags: dict[str, float] = {
            divergence_tag(quantity, evaluation.couples_samples): value
            for quantity, value in evaluation.objective.estimate(logits).items()
        }
        accuracy = best_accuracy(logits.real, logits.fake)
        return tags | {"logits/holdout": float(logits.real.mean()), "logits/accuracy": accuracy}

    @staticmethod
    def logits(evaluation: Evaluation) -> Logits:
        """Return D's logits on held-out data, fresh samples and, where the game has them, wrong pairs."""
        x, y = evaluation.real
        fake, _ = evaluation.generate(evaluation.G_live, y, "divergence")
        # Wrong pairs: data with another condition (Reed et al. 2016, alg. 1).
        has_wrong = evaluation.objective.mismatch_weight > 0 and y is not None
        wrong = evaluation.wrong(y) if has_wrong else None  # type: ignore[arg-type]
        mismatched = None if wrong is None else evaluation.logits(x, wrong)
        return Logits(evaluation.logits(x, y), evaluation.logits(fake, y), mismatched)
