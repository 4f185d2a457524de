"""Samples that belong to no run: pictures or points of one shape, read from files or given as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gantrain.datasets.base import Split


@dataclass(frozen=True)
class Samples:
    """Samples of one shape.

    Attributes:
        split: All of them, and their labels, indices into ``classes``.
        classes: The names of the classes; none without labels.
        description: Their number and what they were read from.
    """

    split: Split
    classes: Sequence[str]
    description: str
