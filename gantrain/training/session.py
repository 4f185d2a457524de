"""How a run was started, next to its config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Session:
    """How a run was started, next to its config.

    Attributes:
        command: What the user typed, for the record.
        given: The keys that were set by hand, with their values as typed: what varies among the jobs of a sweep.
        bar: Whether this run may draw a progress bar; jobs that run at the same time write lines.
        watch: Called after each evaluation with the step, the metrics by tag, and the share of the run that is over;
            what it raises ends the run.
    """

    command: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    bar: bool = True
    watch: Callable[[int, Mapping[str, float], float], None] | None = None
