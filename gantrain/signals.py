"""The signals that ask a process to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handled(note: Callable[[int], None]) -> Iterator[None]:
    """Meanwhile have ``note`` called with the number of each signal that asks to stop; what it raises is raised."""
    try:
        before = {number: signal.signal(number, lambda at, _: note(at)) for number in SIGNALS}
    except ValueError:  # signals belong to the main thread; a notebook may train in another
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
