"""Whether conditional samples belong to their class, by a small classifier of the data."""

from dataclasses import dataclass

import torch

from gantrain.core.estimate import Estimate
from gantrain.features.tools.classifier import predict, shared_classifier, why_not_trainable
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.classifier import classifier_protocol
from gantrain.metrics.tools.errors import rare_share, share_error
from gantrain.registry import option, register


@register("metric")
@dataclass
class ClassAccuracy(Metric):
    """GAN-test (Shmelkov, Schmid and Alahari 2018): accuracy in [0, 1] on samples of a classifier trained on data."""

    name: str = option("class_accuracy", "registered name")
    tags = ("fidelity/class_accuracy",)
    compares_real = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.spec.condition or run.spec.classes < 2:
            return "the condition is not one of several classes"
        if not run.conditional:
            return "the model is not conditional (model.condition=none)"
        return why_not_trainable(run.data) if run.data is not None else None

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | classifier_protocol(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        x, y = evaluation.fake
        correct = torch.eq(predict(shared_classifier(evaluation.data, x.device), x), y)  # type: ignore[arg-type]
        share, n = float(correct.double().mean()), len(correct)
        return {"fidelity/class_accuracy": Estimate(share, n=n, caveat=rare_share(share, n))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        return {tag: share_error(value, len(evaluation.fake[0])) for tag, value in self(evaluation).items()}
