"""User errors, each with an exit code and one line: where, what is wrong, what to do."""

import difflib
import errno
import re
from collections.abc import Iterable, Mapping

from gantrain.core.text import MAX_LINE, cut_to_fit, one_line


class GantrainError(Exception):
    """An error that is reported on one line: ``<where>: <what>; <remedy>``.

    Args:
        where: The config key, file or run.
        what: What is wrong with it.
        remedy: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, where: object, what: object, remedy: str):
        self.where, self.what, self.remedy = where, what, remedy
        # A name or value from a file may be long, or colour the terminal.
        parts = [one_line(str(part)) for part in (where, what, remedy)]
        super().__init__("{}: {}; {}".format(*cut_to_fit(parts, MAX_LINE - len(": ; "))))


class ConfigError(GantrainError):
    """A key, value or command line that cannot be run."""

    exit_code = 2


class DataError(GantrainError):
    """Data that is missing, broken or does not match its labels."""

    exit_code = 3


class CheckpointError(GantrainError):
    """A run folder or checkpoint that is missing, damaged or of another kind."""

    exit_code = 4


class OutputError(GantrainError):
    """A folder that cannot be written: full, read-only or in use."""

    exit_code = 5


class Diverged(GantrainError):
    """A loss or gradient that is not finite, detected before it reaches the weights."""

    exit_code = 6


class Interrupted(GantrainError):
    """A run stopped by a signal after its state was saved; ``exit_code`` is 128 + the signal's number."""

    def __init__(self, where: object, what: object, remedy: str, exit_code: int):
        super().__init__(where, what, remedy)
        self.exit_code = exit_code


class Pruned(GantrainError):
    """A trial that a search stopped early since others were better at that step; not a failure.

    Args:
        where: The run.
        what: When and why.
        remedy: How to keep such trials.
        step: The step of its last evaluation.
        metrics: The values of that evaluation, by tag.
    """

    exit_code = 0

    def __init__(self, where: object, what: object, remedy: str, step: int, metrics: Mapping[str, float]):
        super().__init__(where, what, remedy)
        self.step, self.metrics = step, dict(metrics)


# A full disk or quota, or a folder that cannot be written; other OSErrors have other causes.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}


def to_user_error(error: BaseException) -> GantrainError:
    """Return any exception as the error to report: of the user, the memory, the disk, or this program."""
    if isinstance(error, GantrainError):
        return error
    if isinstance(error, KeyboardInterrupt):
        interrupted = GantrainError("gantrain", "interrupted", "nothing was running that could be saved")
        interrupted.exit_code = 130
        return interrupted
    what = " ".join(str(error).split())
    # torch's allocators for CPU and GPU, and the kernel, each have their own wording.
    if isinstance(error, MemoryError) or re.search("not enough memory|out of memory|allocate memory", what):
        return GantrainError(
            "memory", "there is not enough", "lower train.batch_size, model.width or metric.n"
        )
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        remedy = "free space, or set run.root to a folder of yours"
        return OutputError(error.filename or "file", error.strerror or what, remedy)
    # An OSError without a number was not raised by the system.
    if isinstance(error, OSError) and error.errno is not None:
        check = "check that path, or " if error.filename else ""
        remedy = f"{check}run again with --traceback to see where it happened"
        return GantrainError(error.filename or "system", error.strerror or what, remedy)
    what = f"{type(error).__name__}: {what}"
    return GantrainError("internal", what, "run again with --traceback and report it")


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` if a legal name is close to ``word``, else the list of all legal names."""
    if not (names := sorted(known)):
        return "leave it out"
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(names)}"
