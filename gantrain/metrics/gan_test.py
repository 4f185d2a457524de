"""GAN-test: whether conditional samples belong to their class, by a small classifier of the data."""

from dataclasses import dataclass

import torch

from gantrain.core.estimate import Estimate
from gantrain.features.tools.classifier import why_not_trainable
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.by_class import why_no_classes
from gantrain.metrics.tools.classifier import classifier_protocol, predictions
from gantrain.metrics.tools.errors import share_error
from gantrain.registry import option, register


@register("metric")
@dataclass
class GanTest(Metric):
    """Accuracy in [0, 1] on samples of a classifier trained on data (Shmelkov, Schmid and Alahari 2018, sec. 3)."""

    name: str = option("gan_test", "registered name")
    tags = ("fidelity/gan_test",)
    compares_real = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        if (reason := why_no_classes(run)) or run.data is None:
            return reason
        return why_not_trainable(run.data)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | classifier_protocol(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        correct = torch.eq(predictions(evaluation, evaluation.fakes), evaluation.fakes.y)  # type: ignore[arg-type]
        share, n = float(correct.double().mean()), len(correct)
        return {"fidelity/gan_test": Estimate(share, n=n)}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        return {tag: share_error(value, len(evaluation.fakes)) for tag, value in self(evaluation).items()}
