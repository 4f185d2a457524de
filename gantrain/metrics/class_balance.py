"""Whether samples fall on the classes of the data as often as data do."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Z95, Estimate
from gantrain.features.tools.classifier import why_not_trainable
from gantrain.metrics.base import SAMPLES, Evaluation, Metric, RunSpec
from gantrain.metrics.tools.classifier import classifier_protocol, predictions
from gantrain.metrics.tools.intervals import SquaredSpread
from gantrain.registry import option, register

TAG = "diversity/class_kl"


def class_kl(fake: Tensor, real: Tensor, classes: int) -> Tensor:
    """Return KL(histogram of fake, histogram of real) of labels [..., n], in nats, shape [...].

    Half a sample is added to each class, so that it is finite where data lack a class.
    """
    p, q = (_shares(labels, classes) for labels in (fake, real))
    return (p * (p / q).log()).sum(-1)


def _shares(labels: Tensor, classes: int) -> Tensor:
    counts = torch.zeros(*labels.shape[:-1], classes, dtype=torch.float64)
    counts.scatter_add_(-1, labels, torch.ones_like(labels, dtype=torch.float64)).add_(0.5)
    return counts / counts.sum(-1, keepdim=True)


@register("metric")
@dataclass
class ClassBalance(Metric):
    """KL from the classes of samples to those of held-out data, in nats: 0 is the balance of the data.

    Of the labels of files where both sides have some, else of a classifier's predictions on both sides, whose mistakes
    then count alike. K classes of n samples of one law differ by about (K - 1) / n: compare with the floor.
    """

    name: str = option("class_balance", "registered name")
    tags = (TAG,)
    shared_protocol = SAMPLES

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.spec.condition or run.spec.classes < 2:
            return "these data have no classes"
        has_labels = run.objective is None and run.conditional
        return None if has_labels or run.data is None else why_not_trainable(run.data)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        own = {"classes": "labels"} if _has_labels(evaluation) else classifier_protocol(evaluation)
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        fake, real = evaluation.once(classes_of_sides)
        return {TAG: Estimate(float(class_kl(fake, real, evaluation.data.spec.classes)), n=len(fake))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        fake, real = evaluation.once(classes_of_sides)
        n, classes = len(fake), evaluation.data.spec.classes
        p, q = (_shares(labels, classes) for labels in (fake, real))
        changes = (p / q).log()[fake] - (p / q)[real]  # with the weight of each pair of samples
        # Of one law it is 1/n times a chi-squared variable of K - 1 degrees of freedom, and the changes are chance.
        quadratic = 2 * (classes - 1) / n**2
        linear = max(float(changes.var()) / n - 2 * quadratic, 0.0)
        bias = (classes - 1) / n  # at most: less where both sides have the same labels
        spread = SquaredSpread(linear, quadratic, 1 / n)
        return {TAG: spread.error_of(float(class_kl(fake, real, classes)), bias, bias / Z95)}


def _has_labels(evaluation: Evaluation) -> bool:
    return evaluation.players is None and evaluation.fakes.y is not None and evaluation.reals.y is not None


def classes_of_sides(evaluation: Evaluation) -> tuple[Tensor, Tensor]:
    """Return the classes of samples and of held-out data, [n] each: labels of files, or predictions."""
    y, z = evaluation.fakes.y, evaluation.reals.y
    if _has_labels(evaluation) and y is not None and z is not None:
        return y.cpu(), z.cpu()
    return predictions(evaluation, evaluation.fakes).cpu(), predictions(evaluation, evaluation.reals).cpu()
