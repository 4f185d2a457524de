"""Whether conditional samples show the class they were asked for, by a small classifier of the data."""

from __future__ import annotations

from dataclasses import dataclass

from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation, Metric, Planned
from gantrain.metrics.tools.classifier import judge, predict, trained
from gantrain.registry import option, register


@register("metric")
@dataclass
class ClassAccuracy(Metric):
    """GAN-test (Shmelkov, Schmid and Alahari 2018): accuracy on samples of a classifier trained on data."""

    name: str = option("class_accuracy", "registered name")

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: samples must have been asked for by class."""
        if data.spec.condition or data.spec.classes < 2:
            return "the condition is not one of several classes"
        return None if conditional else "the model is not conditional (model.condition=none)"

    def expected(self, run: Planned) -> list[str]:
        """Return the accuracy, where samples are asked for by class."""
        asked = run.model.is_conditional and not run.spec.condition and run.spec.classes > 1
        return ["fidelity/class_accuracy"] if asked else []

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return the classifier, its own held-out accuracy and n."""
        return judge(evaluation) | {"n": evaluation.n, "split": "holdout", "G": "averaged weights"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``fidelity/class_accuracy`` in [0, 1]."""
        x, y = evaluation.fake
        right = predict(trained(evaluation.data), x) == y.cpu()  # type: ignore[union-attr]
        return {"fidelity/class_accuracy": float(right.float().mean())}
