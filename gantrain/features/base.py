"""The contract of features: what the metrics that compare samples with data compare them by."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data

LAST_EXTRACTOR: list[tuple[weakref.ref[Data], object, Extractor]] = []  # one at most, while its data exist


def default_features(spec: Spec) -> str:
    """Return the name of the features that ``features=auto`` picks: those of a classifier for labelled images."""
    return "classifier" if spec.is_image and spec.classes > 1 else "pixels"


class Extractor(nn.Module, ABC):
    """A map of samples to features that is ready to use, in eval mode and without gradients.

    Attributes:
        dimension: Numbers that each sample becomes.
        protocol: How they come about: the preprocessing, and the ``sha256`` of the weights if there are any.
        bytes_per_sample: Of the largest activations, by which an evaluation chooses how many samples it maps at a
            time.
    """

    dimension: int
    protocol: Mapping[str, object]
    bytes_per_sample: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the features [N, dimension], float32 or float64, of samples [N, ...]; images lie in [-1, 1]."""

    def logits(self, features: Tensor) -> Tensor:
        """Return class scores [N, K] of features [N, dimension]. Raises LookupError without ``Features.has_logits``."""
        raise LookupError("this network has no class scores")


class Features(ABC):
    """A choice of features.

    Attributes:
        name: The registered name.
        is_published: Whether they are those of a network that others have too, so that numbers can be compared.
        has_logits: Whether the extractor has ``logits``, which the Inception score reads.
    """

    name: str
    is_published: ClassVar[bool] = False
    has_logits: ClassVar[bool] = False

    def why_unsupported(self, spec: Spec) -> str | None:
        """Return why samples of this spec have no such features, or None when they have."""
        return None

    def dimension(self, spec: Spec) -> int | None:
        """Return how many numbers a sample of this spec becomes, if that is known before ``load``."""
        return None

    def check_weights(self) -> None:
        """Raise now, before a run starts, what ``load`` would raise for a file of weights; most have none."""
        return

    @abstractmethod
    def load(self, data: Data) -> Extractor:
        """Return the extractor for these data, on the CPU.

        Raises:
            GantrainError: When its weights are absent, or not those that they should be.
        """

    def extractor(self, data: Data, device: torch.device) -> Extractor:
        """Return the extractor for these data on a device, loaded once for all evaluations of a run."""
        if not LAST_EXTRACTOR or LAST_EXTRACTOR[0][0]() is not data or LAST_EXTRACTOR[0][1] != self:
            loaded = self.load(data).eval().requires_grad_(False)
            LAST_EXTRACTOR[:] = [(weakref.ref(data, lambda _: LAST_EXTRACTOR.clear()), self, loaded)]
        return LAST_EXTRACTOR[0][2].to(device)


def tag_suffix(features: Features, spec: Spec) -> str:
    """Return ``/NAME`` of features that are not those that ``features=auto`` picks for these data; else nothing."""
    return "" if features.name in ("auto", default_features(spec)) else f"/{features.name}"
