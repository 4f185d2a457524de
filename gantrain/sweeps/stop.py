"""Stopping a sweep: its signals reach every job through a file, and no job outlives the sweep."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from gantrain.core.atomic import append_to
from gantrain.core.files import read_text
from gantrain.core.signals import handle_signals
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import Interrupted


@contextmanager
def forward_signals(sweep: SweepFolder) -> Iterator[None]:
    """While jobs run, forward signals to them through a file in the sweep's folder; each job then saves and ends.

    The file has the number of each signal, one a line. At a second signal the sweep and its jobs quit without saving.

    Raises:
        Interrupted: At a second signal, or when the file cannot be written.
    """
    # A launcher may run jobs in processes, or on machines, that the sweep does not know; all of them see the folder.
    received: list[int] = []

    def forward(number: int) -> None:
        received.append(number)
        try:
            with append_to(sweep.stop_file) as file:
                file.write(b"%d\n" % number)
        except OSError:
            raise KeyboardInterrupt from None  # a full disk: without the file, stop as at a second signal
        if len(read_signals(sweep)) > 1:
            raise KeyboardInterrupt  # launchers treat any other exception as a failure of the job

    try:
        with handle_signals(forward):
            yield
    except KeyboardInterrupt as error:
        code = 128 + (received[0] if received else signal.SIGINT)
        remedy = f"go on with: gantrain resume {quote(str(sweep.path))}"
        raise Interrupted(sweep.path, "stopped without saving", remedy, code) from error


def read_signals(sweep: SweepFolder) -> list[int]:
    """Return the numbers of the signals that a sweep forwarded, oldest first."""
    return [int(line) for line in read_text(sweep.stop_file).split()]


def stop_before_training(number: int) -> None:
    """End a job that has no training loop yet to handle the signal. Raises Interrupted."""
    what = f"stopped by {signal.Signals(number).name} before it trained"
    raise Interrupted("job", what, "go on with: gantrain resume SWEEP", 128 + number)


def watch_signals(sweep: SweepFolder) -> None:
    """Send the first signal of the sweep to this process, from a thread: for jobs that a cluster started."""

    def poll() -> None:
        while not read_signals(sweep):
            time.sleep(1)  # one look a second is no load on a cluster's shared disk
        os.kill(os.getpid(), read_signals(sweep)[0])

    threading.Thread(target=poll, daemon=True).start()


def watch_parent() -> None:
    """Send SIGTERM to this process once the parent that multiprocessing knows has ended, from a thread.

    A parent that was killed could not forward anything, and its job would train on unobserved.
    """
    parent = multiprocessing.parent_process()  # under a fork server os.getppid() is the server, not the sweep

    def wait() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)  # the handler of the training loop saves and ends

    threading.Thread(target=wait, daemon=True).start()


def is_orphan(pid: int) -> bool:
    """Whether the sweep with this process id is gone; call it in the sweep itself or in a worker of its launcher."""
    # The parent of an orphan is init or a subreaper; asking whether ``pid`` exists fails once the id is reused.
    return pid not in (os.getpid(), os.getppid())
