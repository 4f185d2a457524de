"""How a run was started: what its config does not say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gantrain.core.sweep_folder import Plan


@dataclass(frozen=True)
class Session:
    """How a run was started.

    Attributes:
        command: What the user typed, for the record.
        overrides: The keys that the user set, with their values as typed: what varies among the jobs of a sweep.
        bar: Whether this run may show a progress bar; jobs that run at the same time write lines.
        watch: Called after each evaluation with the step, the metrics by tag, and the share of the run that is over;
            what it raises ends the run.
        draw: Called with the run's folder after a step that wrote samples or metrics, to show them.
        plan: Of the sweep that the run is a job of.
    """

    command: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    bar: bool = True
    watch: Callable[[int, Mapping[str, float], float], None] | None = None
    draw: Callable[[Path], None] | None = None
    plan: Plan | None = None
