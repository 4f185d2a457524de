"""A run as it was at one of its checkpoints, for tables and pages: the numbers logged at that step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gantrain.core.files import read_json
from gantrain.core.history import last_values
from gantrain.core.run_folder import CHECKPOINTS, RunFolder
from gantrain.core.tags import with_current_names
from gantrain.errors import CheckpointError
from gantrain.reports.readings import mapping

METRICS = ("divergence/", "diversity/", "fidelity/")  # tags that are metrics wherever they are logged


def step_of(path: Path) -> int | None:
    """Return the step of a checkpoint's folder; None for any other."""
    return int(path.name) if path.parent.name == CHECKPOINTS and path.name.isdecimal() else None


def metrics_at(run: RunFolder, step: int) -> dict[str, Any]:
    """Return the metrics of a step by tag, of its log, of the run's end if it is that, and of ``gantrain evaluate``."""
    last = mapping(run.result.get("metrics"))
    logged = last_values(run.history, step)
    found = {tag: value for tag, value in logged.items() if tag.startswith(METRICS) or tag in last}
    for source in (run.result, _evaluation(run, step)):
        if source.get("step") == step:
            found |= mapping(source.get("metrics"))
    return found


def result_at(run: RunFolder, step: int) -> dict[str, Any]:
    """Return what ``result.json`` would hold of a run that had ended at a step, as far as that was written.

    Raises:
        CheckpointError: For a step without metrics.
    """
    metrics = metrics_at(run, step)
    if not metrics:
        where = f"{run.path}@{step}"
        raise CheckpointError(where, "the run was not evaluated at that step", f"gantrain evaluate {where}")
    end, evaluation = run.result, _evaluation(run, step)
    keys = ["protocol", "floors", "floor_errors", "published"]
    keys += ["errors", "intervals"] if end.get("step") == step else []
    shared = {key: end[key] for key in keys if key in end}
    return shared | evaluation | {"metrics": metrics, "status": "finished", "step": step}


def _evaluation(run: RunFolder, step: int) -> dict[str, Any]:
    return dict(with_current_names(read_json(run.evaluation_file(step), strict=False)))
