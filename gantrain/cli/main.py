"""The ``gantrain`` command: one line for every error, exit codes, and signals from its first line to its last."""

import os
import sys

from gantrain.core.interpreter import collect_less, end_quickly
from gantrain.core.signals import StopRequest, handle_signals, ignore_signals, leave, listen, stop_now
from gantrain.core.streams import tolerant_streams

# Before torch is loaded: threads that spin for milliseconds while they wait cost a run with a busy neighbour most of
# its speed, and threads that sleep at once cost a run on idle cores a third. These spin for a moment.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done, 1 a run failed, 2 config or usage, 3 data, 4 checkpoint, 5 disk or permission, 6 diverged, 128 + its number
    stopped by a signal, 141 when the reader of a pipe has closed it.

    Args:
        argv: The words after ``gantrain``; None for those of this process, which then ends for a signal.
    """
    try:
        if argv is None:
            listen()
            collect_less()
        words = list(sys.argv[1:] if argv is None else argv)
        with tolerant_streams(), handle_signals(stop_now, is_patient=False):
            return _run(words)
    except StopRequest as request:  # on the way into ``_run`` or out of it
        return _report(request, show=False)
    finally:
        if argv is None:
            ignore_signals()
            end_quickly()


def _run(argv: list[str]) -> int:
    """Run the command line, report its error, and return its exit code."""
    show = "--traceback" in argv or os.environ.get("GANTRAIN_DEBUG") == "1"
    try:
        # Imported here, where a signal is handled already.
        import logging

        from gantrain.cli.dispatch import dispatch

        logging.raiseExceptions = False  # a log whose reader has gone does not fail the run
        os.environ["PYTHONSAFEPATH"] = (
            "1"  # a process started from here imports nothing from the working folder
        )
        code = dispatch([word for word in argv if word != "--traceback"])
        sys.stdout.flush()  # here, where a reader who left is not yet an error at exit
        leave()
        return code
    except BaseException as error:
        leave()
        return _report(error, show)


def _report(error: BaseException, show: bool) -> int:
    """Print an error as one line, after its traceback where ``show`` is set, and return its exit code."""
    from gantrain.distributed.report import has_launcher
    from gantrain.errors import to_user_error

    if isinstance(error, SystemExit):  # argparse and Hydra exit with a code, a message, or None for success
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    if show:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        # What is still in the buffer must not raise again while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    user_error = to_user_error(error)
    if isinstance(error, StopRequest) and has_launcher():  # before it joined the others
        return user_error.exit_code
    print(f"gantrain: error: {user_error}", file=sys.stderr)
    return user_error.exit_code
