"""The signals that ask a process to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handle_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """Call ``handler`` with the number of each signal that would end the process; its exceptions propagate."""
    try:
        before = {number: signal.signal(number, lambda number, _: handler(number)) for number in SIGNALS}
    except ValueError:  # only the main thread may set handlers; a notebook may train in another
        before = {}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
