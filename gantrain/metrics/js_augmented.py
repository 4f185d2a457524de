"""The divergence that the trained discriminator estimates, of what it sees while training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import NETWORKS, Evaluation, Metric, RunSpec
from gantrain.metrics.js import divergence_tag, estimates, fresh_samples
from gantrain.metrics.tools.augmented import augment_samples
from gantrain.objectives.base import Logits
from gantrain.registry import option, register


@register("metric")
@dataclass
class AugmentedJS(Metric):
    """The objective's own estimate on held-out data and samples under the run's augmentation, as D is trained on them.

    D is at home there. It is a divergence of augmented images, which is not larger than that of the images themselves
    (data processing inequality).
    """

    name: str = option("js_augmented", "registered name")
    shared_protocol = NETWORKS
    has_floor = False
    needs_d = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        return None if run.augment.active else "D's inputs are not augmented"

    def expected_tags(self, run: RunSpec) -> list[str]:
        if run.objective is None or not run.objective.has_game:
            return []
        return [f"{tag}_augmented" for tag in estimates(run.objective, run.couples_samples)]

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        game, (x, y) = evaluation.game, evaluation.real
        generator = torch.Generator().manual_seed(evaluation.seed)

        def see(x: Tensor) -> Tensor:
            return augment_samples(game.augment, x, generator, game.augment_memory)

        real = see(x)
        has_wrong = game.objective.mismatch_weight > 0 and y is not None
        wrong = game.wrong(y) if has_wrong else None  # type: ignore[arg-type]
        logits = Logits(
            evaluation.logits(real, y),
            evaluation.logits(see(evaluation.once(fresh_samples).x), y),
            None if wrong is None else evaluation.logits(real, wrong),
            evaluation.group,
        )
        found = game.objective.estimate(logits)
        return {
            f"{divergence_tag(quantity, game.couples_samples)}_augmented": v for quantity, v in found.items()
        }
