"""Whether conditional samples belong to their class, by a small classifier of the data."""

from dataclasses import dataclass

from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.classifier import classifier_protocol, predict, shared_classifier
from gantrain.registry import option, register


@register("metric")
@dataclass
class ClassAccuracy(Metric):
    """GAN-test (Shmelkov, Schmid and Alahari 2018): accuracy in [0, 1] on samples of a classifier trained on data."""

    name: str = option("class_accuracy", "registered name")
    tags = ("fidelity/class_accuracy",)

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.spec.condition or run.spec.classes < 2:
            return "the condition is not one of several classes"
        return None if run.conditional else "the model is not conditional (model.condition=none)"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | classifier_protocol(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        x, y = evaluation.fake
        correct = predict(shared_classifier(evaluation.data), x) == y.cpu()  # type: ignore[union-attr]
        return {"fidelity/class_accuracy": float(correct.float().mean())}
