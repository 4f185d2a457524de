"""What a run's folder says of the run, read from its files: torch is not needed, nor is the run over."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gantrain.errors import CheckpointError

CONFIG, RESULT, STATE, SWEEP = "config.json", "result.json", "state.json", "sweep.json"
DONE = ("finished", "pruned")  # how a run ends that is not to be run again
NAN = float("nan")


@dataclass(frozen=True)
class Record:
    """A run as its files have it at this moment.

    Attributes:
        folder: Where it lies.
        config: The resolved config, plain data; empty when the run ended before it had one.
        result: What ``result.json`` holds; empty while there is none.
        overrides: The words it was started with.
        history: ``{"step": …, tag: value}`` of each line of ``metrics.jsonl``, oldest first.
        status: ``finished``, ``failed``, ``diverged``, ``interrupted``, ``killed``, ``pruned``, ``running``;
            ``stopped`` when a process died without a word, ``missing`` when none began.
    """

    folder: Path
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    overrides: list[str]
    history: list[dict[str, Any]]
    status: str

    @property
    def step(self) -> int:
        """Steps that are done, as far as is written down."""
        logged = int(self.history[-1]["step"]) if self.history else 0
        if self.status == "running":  # the rest may be of an attempt that is given up
            return logged
        return max(int(self.result.get("step", 0)), logged, self.saved)

    @property
    def steps(self) -> int:
        """Steps that were asked for; 0 when that is not known, as where seconds end the run."""
        return _asked(self.config)

    @property
    def saved(self) -> int:
        """Step of the newest checkpoint, or 0."""
        return int(self.checkpoints[-1].name) if self.checkpoints else 0

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoint folders by step, oldest first."""
        return checkpoints(self.folder)

    def latest(self, at: int | None = None) -> dict[str, float]:
        """Return the last value of each tag, or those of one step."""
        rows = [row for row in self.history if at is None or row["step"] == at]
        merged = {tag: value for row in rows for tag, value in row.items() if tag != "step"}
        return {tag: NAN if value is None else float(value) for tag, value in merged.items()}


def read_run(folder: Path) -> Record:
    """Read a run's folder. Raises CheckpointError for a file that cannot be read."""
    config, result = read_json(folder / CONFIG), read_json(folder / RESULT)
    history = read_lines(folder / "metrics.jsonl")
    status = str(result.get("status", ""))
    if is_held(folder):
        status = "running"
    elif status == "finished" and result["step"] < max([_asked(config), *(row["step"] for row in history)]):
        status = "stopped"  # it was told to go on, and died before it could say how that went
    elif not status:
        status = "stopped" if config or history else "missing"
    return Record(folder, config, result, words_of(folder), history, status)


def _asked(config: Mapping[str, Any]) -> int:
    train = config.get("train", {})
    return 0 if train.get("seconds") else int(train.get("steps", 0))


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's mapping, empty where there is no file. Raises CheckpointError."""
    text = _text(path)
    if not text:
        return {}
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"cannot be read ({error})", "restore it, or train again") from error
    if not isinstance(plain, dict):
        raise CheckpointError(path, "does not hold what gantrain writes", "restore it, or train again")
    return plain


def found_json(path: Path) -> dict[str, Any]:
    """Return a file's mapping as ``read_json``, empty also where it is broken: one run must not hide the others."""
    try:
        return read_json(path)
    except CheckpointError:
        return {}


def words_of(run: Path) -> list[str]:
    """Return the words that a run was started with; none where Hydra's note of them is absent or broken."""
    try:
        words = yaml.safe_load(_text(run / ".hydra" / "overrides.yaml"))
    except (CheckpointError, ValueError, yaml.YAMLError):
        return []
    return [str(word) for word in words] if isinstance(words, list) else []


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a ``metrics.jsonl``; a line that is being written, or was left half written, is no row."""
    rows = []
    for line in _text(path).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror})", "make it readable") from error


def checkpoints(run: Path) -> list[Path]:
    """Return a run's checkpoint folders by step, oldest first."""
    found = (path for path in (run / "checkpoints").glob("*") if path.name.isdecimal())
    return sorted((path for path in found if (path / STATE).is_file()), key=lambda path: int(path.name))


def is_held(folder: Path) -> bool:
    """Return whether a process is at work in the folder of a run or a sweep."""
    try:
        handle = os.open(folder / ".lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks, on which nothing can be told
        return False
    finally:
        os.close(handle)
    return False


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run, however far it came."""
    named = (folder / CONFIG).is_file() or (folder / RESULT).is_file()
    return named or ((folder / ".hydra").is_dir() and not is_sweep(folder))


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return (folder / SWEEP).is_file() or (folder / "multirun.yaml").is_file()


def jobs(sweep: Path) -> list[tuple[Path, list[str]]]:
    """Return the folder and the overrides of each job of a sweep, those that never began too.

    Raises:
        CheckpointError: When the list of jobs cannot be read.
    """
    listed = read_json(sweep / SWEEP).get("jobs")
    if listed is None:
        return [(path, []) for path in sorted(sweep.iterdir()) if path.is_dir() and is_run(path)]
    try:
        return [(sweep / job["folder"], [str(word) for word in job["overrides"]]) for job in listed]
    except (KeyError, TypeError) as error:
        raise CheckpointError(sweep / SWEEP, "does not hold what gantrain writes", "restore it") from error
