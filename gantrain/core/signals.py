"""The signals that ask a process to stop, from its first line to its last. Imports little: a program starts with it."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
# A scheduler sends these ahead of the end, and SIGXCPU once a second: a repetition is no request to hurry.
WARNINGS = SIGNALS[3:]
GRACE_SECONDS = 8.0  # for a program to end once nothing is left to save


class StopRequest(KeyboardInterrupt):
    """A signal, raised where it arrives; no ``except Exception`` of a library catches it.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class _Process:
    """What the signals of this process have come to."""

    number = 0  # the first one received, 0 before there is one
    is_leaving = False  # whether the process ends already; further ones are ignored
    is_program = False  # whether this is the command's own process, which handles signals to its last line
    blocks = 0  # of ``handle_signals``, nested
    is_patient = False  # whether it may take its time to end, as for a save
    last_act: Callable[[], None] | None = None  # called before it ends without its main thread


_process = _Process()


def listen() -> None:
    """Handle signals to the end of the process: one raises StopRequest, or ends a call that does not return."""
    _process.is_program = True
    _install(stop_now)
    sys.unraisablehook = _without_requests(sys.unraisablehook)
    if threading.current_thread() is threading.main_thread():
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=_end_in_time, args=(reader,), daemon=True).start()


def leave() -> None:
    """Ignore further signals: the process, or the outermost ``handle_signals`` block, is about to end."""
    if threading.current_thread() is threading.main_thread():  # a run in another one has no part in signals
        _process.is_leaving = True


def ignore_signals() -> None:
    """Ignore signals in the last lines of a program, where Python no longer calls a handler."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def stop_now(number: int) -> None:
    """Handle a signal by leaving at once. Raises StopRequest."""
    leave()
    raise StopRequest(number)


def unblock_signals() -> None:
    """Let signals reach this process that it inherited as blocked or ignored; those that wait already are dropped."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler in (signal.SIG_IGN, None) else handler)
    _process.number, _process.is_leaving = 0, False  # those of the process that forked this one


@contextmanager
def delay_signals() -> Iterator[None]:
    """Let signals wait for the end of the block, as while torch is imported, which may abort at one.

    Only before there are other threads, which would receive them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def first_signal() -> int:
    """Return the number of the first signal that this process received; 0 before there is one."""
    return _process.number


@contextmanager
def handle_signals(handler: Callable[[int], None], is_patient: bool = True) -> Iterator[None]:
    """Call ``handler`` with the number of each signal that would end the process; its exceptions propagate.

    One that the parent of the process ignores, as ``nohup`` does with SIGHUP, stays ignored. A signal that came before
    the block, and was lost in a library, is handled first.

    Args:
        handler: May raise.
        is_patient: As for ``patience``.
    """
    if not (_process.blocks or _process.is_program):  # what came of an earlier block is over
        _process.number, _process.is_leaving = 0, False
    before = _install(handler)
    _process.blocks += 1
    try:
        with patience(is_patient):
            if _process.number:
                handler(_process.number)
            yield
    finally:
        _process.blocks -= 1
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def patience(is_patient: bool) -> Iterator[None]:
    """Set whether the program may take longer than ``GRACE_SECONDS`` after a signal in the block, as for a save."""
    before, _process.is_patient = _process.is_patient, is_patient
    try:
        yield
    finally:
        _process.is_patient = before


@contextmanager
def last_act(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` if the program has to end, in the block, without its main thread."""
    _process.last_act = act
    try:
        yield
    finally:
        _process.last_act = None


def _install(handler: Callable[[int], None]) -> dict[int, Any]:
    """Handle each signal that is not ignored, and return what handled it before."""

    def receive(number: int, _: object) -> None:
        # This may interrupt any line of Python.
        _process.number = _process.number or number
        if not _process.is_leaving:
            handler(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    # None: a handler that was not set by Python, as a debugger's, stays too.
    before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, receive)
    except ValueError:  # only the main thread may set handlers; a notebook may train in another
        return {}
    return before


def _end_in_time(reader: int) -> None:
    """End the process some seconds after a signal that its main thread, in a library's long call, does not notice."""
    number = 0
    while number not in SIGNALS:
        number = os.read(reader, 1)[0]
    waited, pause = 0.0, threading.Event()
    while waited < GRACE_SECONDS:
        pause.wait(0.1)
        waited = 0.0 if _process.is_patient else waited + 0.1
    what = f"stopped by {signal.Signals(number).name}"
    try:
        if _process.last_act:
            _process.last_act()
        line = f"gantrain: error: gantrain: {what}; it did not end by itself in {GRACE_SECONDS:.0f} s\n"
        os.write(2, line.encode())
    finally:
        os._exit(128 + number)


def _without_requests(hook: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a hook for errors in finalizers that leaves out a StopRequest, which ``_end_in_time`` sees to."""

    def show(error: Any) -> None:
        if not issubclass(error.exc_type, StopRequest):
            hook(error)

    return show
