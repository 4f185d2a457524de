"""User errors, each with an exit code and one line: where, what is wrong, what to do."""

import copyreg
import errno
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to copy an error to another process; by default it would be made anew of its one line."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


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
    """Stopped by a signal, a run after its state was saved; ``exit_code`` is 128 + the signal's number."""

    def __init__(self, where: object, what: object, remedy: str, exit_code: int):
        super().__init__(where, what, remedy)
        self.exit_code = exit_code


class ProcessLost(GantrainError):
    """A process of a run of several that died, or that does not answer."""


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


# What to do about an error of the file system. Errors of other numbers have other causes.
FILE_REMEDIES = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on the size of files: ulimit -f unlimited",
    errno.EMFILE: "raise the number of open files: ulimit -n 4096",
    errno.ENFILE: "close other programs: this machine has no open files left",
    errno.EACCES: "get the permission for it",
    errno.EPERM: "get the permission for it",
    errno.EROFS: "mount its disk for writing",
    errno.EIO: "check that disk: it reports a fault",
    errno.ESTALE: "mount its network disk again",
    errno.ENOENT: "check whether its folder was moved or removed",
    errno.ENOTDIR: "check its path: a part of it is a file",
    errno.EISDIR: "move the folder that has its name",
    errno.EEXIST: "move the file that has its name",
    errno.ELOOP: "remove that link",
    errno.EMLINK: "replace it by a copy of its own",
    errno.ENXIO: "give the name of a file",
    errno.ENAMETOOLONG: "give a shorter name",
}
OUT_OF_MEMORY = "not enough memory|out of memory|allocate memory|STATUS_ALLOC_FAILED"
LIMITS_OF_PROCESS = {errno.EFBIG, errno.EMFILE, errno.ENFILE}  # which no other place avoids


@contextmanager
def writing(path: object, elsewhere: str = "", then: str = "") -> Iterator[None]:
    """Raise an OSError of the block as the OutputError for what is written there.

    Args:
        path: What is written.
        elsewhere: How to choose another place: ``set run.root to a folder of yours``.
        then: The command to type once the cause is gone.
    """
    try:
        yield
    except OSError as error:
        remedies = [FILE_REMEDIES.get(error.errno or 0, "see where it happened with --traceback")]
        if elsewhere and error.errno not in LIMITS_OF_PROCESS:
            remedies.append(elsewhere)
        remedy = ", or ".join(remedies) + f", then: {then}" * bool(then)
        raise OutputError(path, f"cannot be written ({error.strerror or error})", remedy) from error


def to_user_error(error: BaseException) -> GantrainError:
    """Return any exception as the error to report: of the user, the memory, the disk, or this program."""
    if isinstance(error, GantrainError):
        return error
    if isinstance(error, KeyboardInterrupt):
        number = getattr(error, "number", signal.SIGINT)
        what, remedy = f"stopped by {signal.Signals(number).name}", "nothing was lost: type the command again"
        return Interrupted("gantrain", what, remedy, 128 + number)
    what = " ".join(str(error).split())
    # torch's allocators for CPU and GPU, CUDA's libraries, and the kernel, each have their own wording.
    if isinstance(error, MemoryError) or re.search(OUT_OF_MEMORY, what):
        where = "memory of the GPU" if re.search("CUDA|HIP|MPS|CUBLAS|CUDNN", what) else "memory"
        remedy = "lower train.batch_size, model.width or metric.n, or raise train.accumulate"
        return GantrainError(where, "there is not enough", remedy)
    if operation := re.match(r"(.+?) does not have a deterministic implementation", what):
        what = f"{operation[1]} has no deterministic form on this device"
        return GantrainError("device.deterministic", what, "set device.deterministic=false")
    if isinstance(error, OSError) and error.errno in FILE_REMEDIES:
        return OutputError(error.filename or "file", error.strerror or what, FILE_REMEDIES[error.errno])
    # An OSError without a number was not raised by the system.
    if isinstance(error, OSError) and error.errno is not None:
        check = "check that path, or " if error.filename else ""
        remedy = f"{check}run again with --traceback to see where it happened"
        return GantrainError(error.filename or "system", error.strerror or what, remedy)
    what = f"{type(error).__name__}: {what}"
    return GantrainError("internal", what, "run again with --traceback and report it")
