"""Classes found among samples, where each channel of an image shows one: the modes of stacked digits."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.features.tools.classifier import why_not_trainable
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.classifier import classifier_protocol, predictions
from gantrain.metrics.tools.mode_counts import describe_counts, mode_errors, mode_estimates
from gantrain.registry import option, register


def count_classes(y: Tensor, classes: int) -> dict[str, float]:
    """Return the number of classes among labels y [n], and KL(their histogram, uniform) = log K - H in nats.

    n draws of a uniform law over K ``classes`` contain K (1 - (1 - 1/K)^n) on average, and for large n their KL is
    (K - 1) / 2n.
    """
    return describe_counts(torch.bincount(y, minlength=classes))


@register("metric")
@dataclass
class ClassModes(Metric):
    """Classes found among all samples, and how unevenly they fall, by a classifier of the data (VEEGAN, PacGAN).

    Srivastava et al. 2017, sec. 4.2; Lin et al. 2018, sec. 4.2, both with 26,000 samples and 1,000 classes.
    """

    name: str = option("class_modes", "registered name")
    tags = ("diversity/modes", "diversity/mode_kl")
    compares_real = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        has_classes = run.spec.is_image and run.spec.channel_classes > 1
        if not has_classes:
            return "no channel of this data has classes of its own"
        return why_not_trainable(run.data) if run.data is not None else None

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        own = {"of": evaluation.data.spec.classes}
        return super().protocol(evaluation) | classifier_protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        values = mode_estimates(evaluation.once(counts_of_fakes), len(evaluation.fakes))
        return {f"diversity/{name}": value for name, value in values.items()}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        values = mode_errors(evaluation.once(counts_of_fakes), len(evaluation.fakes), evaluation.seed)
        return {f"diversity/{name}": value for name, value in values.items()}


def counts_of_fakes(evaluation: Evaluation) -> Tensor:
    """Return how many samples of G the classifier assigns to each class, shape [K]."""
    labels = predictions(evaluation, evaluation.fakes)
    return torch.bincount(labels, minlength=evaluation.data.spec.classes).cpu()
