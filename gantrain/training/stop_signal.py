"""Signals that stop a run: it finishes the current step, saves and exits."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from gantrain.core.signals import handle_signals
from gantrain.errors import Interrupted


class StopSignal:
    """Remembers the first SIGINT, SIGTERM or SIGHUP; a second one ends the run at once.

    Args:
        folder: The run's folder, for the message.

    Attributes:
        number: The signal received; 0 before there is one.
        is_closing: Whether training is over. The last evaluation may take long and ``gantrain resume`` can do it, so
            from then on the first signal ends the run at once too.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.number, self.is_closing = 0, False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive signals inside the block. A second one raises Interrupted wherever the process is."""

        def receive(number: int) -> None:
            # This may interrupt any line of Python, so it only stores the number, or raises.
            late = "after the last step, before its metrics" if self.is_closing else None
            when = "at once" if self.number else late
            self.number = number
            if when:
                raise self._interruption(f"stopped {when}")

        with handle_signals(receive):
            yield

    def interruption(self, step: int) -> Interrupted:
        """Return the error that ends the run after a saved step."""
        return self._interruption(f"stopped by {signal.Signals(self.number).name} at step {step}")

    def _interruption(self, what: str) -> Interrupted:
        remedy = f"go on with: gantrain resume {quote(str(self.folder))}"
        return Interrupted(self.folder, what, remedy, exit_code=128 + self.number)
