"""What an evaluation found, as it is logged, and as ``result.json`` has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gantrain.core.estimate import ERROR_SUFFIX, Estimate


@dataclass(frozen=True)
class EvaluationResult:
    """The metrics of one evaluation.

    Attributes:
        estimates: The metrics by tag.
        final_errors: Standard errors of some of them, computed at the end only and not logged.
        floors: The same tags with fresh real samples in place of those of G: the values of a perfect generator.
        protocol: How each metric was computed, by the metric's name.
        on_training: D's own estimates on training data in place of held-out data, against the same samples.
    """

    estimates: dict[str, Estimate] = field(default_factory=dict)
    final_errors: dict[str, float] = field(default_factory=dict)
    floors: dict[str, Estimate] = field(default_factory=dict)
    protocol: dict[str, dict[str, object]] = field(default_factory=dict)
    on_training: dict[str, Estimate] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """What is logged: plain numbers by tag, and ``<tag>_se`` for a standard error."""
        values: dict[str, float] = {}
        for tag, estimate in self.estimates.items():
            values[tag] = float(estimate)
            if estimate.error is not None:
                values[tag + ERROR_SUFFIX] = estimate.error
        return values

    @property
    def final(self) -> dict[str, Estimate]:
        """The metrics by tag, with their final errors."""
        return {tag: e.with_error(self.final_errors.get(tag, e.error)) for tag, e in self.estimates.items()}

    def description(self) -> dict[str, Any]:
        """Return all of it as plain data, as ``result.json`` has it."""
        final, floors = self.final, {tag: float(floor) for tag, floor in self.floors.items()}
        return {
            "metrics": self.metrics,
            "intervals": {tag: found.interval_description(floors.get(tag)) for tag, found in final.items()},
            "errors": {tag: estimate.description() for tag, estimate in final.items()},
            "floors": floors,
            "floor_errors": {tag: floor.description() for tag, floor in self.floors.items()},
            "protocol": self.protocol,
        }
