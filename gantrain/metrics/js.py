"""The divergence that the playing discriminator estimates, read on held-out data."""

from __future__ import annotations

from dataclasses import dataclass

from gantrain.metrics.base import Evaluation, Metric
from gantrain.objectives.base import Logits
from gantrain.registry import option, register


@register("metric")
@dataclass
class JS(Metric):
    """The objective's own estimate: D in eval mode on held-out reals and as many fresh samples of the live G."""

    name: str = option("js", "registered name")
    floored = False

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return who plays and on what."""
        return {
            "D": "playing, eval mode",
            "G": "live weights",
            "split": "holdout",
            "n": evaluation.n,
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``divergence/<quantity>`` with its standard error, and D's mean logit on held-out data."""
        logits = self.read(evaluation)
        # The divergence of batches or packs is larger than that of samples, and so has another name.
        js = "js_batch" if evaluation.batch else "js"
        found = evaluation.objective.estimate(logits)
        tags = {f"divergence/{name.replace('js', js)}": value for name, value in found.items()}
        return tags | {"logits/holdout": float(logits.real.mean())}

    @staticmethod
    def read(evaluation: Evaluation) -> Logits:
        """Return D's logits on held-out data, fresh samples and, where the game has them, wrong pairs."""
        x, y = evaluation.real
        fake, _ = evaluation.generate(evaluation.G_live, y, "divergence")
        wrong = evaluation.objective.mismatch_weight > 0 and y is not None
        return Logits(
            real=evaluation.logits(x, y),
            fake=evaluation.logits(fake, y),
            mismatched=evaluation.logits(x, evaluation.wrong(y)) if wrong else None,  # type: ignore[arg-type]
        )
