"""A run on disk: the names and contents of its files, and its status. Imports neither torch nor hydra."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gantrain.core.files import MAX_PLAN_BYTES, read_json, read_text
from gantrain.core.folder_lock import LockedFolder
from gantrain.core.history import read_history
from gantrain.core.tags import with_current_names
from gantrain.errors import CheckpointError

CONFIG, RESULT, METRICS, LOG = "config.json", "result.json", "metrics.jsonl", "gantrain.log"
TERMINAL = "terminal.log"  # of a job of a sweep: what it printed while others ran at the same time
DIFFERS = "differs"  # key of CONFIG and STATE: the part of the config that is not the default
DATA_FILES = "data_files.jsonl"  # names and sizes of the files that the data come from
PLUGINS = "plugins"  # likewise: the plug-ins from outside the package, of ``plugins.provenance``
STATE = "state.json"  # of a checkpoint: all but its tensors
PLAN, MULTIRUN = "sweep.json", "multirun.yaml"  # of a sweep: gantrain's plan, Hydra's config
HYDRA, OVERRIDES, HYDRA_CONFIG = ".hydra", "overrides.yaml", "hydra.yaml"
CHECKPOINTS, SAMPLES, FIGURES = "checkpoints", "samples", "figures"
EVENTS = "events.out.tfevents.*"
DONE = ("finished", "pruned")  # statuses of runs that resuming a sweep leaves alone
MAX_HYDRA_BYTES = 2**16  # of a file that Hydra writes


@dataclass(frozen=True)
class RunFolder(LockedFolder):
    """The folder of a run that is over, running, or has not begun.

    The contents of a file are read once per object, when first needed; listings of files are not cached.

    Attributes:
        path: The folder.
        strict: Whether a broken file raises CheckpointError; otherwise it reads as empty, so that one broken run does
            not hide the others. A missing file always reads as empty.
    """

    strict: bool = True
    parts, logs = (HYDRA, CHECKPOINTS, SAMPLES, FIGURES), (LOG, TERMINAL)

    @classmethod
    def of(cls, path: Path) -> RunFolder:
        """Return the run at a path, or the run of the checkpoint at that path."""
        path = follow_links(path)
        return cls(path.parent.parent if path.parent.name == CHECKPOINTS else path)

    @property
    def config_file(self) -> Path:
        """The resolved config, written before the first step."""
        return self.path / CONFIG

    @property
    def result_file(self) -> Path:
        """The end of the run: status, metrics, timing."""
        return self.path / RESULT

    @property
    def metrics_file(self) -> Path:
        """Every scalar, one JSON object per line."""
        return self.path / METRICS

    @property
    def data_file(self) -> Path:
        """The list of the files that the data come from; none for data that are drawn."""
        return self.path / DATA_FILES

    @property
    def log_file(self) -> Path:
        """The log."""
        return self.path / LOG

    @property
    def samples(self) -> Path:
        """The folder of sample grids, ``<step>.png``, and of the output of ``gantrain sample``."""
        return self.path / SAMPLES

    @property
    def pictures(self) -> list[Path]:
        """The sample grids, by name."""
        return sorted(self.samples.glob("*.png"))

    @property
    def figures(self) -> list[Path]:
        """The figures of metrics, by name."""
        return sorted((self.path / FIGURES).glob("*.png"))

    @property
    def event_files(self) -> list[Path]:
        """TensorBoard's event files, oldest first."""
        return sorted(self.path.glob(EVENTS))

    @property
    def evaluations(self) -> list[Path]:
        """The outputs of ``gantrain evaluate``, by step."""
        return sorted(self.path.glob("evaluation-*.json"))

    def evaluation_file(self, step: int) -> Path:
        """Return the file in which ``gantrain evaluate`` writes the metrics of a step."""
        return self.path / f"evaluation-{step:06d}.json"

    def checkpoint(self, step: int) -> Path:
        """Return the folder of a step's checkpoint, which need not exist."""
        return self.path / CHECKPOINTS / f"{step:06d}"

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoint folders by step, oldest first."""
        paths = (path for path in (self.path / CHECKPOINTS).glob("*") if path.name.isdecimal())
        return sorted(filter(is_checkpoint, paths), key=lambda path: int(path.name))

    @property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint of the latest step, if there is any."""
        return next(reversed(self.checkpoints), None)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config as plain data; empty when the run ended before writing one."""
        return {key: value for key, value in self._config_json.items() if key not in (DIFFERS, PLUGINS)}

    @property
    def differs(self) -> dict[str, list[str]]:
        """The part of the config that is not the default, by group; empty for runs of older versions."""
        return dict(self._config_json.get(DIFFERS) or {})

    @property
    def plugins(self) -> dict[str, Any]:
        """The plug-ins from outside the package that the config needs, of ``plugins.provenance``."""
        return dict(self._config_json.get(PLUGINS) or self.result.get(PLUGINS) or {})

    @cached_property
    def _config_json(self) -> dict[str, Any]:
        return read_json(self.config_file, self.strict)

    @cached_property
    def result(self) -> dict[str, Any]:
        """The contents of ``result.json``; empty while there is none."""
        return dict(with_current_names(read_json(self.result_file, self.strict)))

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl`` as ``{"step": …, tag: value}``, oldest first; of a very long file a part."""
        return read_history(self.metrics_file, self.strict)

    @cached_property
    def overrides(self) -> list[str]:
        """The overrides that started the run; none where Hydra's file of them is missing or broken."""
        words = self._hydra_file(OVERRIDES)
        # A list in a list may stand for billions of words.
        return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []

    @property
    def config_dir(self) -> str:
        """The folder of the user's own configs, of ``--config-dir``; an empty string without one."""
        try:
            sources = self._hydra_file(HYDRA_CONFIG)["hydra"]["runtime"]["config_sources"]
            return next((str(one["path"]) for one in sources if one["provider"] == "command-line"), "")
        except (KeyError, TypeError):
            return ""

    def _hydra_file(self, name: str) -> Any:
        """Return the contents of a file that Hydra wrote; None if it is missing or broken."""
        import yaml

        try:
            return yaml.safe_load(read_text(self.path / HYDRA / name, strict=False, most=MAX_HYDRA_BYTES))
        except (ValueError, RecursionError, yaml.YAMLError):
            return None

    @property
    def environment(self) -> dict[str, Any]:
        """Machine and versions of the newest checkpoint; empty without one."""
        newest = self.newest_checkpoint
        state = read_json(newest / STATE, self.strict, MAX_PLAN_BYTES) if newest else {}
        environment = state.get("environment") if newest else {}
        if self.strict and not isinstance(environment, dict):
            what = "has a checkpoint without its environment"
            raise CheckpointError(self.path, what, "restore it, or train again")
        return environment if isinstance(environment, dict) else {}

    @cached_property
    def status(self) -> str:
        """``finished``, ``failed``, ``diverged``, ``interrupted``, ``killed``, ``pruned`` or ``running``.

        ``stopped`` when the process died without a result, ``missing`` when the run never began.
        """
        if self.is_locked:
            return "running"
        status = str(self.result.get("status", ""))
        # The result may be older than a continuation of the run that died before it wrote another.
        latest = max([self.planned_steps, *(row["step"] for row in self.history)])
        if status == "finished" and self.result["step"] < latest:
            return "stopped"
        return status or ("stopped" if self.config or self.history else "missing")

    def outcome(self) -> dict[str, Any]:
        """Return the current contents of ``result.json``; ``{"status": "missing"}`` if it cannot be read."""
        result = read_json(self.result_file, strict=False)
        return result if "status" in result else {"status": "missing"}

    @property
    def can_begin_anew(self) -> bool:
        """Whether the run ended before its first checkpoint: ``gantrain resume`` then starts it from its config."""
        return self.config_file.is_file() and not self.checkpoints and self.outcome()["status"] not in DONE

    @property
    def step(self) -> int:
        """The number of steps done, as far as it was recorded."""
        logged = int(self.history[-1]["step"]) if self.history else 0
        if self.status == "running":  # the result and the checkpoints may be those of an abandoned attempt
            return logged
        newest = self.newest_checkpoint
        return max(int(self.result.get("step", 0)), logged, int(newest.name) if newest else 0)

    @property
    def planned_steps(self) -> int:
        """The number of steps to do; 0 if unknown, as when seconds limit the run."""
        train = self.config.get("train", {})
        return 0 if train.get("seconds") or train.get("minutes") else int(train.get("steps", 0))


def is_run(path: Path) -> bool:
    """Return whether a folder is a run's, finished or not."""
    is_job = (path / HYDRA).is_dir() and not is_sweep(path)
    return is_job or (path / CONFIG).is_file() or (path / RESULT).is_file()


def is_sweep(path: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return (path / PLAN).is_file() or (path / MULTIRUN).is_file()


def is_checkpoint(path: Path) -> bool:
    """Return whether a folder is a checkpoint of a run."""
    return (path / STATE).is_file()


def follow_links(path: Path) -> Path:
    """Return where a run or a checkpoint really is, without the links inside the run, which may be a stranger's."""
    if path.parent.name == CHECKPOINTS:
        return Path(os.path.realpath(path.parent.parent), CHECKPOINTS, path.name)
    return Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a circle of links
