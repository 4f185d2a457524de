"""GAN-train: whether a classifier that is trained on conditional samples knows real data."""

import math
import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.features.tools import classifier
from gantrain.features.tools.classifier import predict, why_not_trainable
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.by_class import why_no_classes
from gantrain.metrics.tools.classifier import classifier_protocol
from gantrain.metrics.tools.errors import clustered_share_error, share_error, student_margin
from gantrain.registry import option, register

FITS = 5  # further classifiers, for the error


@register("metric")
@dataclass
class GanTrain(Metric):
    """Accuracy in [0, 1] on held-out data of a classifier trained on samples (Shmelkov et al. 2018, sec. 3).

    It falls where samples lack variety or do not belong to their class; GAN-test sees the latter alone. Compare it with
    the floor, that of as many training data.
    """

    name: str = option("gan_train", "registered name")
    tags = ("diversity/gan_train",)

    def why_unsupported(self, run: RunSpec) -> str | None:
        if (reason := why_no_classes(run)) or run.data is None:
            return reason
        return why_not_trainable(run.data)  # the classifier of the data is its yardstick

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        own = classifier_protocol(evaluation) | {
            "classifier": f"that of gan_test, {classifier.STEPS} steps on the samples"
        }
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        n = len(evaluation.reals)
        share = evaluation.once(accuracy_after_samples)
        return {"diversity/gan_train": Estimate(share, n=n)}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        x, y = on_cpu(evaluation.fake)
        draws = torch.Generator().manual_seed(evaluation.seed)
        found = []
        for _ in range(FITS):
            rows = torch.randint(len(x), (len(x),), generator=draws)
            found.append(accuracy(evaluation, x[rows], y[rows]))
        return {"diversity/gan_train": error_of(found, evaluation.once(accuracy_after_samples), evaluation)}

    def known_floors(self, evaluation: Evaluation) -> dict[str, Estimate]:
        """Return the accuracy after as many training samples as the evaluation has samples."""
        train, found = evaluation.data.train, []
        n = min(evaluation.n, len(train))
        for seed in range(FITS):
            rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:n]
            found.append(accuracy(evaluation, *on_cpu(train.take(rows))))
        mean = statistics.fmean(found)
        error = float(error_of(found, mean, evaluation))
        return {"diversity/gan_train": Estimate(mean, error, len(evaluation.reals))}


def on_cpu(side: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor]:
    """Return samples and their labels on the CPU, where the classifier is trained."""
    x, y = side
    return x.cpu(), y.cpu()  # type: ignore[union-attr]  # only labelled data have a classifier


def accuracy(evaluation: Evaluation, x: Tensor, y: Tensor) -> float:
    """Return the accuracy on held-out data of a classifier trained on samples [N, ...] with labels [N]."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(x), (classifier.BATCH,), generator=generator)
        return x[rows], y[rows]

    network = classifier.fit(evaluation.data.spec, draw, classifier.STEPS)
    real, labels = on_cpu(evaluation.real)
    return float(torch.eq(predict(network, real), labels).double().mean())


def accuracy_after_samples(evaluation: Evaluation) -> float:
    """Return ``accuracy`` after the samples of an evaluation."""
    return accuracy(evaluation, *on_cpu(evaluation.fake))


def error_of(found: list[float], value: float, evaluation: Evaluation) -> Estimate:
    """Return the standard error of an accuracy: of what is trained on, by other fits, and of what is tested on."""
    of_training = student_margin(len(found) - 1) * statistics.stdev(found)
    n = len(evaluation.reals)
    return clustered_share_error(value, n, math.hypot(of_training, share_error(value, n)))
