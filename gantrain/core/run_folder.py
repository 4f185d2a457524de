"""A run on disk: the names of its files, what they hold, and how the run stands. Light: no torch, no hydra."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gantrain.core.files import is_locked, read_json, read_text, run_folder_lock
from gantrain.errors import CheckpointError

CONFIG, RESULT, METRICS, LOG = "config.json", "result.json", "metrics.jsonl", "gantrain.log"
DIFFERS = "differs"  # key of CONFIG and STATE: what of the config is not the default
STATE = "state.json"  # of a checkpoint: what its tensors are
PLAN, MULTIRUN = "sweep.json", "multirun.yaml"  # of a sweep: gantrain's plan, Hydra's own file
HYDRA, OVERRIDES = ".hydra", "overrides.yaml"
CHECKPOINTS, SAMPLES, FIGURES = "checkpoints", "samples", "figures"
EVENTS = "events.out.tfevents.*"
DONE = ("finished", "pruned")  # the statuses of a run that is not run again
NAN = float("nan")


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, of a run that is over, under way or has not begun.

    Each file is read once, when it is first needed; a new object reads it anew. Files and folders are listed anew
    each time.

    Attributes:
        path: Where it is.
        strict: Whether a broken file raises CheckpointError; otherwise it reads as empty, so that one broken run does
            not hide the others. A file that is absent always reads as empty.
    """

    path: Path
    strict: bool = True

    @classmethod
    def of(cls, path: Path) -> RunFolder:
        """Return the run that a path is, or the run of the checkpoint that it is."""
        path = path.resolve()
        return cls(path.parent.parent if path.parent.name == CHECKPOINTS else path)

    # Where its files are --------------------------------------------------------------------------------------

    @property
    def config_file(self) -> Path:
        """The resolved config, written before the first step."""
        return self.path / CONFIG

    @property
    def result_file(self) -> Path:
        """How the run ended."""
        return self.path / RESULT

    @property
    def metrics_file(self) -> Path:
        """Every scalar, a JSON object a line."""
        return self.path / METRICS

    @property
    def log_file(self) -> Path:
        """What was logged."""
        return self.path / LOG

    @property
    def samples(self) -> Path:
        """The folder of sample grids, ``<step>.png``, and of what ``gantrain sample`` writes."""
        return self.path / SAMPLES

    @property
    def pictures(self) -> list[Path]:
        """The pictures under ``samples``, by name."""
        return sorted(self.samples.glob("*.png"))

    @property
    def figures(self) -> list[Path]:
        """The figures that metrics drew, by name."""
        return sorted((self.path / FIGURES).glob("*.png"))

    @property
    def event_files(self) -> list[Path]:
        """TensorBoard's event files, oldest first."""
        return sorted(self.path.glob(EVENTS))

    @property
    def evaluations(self) -> list[Path]:
        """What ``gantrain evaluate`` wrote, by step."""
        return sorted(self.path.glob("evaluation-*.json"))

    def evaluation_file(self, step: int) -> Path:
        """Return where ``gantrain evaluate`` writes the metrics of a step."""
        return self.path / f"evaluation-{step:06d}.json"

    def checkpoint(self, step: int) -> Path:
        """Return the folder of a step's checkpoint, whether it is there or not."""
        return self.path / CHECKPOINTS / f"{step:06d}"

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoint folders by step, oldest first."""
        found = (path for path in (self.path / CHECKPOINTS).glob("*") if path.name.isdecimal())
        return sorted((path for path in found if is_checkpoint(path)), key=lambda path: int(path.name))

    @property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint of the latest step, if there is any."""
        found = self.checkpoints
        return found[-1] if found else None

    # What they hold -------------------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config, plain data; empty when the run ended before it had one."""
        return {key: value for key, value in self._config_json.items() if key != DIFFERS}

    @property
    def differs(self) -> dict[str, list[str]]:
        """What of the config is not the default: each group's words; empty for a run of before it was written."""
        return dict(self._config_json.get(DIFFERS) or {})

    @cached_property
    def _config_json(self) -> dict[str, Any]:
        return read_json(self.config_file, self.strict)

    @cached_property
    def result(self) -> dict[str, Any]:
        """What ``result.json`` holds; empty while there is none."""
        return read_json(self.result_file, self.strict)

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """``{"step": …, tag: value}`` of each line of ``metrics.jsonl``, oldest first.

        A line that is being written, or was left half written, is no row.
        """
        rows = []
        for line in read_text(self.metrics_file, self.strict).splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
        return rows

    @cached_property
    def overrides(self) -> list[str]:
        """The overrides it was started with; none where Hydra's file of them is absent or broken."""
        import yaml

        try:
            words = yaml.safe_load(read_text(self.path / HYDRA / OVERRIDES, strict=False))
        except (ValueError, yaml.YAMLError):
            return []
        return [str(word) for word in words] if isinstance(words, list) else []

    @property
    def environment(self) -> dict[str, Any]:
        """Machine and versions of the newest checkpoint; empty without one."""
        newest = self.newest_checkpoint
        found = read_json(newest / STATE, self.strict).get("environment") if newest else {}
        if isinstance(found, dict):
            return found
        if self.strict:
            raise CheckpointError(
                self.path, "has a checkpoint without its environment", "restore it, or train again"
            )
        return {}

    # How it stands --------------------------------------------------------------------------------------------

    @property
    def is_locked(self) -> bool:
        """Whether a process is writing here."""
        return is_locked(self.path)

    def lock(self) -> AbstractContextManager[None]:
        """Make the folder and lock it against other processes. Raises OutputError where that cannot be done."""
        return run_folder_lock(self.path)

    @cached_property
    def status(self) -> str:
        """``finished``, ``failed``, ``diverged``, ``interrupted``, ``killed``, ``pruned`` or ``running``.

        ``stopped`` when its process died without a result, ``missing`` when it never began.
        """
        if self.is_locked:
            return "running"
        status = str(self.result.get("status", ""))
        # It was resumed beyond its result, and died before it could write another.
        behind = max([self.planned_steps, *(row["step"] for row in self.history)])
        if status == "finished" and self.result["step"] < behind:
            return "stopped"
        return status or ("stopped" if self.config or self.history else "missing")

    def outcome(self) -> dict[str, Any]:
        """Return what ``result.json`` holds at this moment; ``{"status": "missing"}`` without one that can be read."""
        result = read_json(self.result_file, strict=False)
        return result if "status" in result else {"status": "missing"}

    @property
    def step(self) -> int:
        """Steps that are done, as far as is written down."""
        logged = int(self.history[-1]["step"]) if self.history else 0
        if self.status == "running":  # the result and the checkpoints may be of an attempt that was given up
            return logged
        newest = self.newest_checkpoint
        return max(int(self.result.get("step", 0)), logged, int(newest.name) if newest else 0)

    @property
    def planned_steps(self) -> int:
        """Steps that the run is to make; 0 where that is not known, as where seconds end it."""
        train = self.config.get("train", {})
        return 0 if train.get("seconds") else int(train.get("steps", 0))

    def last_values(self, step: int | None = None) -> dict[str, float]:
        """Return the last value of each tag, or those of one step; NaN for a value that was not finite."""
        rows = [row for row in self.history if step is None or row["step"] == step]
        merged = {tag: value for row in rows for tag, value in row.items() if tag != "step"}
        return {tag: NAN if value is None else float(value) for tag, value in merged.items()}


def is_run(path: Path) -> bool:
    """Return whether a folder is a run's, however far it came."""
    if (path / CONFIG).is_file() or (path / RESULT).is_file():
        return True
    return (path / HYDRA).is_dir() and not is_sweep(path)


def is_sweep(path: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return (path / PLAN).is_file() or (path / MULTIRUN).is_file()


def is_checkpoint(path: Path) -> bool:
    """Return whether a folder is a checkpoint of a run."""
    return (path / STATE).is_file()
