"""The results of jobs that did not write their own: no job of a sweep fails without the reason."""

import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from gantrain.core.files import write_json
from gantrain.core.run_folder import TERMINAL, RunFolder
from gantrain.core.text import one_line
from gantrain.errors import Interrupted, to_user_error

END_SECONDS = 10.0  # within which a job ends that lost its launcher or its sweep


def record_outcome(run: RunFolder, status: str, error: str, exit_code: int) -> dict[str, Any]:
    """Write a job's result, and return it."""
    result = {"status": status, "error": one_line(error), "exit_code": exit_code}
    with contextlib.suppress(OSError):  # on a full disk the printed table has it all the same
        run.path.mkdir(parents=True, exist_ok=True)
        write_json(run.result_file, result)
    return result


def record_error(run: RunFolder, error: BaseException) -> dict[str, Any]:
    """Write the result of a job that failed, or was stopped, before its training could write one, and return it."""
    user_error = to_user_error(error)
    status = "interrupted" if isinstance(user_error, Interrupted) else "failed"
    return record_outcome(run, status, str(user_error), user_error.exit_code)


def record_exit(run: RunFolder, exitcode: int, stopped_by: int = 0) -> dict[str, Any]:
    """Write the result of a job whose process ended without one, and return it.

    Args:
        run: The job's.
        exitcode: The process's, as multiprocessing has it.
        stopped_by: The signal with which the sweep was stopped; 0 if it was not.
    """
    if stopped_by:
        what = f"stopped by {signal.Signals(stopped_by).name} before it trained"
        return record_outcome(run, "interrupted", what, 128 + stopped_by)
    if exitcode < 0:
        names = {number.value: number.name for number in signal.Signals}
        error = f"killed by {names.get(-exitcode, f'signal {-exitcode}')}"
        return record_outcome(run, "killed", error, 128 - exitcode)
    log = run.path / TERMINAL
    where = f"see {log}" if log.is_file() else "its messages are those above"
    return record_outcome(run, "failed", f"its process ended with {exitcode}; {where}", exitcode or 1)


def wait_until_free(run: RunFolder) -> None:
    """Wait, for some seconds at most, until no process writes in a run's folder."""
    until = time.monotonic() + END_SECONDS
    while run.is_locked and time.monotonic() < until:
        time.sleep(0.1)


def record_unstarted(runs: Sequence[RunFolder], returned: Sequence[Any], reason: str) -> None:
    """Wait until the processes of these jobs have ended, then write and print the result of those that left none.

    Args:
        runs: Those that a launcher was given.
        returned: Hydra's object for each, as far as the launcher returned one.
        reason: What kept the launcher from starting a job, where its object does not say.
    """
    for run, job in zip_longest(runs, returned[: len(runs)]):
        wait_until_free(run)
        if run.outcome()["status"] == "missing":
            error = getattr(job, "_return_value", None)  # the public one prints the error and raises it
            if isinstance(error, Exception):
                result = record_error(run, error)
            else:
                result = record_outcome(run, "failed", reason, 1)
            print(f"gantrain: job {run.path.name}: {result['error']}", file=sys.stderr, flush=True)
