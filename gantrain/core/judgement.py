"""What D says of samples: a logit, and where an objective or a cost needs them, features and logits of classes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Judgement(NamedTuple):
    """D's outputs on samples.

    Attributes:
        logit: Before any sigmoid; positive means real, shape [N].
        classes: Logits of the classes, shape [N, K], or None.
        features: What the logit is computed from, shape [N, d], or None.
    """

    logit: Tensor
    classes: Tensor | None = None
    features: Tensor | None = None

    @property
    def present(self) -> dict[str, Tensor]:
        """What is not None, by name."""
        parts = {"logit": self.logit, "classes": self.classes, "features": self.features}
        return {name: part for name, part in parts.items() if part is not None}

    def float(self) -> Judgement:
        """Return the same in float32."""
        classes, features = (None if part is None else part.float() for part in self[1:])
        return Judgement(self.logit.float(), classes, features)

    def chunk(self, count: int) -> list[Judgement]:
        """Return those of ``count`` equal parts of the samples, in order."""
        others = ([None] * count if part is None else part.chunk(count) for part in self[1:])
        return [Judgement(*one) for one in zip(self.logit.chunk(count), *others, strict=True)]
