"""What a detector is: how one fault shows, what is normal, and its likely cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gantrain.tracking.health.case import Case
from gantrain.tracking.health.finding import Finding

Find = Callable[[Case], Finding | None]


@dataclass(frozen=True)
class Detector:
    """Detects one fault.

    Attributes:
        find: Returns the fault with its numbers and remedies, or None; its docstring says what the fault is.
        normal: The range of these numbers in healthy runs.
        cause: The likely cause.
        reads_metrics: Whether it reads metrics, which only evaluations have; others read the signs of each checkup too.
    """

    find: Find
    normal: str
    cause: str
    reads_metrics: bool = False

    def __call__(self, case: Case) -> Finding | None:
        """Return the fault with what is normal and its likely cause, or None."""
        finding = self.find(case)
        return finding and replace(finding, normal=self.normal, cause=self.cause)


def detector(normal: str, cause: str, reads_metrics: bool = False) -> Callable[[Find], Detector]:
    """Turn a function into a detector, as a decorator; arguments as the attributes."""
    return lambda find: Detector(find, normal, cause, reads_metrics)
