"""Classes found among samples, where each channel of an image shows one: the modes of stacked digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation, Metric, Planned
from gantrain.metrics.tools.classifier import judge, predict, trained
from gantrain.registry import option, register


def count_classes(y: Tensor, classes: int) -> dict[str, float]:
    """Return how many classes there are, and KL(their histogram, uniform) = log K - H in nats.

    Both are of finite samples: n draws of a uniform law find K (1 - (1 - 1/K)^n) classes on average, and for large n
    their KL is (K - 1) / 2n.

    Args:
        y: Labels of samples, shape [n], n at least 1.
        classes: K, those that there could be.
    """
    counts = torch.bincount(y, minlength=classes).double()
    share = counts[counts > 0] / counts.sum()
    return {"modes": float(len(share)), "mode_kl": math.log(classes) + float((share * share.log()).sum())}


@register("metric")
@dataclass
class ClassModes(Metric):
    """Classes found among all samples, and how unevenly they fall, by a classifier of the data (VEEGAN, PacGAN).

    Srivastava et al. 2017, sec. 4.2; Lin et al. 2018, sec. 4.2, both with 26,000 samples and 1,000 classes.
    """

    name: str = option("class_modes", "registered name")

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: each channel must show a class of its own, so that there are classes enough to lose."""
        known = data.spec.is_image and data.spec.channel_classes > 1
        return None if known else "no channel of this data has classes of its own"

    def expected(self, run: Planned) -> list[str]:
        """Return both, for images that show a class in each channel."""
        return ["diversity/modes", "diversity/mode_kl"] if run.spec.channel_classes > 1 else []

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return the classifier, its own held-out accuracy, n and the number of classes there are."""
        of = evaluation.data.spec.classes
        return judge(evaluation) | {"n": evaluation.n, "of": of, "split": "holdout", "G": "averaged weights"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``diversity/modes`` and ``diversity/mode_kl``, over all samples."""
        found = predict(trained(evaluation.data), evaluation.fake[0])
        values = count_classes(found, evaluation.data.spec.classes)
        return {f"diversity/{name}": value for name, value in values.items()}
