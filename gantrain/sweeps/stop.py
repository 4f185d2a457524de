"""How a sweep is stopped: signals, noted in its folder for every job."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from gantrain.core.system import handled
from gantrain.errors import Interrupted

STOP = ".stop"  # the signals that a sweep noted, for its jobs


@contextmanager
def stoppable(folder: Path) -> Iterator[Path]:
    """While jobs run, turn a signal into a note in the sweep's folder, which each of them follows and saves.

    A note reaches jobs in other processes whoever launched them. A second signal is a second line in it, at which
    they leave at once, and so does the sweep.

    Raises:
        Interrupted: At a second signal, or where a full disk takes no note.
    """
    path = folder / STOP
    noted: list[int] = []

    def note(number: int) -> None:
        noted.append(number)
        try:
            with path.open("a") as file:
                file.write(f"{number}\n")
        except OSError:
            raise KeyboardInterrupt from None
        if len(noted_signals(path)) > 1:
            raise KeyboardInterrupt  # launchers take any other exception for a fault of the job's

    try:
        with handled(note):
            yield path
    except KeyboardInterrupt as error:
        code = 128 + (noted[0] if noted else signal.SIGINT)
        raise Interrupted(
            folder, "left at once", f"go on with: gantrain resume {quote(str(folder))}", code
        ) from error


def noted_signals(path: Path) -> list[int]:
    """Return the signals that were noted, oldest first."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []
