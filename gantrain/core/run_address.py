"""A checkpoint named by its run and a word: ``RUN@best``, ``RUN@900``. Imports neither torch nor hydra."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gantrain.core.files import MAX_PLAN_BYTES, read_json
from gantrain.core.run_folder import STATE, RunFolder, is_run
from gantrain.core.text import cut_middle
from gantrain.errors import CheckpointError

BEST = "best"
MAX_WORD, MAX_LETTERS = 40, 160  # letters of what was typed, and of the list of checkpoints


def path_of(address: str | Path) -> Path:
    """Return a path that a user typed, or the checkpoint that ``RUN@best`` or ``RUN@STEP`` names.

    Raises:
        CheckpointError: For a run that has no such checkpoint.
    """
    path = Path(os.path.expanduser(address))
    name, at, word = str(path).rpartition("@")
    if not at or os.sep in word or os.path.exists(path) or not os.path.isdir(name):
        return path
    run = RunFolder(Path(name))
    if not is_run(run.path):
        raise CheckpointError(address, f"{name} is not a run", f"name a run and one of its steps: RUN@{BEST}")
    return checkpoint_named(run, word)


def checkpoint_named(run: RunFolder, word: str) -> Path:
    """Return the checkpoint of a run by ``best`` or its step. Raises CheckpointError for another word."""
    if word.isascii() and word.isdecimal():
        wanted = word.lstrip("0") or "0"
        if found := [path for path in run.checkpoints if str(int(path.name)) == wanted]:
            return found[0]
        what = f"has no checkpoint of step {cut_middle(wanted, MAX_WORD)}"
        raise CheckpointError(run.path, what, _choices(run))
    if word != BEST:
        what = f"{cut_middle(word, MAX_WORD)!r} is neither a step nor {BEST}"
        raise CheckpointError(run.path, what, _choices(run))
    step = best_of(run).get("step")
    if step is None:
        remedy = f"{_choices(run)}; a run with train.keep_best=TAG keeps one"
        raise CheckpointError(run.path, f"has no {BEST} checkpoint", remedy)
    if found := [path for path in run.checkpoints if int(path.name) == step]:
        return found[0]
    raise CheckpointError(run.path, f"its {BEST} checkpoint, of step {step}, is not there", _choices(run))


def best_of(run: RunFolder) -> dict[str, Any]:
    """Return the ``tag``, ``step`` and ``value`` of a run's best checkpoint, as the newest one says; {} for none."""
    newest = run.newest_checkpoint
    return best_in(newest) if newest else {}


def best_in(checkpoint: Path) -> dict[str, Any]:
    """Return the ``tag``, ``step`` and ``value`` of the best state up to a checkpoint; {} for none."""
    return checked_best(read_json(checkpoint / STATE, strict=False, most=MAX_PLAN_BYTES).get(BEST))


def checked_best(best: Any) -> dict[str, Any]:
    """Return what a file says of the best state if it is that: a tag, a step and a value; else {}."""
    kinds = {"tag": str, "step": int, "value": float}
    is_known = isinstance(best, dict) and all(isinstance(best.get(key), kind) for key, kind in kinds.items())
    return {key: best[key] for key in kinds} if is_known else {}


def names(run: RunFolder) -> list[str]:
    """Return the words that name a run's checkpoints: their steps, and last the best one's."""
    steps = [str(int(path.name)) for path in run.checkpoints]
    return [*steps, *([BEST] if str(best_of(run).get("step")) in steps else [])]


def _choices(run: RunFolder) -> str:
    step = best_of(run).get("step")
    texts = [f"{BEST} (step {step})" if name == BEST else name for name in names(run)]
    others = [text for text in texts if text != str(step) or len(texts) == 1]
    return f"there are {cut_middle(', '.join(others), MAX_LETTERS)}" if others else "it has none so far"
