"""Signals of a process: which are handled, which stay ignored, and that one ends a program wherever it is."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress

import pytest

from gantrain.core.signals import SIGNALS, StopRequest, delay_signals, handle_signals, leave, stop_now
from gantrain.errors import to_user_error


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_handle_signals_handles_what_would_end_the_process(name):
    number, received, before = getattr(signal, name), [], [signal.getsignal(n) for n in SIGNALS]
    with handle_signals(received.append):
        send(number)
        send(number)
    assert received == [number] * 2
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_handle_signals_leaves_what_the_parent_ignores():
    before, received = signal.signal(signal.SIGHUP, signal.SIG_IGN), []  # as nohup does
    try:
        with handle_signals(received.append):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            send(signal.SIGHUP)
            send(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert received == [signal.SIGTERM]


def test_handle_signals_passes_on_one_that_a_library_dropped():
    received = []
    with handle_signals(stop_now):
        with suppress(BaseException):  # as some libraries do
            send(signal.SIGTERM)
        with handle_signals(received.append):
            assert received == [signal.SIGTERM]
    with handle_signals(received.append):  # a later block of a notebook begins anew
        send(signal.SIGINT)
    assert received == [signal.SIGTERM, signal.SIGINT]


def test_handle_signals_ignores_them_once_the_process_leaves():
    received = []
    with handle_signals(received.append):
        send(signal.SIGINT)
        leave()
        send(signal.SIGTERM)
    assert received == [signal.SIGINT]


def test_delayed_signals_arrive_at_the_end_of_the_block():
    received = []
    with handle_signals(received.append):
        with delay_signals():
            signal.raise_signal(signal.SIGTERM)  # to this thread: others, as of torch, do not delay it
            assert received == []
        assert received == [signal.SIGTERM]


def test_leave_in_another_thread_leaves_the_main_one_its_signals():
    received = []
    with handle_signals(received.append):
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
        send(signal.SIGTERM)
    assert received == [signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_stop_request_is_reported_by_name_with_its_exit_code(number):
    error = to_user_error(StopRequest(number))
    assert error.exit_code == 128 + number
    assert f"stopped by {signal.Signals(number).name}; " in str(error)
    assert not issubclass(StopRequest, Exception)


def program(script: str) -> subprocess.CompletedProcess[str]:
    """Run a program that listens from its first line, and has little time to end after a signal."""
    begin = "import os, signal, time\nfrom gantrain.core import signals\n"
    begin += "signals.GRACE_SECONDS = 0.3\nsignals.listen()\n"
    command = [sys.executable, "-c", begin + textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# A signal that arrives in a C call that it does not interrupt: the second lock of a mutex.
STUCK = """
import ctypes, threading
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
lock(mutex)
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
with signals.last_act(lambda: os.write(1, b"saved")):
    lock(mutex)
"""


def test_program_stuck_in_a_call_saves_and_ends():
    done = program(STUCK)
    assert (done.returncode, done.stdout) == (128 + signal.SIGUSR1, "saved")
    (line,) = done.stderr.splitlines()
    assert line.startswith("gantrain: error: gantrain: stopped by SIGUSR1; ")


def test_program_takes_its_time_where_it_is_patient():
    done = program("""
        with signals.handle_signals(lambda number: None):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.8)
            os.write(1, b"saved")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "saved", "")


def test_program_prints_no_traceback_of_a_finalizer():
    done = program("""
        class Tensor:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
        Tensor()
        time.sleep(60)
    """)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
