"""User errors, each with an exit code and one line: where, what is wrong, what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Mapping

from gantrain.core.text import escape_controls


class GantrainError(Exception):
    """An error with one line to show: ``<where>: <what>; <remedy>``.

    Args:
        where: The config key, file or run.
        what: What is wrong with it.
        remedy: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, where: object, what: object, remedy: str):
        self.where, self.what, self.remedy = where, what, remedy
        super().__init__(escape_controls(f"{where}: {what}; {remedy}"))


class ConfigError(GantrainError):
    """A key, value or usage that cannot be run."""

    exit_code = 2


class DataError(GantrainError):
    """Data that is absent, broken or does not fit its labels."""

    exit_code = 3


class CheckpointError(GantrainError):
    """A run folder or checkpoint that is absent, damaged or of another kind."""

    exit_code = 4


class OutputError(GantrainError):
    """A folder that cannot be written: full, read-only or in use."""

    exit_code = 5


class Diverged(GantrainError):
    """A loss or gradient that is not finite, seen before it reached the weights."""

    exit_code = 6


class Interrupted(GantrainError):
    """A run stopped by a signal after its state was saved; ``exit_code`` is 128 + the signal's number."""

    def __init__(self, where: object, what: object, remedy: str, exit_code: int):
        super().__init__(where, what, remedy)
        self.exit_code = exit_code


class Pruned(GantrainError):
    """A trial of a search, given up since others were better by then: not a failure.

    Args:
        where: The run.
        what: When and why.
        remedy: What keeps such trials.
        step: The step of its last evaluation.
        metrics: What that read.
    """

    exit_code = 0

    def __init__(self, where: object, what: object, remedy: str, step: int, metrics: Mapping[str, float]):
        super().__init__(where, what, remedy)
        self.step, self.metrics = step, dict(metrics)


# A full disk or quota, or a place that cannot be written; any other OSError is about something else.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}


def to_user_error(error: BaseException) -> GantrainError:
    """Return any exception as the error that is reported: of the user, the memory, the disk, or this program."""
    if isinstance(error, GantrainError):
        return error
    if isinstance(error, KeyboardInterrupt):
        interrupted = GantrainError("gantrain", "interrupted", "nothing was running that could be saved")
        interrupted.exit_code = 130
        return interrupted
    what = " ".join(str(error).split())
    # torch's allocators for CPU and GPU, and the kernel, have a wording each.
    short = ("not enough memory", "out of memory", "allocate memory")
    if isinstance(error, MemoryError) or any(words in what for words in short):
        return GantrainError(
            "memory", "there is not enough", "lower train.batch_size, model.width or metric.n"
        )
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        remedy = "free space, or set run.root to a folder of yours"
        return OutputError(error.filename or "file", error.strerror or what, remedy)
    if isinstance(error, OSError) and error.errno is not None:
        remedy = "check that path, or run again with --traceback to see where it was used"
        if error.filename is None:
            remedy = "run again with --traceback to see where"
        return GantrainError(error.filename or "system", error.strerror or what, remedy)
    return GantrainError(
        "internal", f"{type(error).__name__}: {what}", "run again with --traceback and report it"
    )


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for a near miss, else the list of what is known, or that nothing is.

    Args:
        word: What the user typed.
        known: The names that would have been right.
    """
    names = sorted(known)
    if not names:
        return "leave it out"
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(names)}"
