"""Stopping a sweep: its signals reach every job through a file, and no job outlives the sweep."""

import multiprocessing.resource_tracker
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from shlex import quote
from typing import Any

from joblib.externals.loky import backend as loky

from gantrain.core.atomic import append_to
from gantrain.core.signals import SIGNALS, WARNINGS, first_signal, handle_signals
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import Interrupted
from gantrain.training.stop_signal import ECHO_SECONDS

POLL_SECONDS = 0.2


@contextmanager
def forward_signals(sweep: SweepFolder, is_shared: bool = False) -> Iterator[None]:
    """While jobs run, forward signals to them through a file in the sweep's folder; each job then saves and ends.

    The file has the number of each signal, one a line. At a second signal the sweep and its jobs quit without saving.

    Args:
        sweep: The sweep.
        is_shared: Whether a launcher starts processes, which a terminal's Ctrl-C would reach too.

    Raises:
        Interrupted: At a second signal, or when the file cannot be written.
    """
    # A launcher may run jobs in processes, or on machines, that the sweep does not know; all of them see the folder.
    numbers: list[int] = []
    began = 0.0

    def forward(number: int) -> None:
        nonlocal began
        if numbers and (number in WARNINGS or time.monotonic() - began < ECHO_SECONDS):
            return  # it is the same request again
        began = began or time.monotonic()
        numbers.append(number)
        try:
            with append_to(sweep.stop_file) as file:
                file.write(b"%d\n" % number)
        except OSError:
            raise KeyboardInterrupt from None  # a full disk: without the file, stop as at a second signal
        if len(numbers) > 1:
            raise KeyboardInterrupt  # launchers treat any other exception as a failure of the job

    try:
        with handle_signals(forward), shielded_children() if is_shared else nullcontext():
            yield
    except KeyboardInterrupt as error:
        code = 128 + (numbers[0] if numbers else signal.SIGINT)
        remedy = f"go on with: gantrain resume {quote(str(sweep.path))}"
        raise Interrupted(sweep.path, "stopped without saving", remedy, code) from error


def block_signals() -> set[Any]:
    """Keep signals from this thread and from processes that it starts, and return the mask before."""
    for tracker in (multiprocessing.resource_tracker, loky.resource_tracker):
        tracker.ensure_running()  # here, since its start unblocks some
    return signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


@contextmanager
def shielded_children() -> Iterator[None]:
    """Start processes that no signal reaches before they unblock it, as a job does; this process handles it."""
    is_over = threading.Event()
    # A signal needs one thread that takes it; Python calls the handler in the main thread all the same.
    threading.Thread(target=is_over.wait, daemon=True).start()
    before = block_signals()
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        is_over.set()


class UntilStopped(list[list[str]]):
    """The overrides of the jobs for a launcher, which reads on as jobs end; after a signal there are no more.

    Args:
        jobs: The overrides.
        sweep: The sweep that may be stopped.
    """

    def __init__(self, jobs: list[list[str]], sweep: SweepFolder):
        super().__init__(jobs)
        self.sweep = sweep

    def __iter__(self) -> Iterator[list[str]]:
        for job in super().__iter__():
            if self.sweep.signals():
                return
            yield job


def signals_to_obey(sweep: SweepFolder, is_remote: bool) -> list[int]:
    """Return the signals that a sweep forwards to its jobs, or SIGTERM once its process is gone.

    Args:
        sweep: The sweep.
        is_remote: Whether this may be another machine than the sweep's, where its lock does not show.
    """
    is_gone = not is_remote and sweep.is_abandoned
    return sweep.signals() or [int(signal.SIGTERM)] * is_gone


def watch_sweep(sweep: SweepFolder, is_remote: bool) -> None:
    """From now on send this process, a job, the signals that it has to obey, from a thread.

    Raises:
        Interrupted: When there is one already.
    """
    # Killed by the launcher that lost another worker, or by the kernel, its parent can tell it nothing.
    parent = multiprocessing.parent_process()

    def signals() -> list[int]:
        is_left = parent is not None and not parent.is_alive()
        return signals_to_obey(sweep, is_remote) or [int(signal.SIGTERM)] * is_left

    def watch() -> None:
        sent = 0
        while True:
            for number in signals()[sent:]:
                # The main thread saves and ends. A signal to all processes, as of a cluster, is one request.
                if sent or not first_signal():
                    os.kill(os.getpid(), number)
                sent += 1
            time.sleep(POLL_SECONDS)

    if numbers := signals():
        stop_before_training(sweep, numbers[0])
    threading.Thread(target=watch, daemon=True).start()


def stop_before_training(sweep: SweepFolder, number: int) -> None:
    """End a job that has no training loop yet to handle the signal. Raises Interrupted."""
    what = f"stopped by {signal.Signals(number).name} before it trained"
    raise Interrupted("job", what, f"go on with: gantrain resume {quote(str(sweep.path))}", 128 + number)
