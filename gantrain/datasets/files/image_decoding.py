"""From many image files to pixels: decoded once, by several processes where that pays, else by threads."""

import logging
import mmap
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import torch

from gantrain.core.streams import warn
from gantrain.core.system import physical_memory, usable_cores
from gantrain.core.work_progress import WorkProgress
from gantrain.datasets.files.image_file import Target
from gantrain.datasets.files.image_source import ImageSource
from gantrain.errors import DataError

# What an image is; the third has transparent pixels over the background. The last one is not yet decoded.
UNREADABLE, OPAQUE, COMPOSITED, PENDING = 0, 1, 2, 255
CHUNK = 64  # files that a process takes together, or gives its threads
MIN_FILES = 2000  # for each further process, whose start takes as long as some hundred small ones
PROCESS_BYTES = 2**30  # that the largest image may take
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Decoding:
    """Image files and where their pixels go, in memory that forked processes share.

    Attributes:
        source: The files.
        target: What each becomes.
        x: Pixels, uint8 [N, C, H, W].
        status: What each file is, uint8 [N]: one of the constants above.
        skip_bad: Whether a file that cannot be read is left out.
        finish_chunk: Called each time that some rows are filled.
    """

    source: ImageSource
    target: Target
    x: np.ndarray
    status: np.ndarray
    skip_bad: bool
    finish_chunk: Callable[[], None] = lambda: None

    def run(self, processes: int = 1) -> None:
        """Fill ``x`` and ``status``.

        Args:
            processes: At most so many, where there are files enough for them.

        Raises:
            DataError: For the first file that cannot be read, unless such files are skipped.
            ConfigError: For the first one that the target does not fit.
        """
        self.status[:] = PENDING
        processes = min(processes, len(self.status) // MIN_FILES)
        with WorkProgress("decoding images", len(self.status)) as progress:
            if processes > 1:
                self._run_processes(processes, progress)
            # All of them, or those behind a fault, which is raised here
            self._run_threads(progress)

    def fill(self, row: int) -> DataError | None:
        """Decode a file; return why it cannot be read. Raises ConfigError."""
        try:
            self.x[row], is_composited = self.source.read(self.source.listing.files[row].name, self.target)
        except DataError as error:
            self.status[row] = UNREADABLE if self.skip_bad else PENDING
            return error
        self.status[row] = COMPOSITED if is_composited else OPAQUE
        return None

    def _run_threads(self, progress: WorkProgress) -> None:
        pending = np.flatnonzero(self.status == PENDING)
        done = len(self.status) - len(pending)
        with image_readers() as pool:
            for start in range(0, len(pending), CHUNK):
                for error in pool.map(self.fill, pending[start : start + CHUNK].tolist()):
                    if error and not self.skip_bad:
                        raise error
                done += len(pending[start : start + CHUNK])
                progress.reach(done)
                self.finish_chunk()

    def _run_processes(self, count: int, progress: WorkProgress) -> None:
        """Decode until all is done, or up to the first fault of each process."""
        faults = np.frombuffer(mmap.mmap(-1, 1), np.int8)
        with _forks(self._decode_part, [(part, count, faults) for part in range(count)]) as forked:
            while any(process.exitcode is None for process in forked):
                time.sleep(POLL_SECONDS)
                progress.reach(int((self.status != PENDING).sum()))
        if died := [process for process in forked if process.exitcode]:
            what = f"{len(died)} of {count} processes that decode images have died"
            warn(f"{what} (exit status {died[0].exitcode}): this one goes on")

    def _decode_part(self, part: int, count: int, faults: np.ndarray) -> None:
        """Decode every ``count``-th chunk from ``part`` on, until any process meets a fault or the parent is gone."""
        parent = os.getppid()
        for start in range(part * CHUNK, len(self.status), count * CHUNK):
            for row in range(start, min(start + CHUNK, len(self.status))):
                if faults[0] or os.getppid() != parent:
                    return
                try:
                    is_bad = self.fill(row) is not None and not self.skip_bad
                except Exception:  # raised again, where it is reported
                    is_bad = True
                if is_bad:
                    faults[0] = 1
                    return
            self.finish_chunk()


def most_processes() -> int:
    """Return how many processes may decode at once: one for each core and each GiB; one where none can be forked."""
    return min(usable_cores(), physical_memory() // PROCESS_BYTES) if sys.platform == "linux" else 1


@contextmanager
def image_readers() -> Iterator[ThreadPoolExecutor]:
    """Yield threads that read side by side, since Pillow's readers and SHA-256 release the interpreter lock."""
    with _quiet_pillow(), ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool:
        yield pool


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    pillow = logging.getLogger("PIL")
    level = pillow.level
    # What Pillow warns of is decided by the rules of image_file.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pillow.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            pillow.setLevel(level)


@contextmanager
def _forks(work: Callable[..., None], jobs: Sequence[tuple[Any, ...]]) -> Iterator[list[BaseProcess]]:
    """Yield a fork of this process for each job, which does nothing else than Python, NumPy and Pillow; end them after.

    No library that is loaded has to be imported again, and nothing is copied.
    """
    context, signals = multiprocessing.get_context("fork"), {signal.SIGINT, signal.SIGTERM}

    def run(*job: Any) -> None:
        # A signal to all of the group is the parent's business, which its pipe must not be told of twice.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        with _quiet_pillow():
            work(*job)

    processes = [context.Process(target=run, args=job, daemon=True) for job in jobs]
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        with (
            warnings.catch_warnings()
        ):  # Python 3.12 warns of other threads, none of which has a part in this work
            warnings.simplefilter("ignore", DeprecationWarning)
            for process in processes:
                process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        yield list(processes)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()
