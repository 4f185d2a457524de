"""Start the processes of a run on this machine, by torch's elastic launcher, and report what ended them."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gantrain.core.override import values_by_key
from gantrain.core.signals import SIGNALS, StopRequest, delay_signals, patience
from gantrain.core.system import is_one_of_several, mute_logging, usable_cores
from gantrain.distributed.report import REPORT
from gantrain.errors import ProcessLost, to_user_error

SAVE_SECONDS = 120  # for the processes to save and end after a signal, before they are killed


def processes_in(words: Sequence[str]) -> int:
    """Return ``device.processes`` of a command line that starts one run; 0 where it stands elsewhere, if anywhere."""
    values, flags = values_by_key(words), {word for word in words if word.startswith("-")}
    is_run = not flags and not values.keys() & {"sweep", "hydra.mode"} and not is_one_of_several()
    return count_of(values.get("device.processes", "")) if is_run else 0


def count_of(text: str) -> int:
    """Return a number of processes as typed; 0 for what is none, or so many that the config refuses them first."""
    return int(text) if re.fullmatch("[1-9][0-9]{0,2}", text) else 0


def launch(words: Sequence[str], count: int) -> int:
    """Run ``python -m gantrain WORDS`` in ``count`` processes that play one run, and return the exit code.

    Raises:
        ProcessLost: When they ended without a report.
    """
    # The launcher replaces $$ and ${local_rank} in what it starts.
    arguments = [word.replace("$", "$$") for word in words]
    flags = ["--traceback"] if "--traceback" in sys.argv else []  # which this process has taken for itself
    return run_processes(count, sys.executable, "-m", "gantrain", *flags, *arguments)


def run_processes(count: int, entry: str | Callable[..., None], *arguments: Any) -> int:
    """Run a program, or a function, in ``count`` processes with the variables of torch's launcher.

    Args:
        count: Of processes.
        entry: The program, or the function, which is pickled with its arguments.
        arguments: Its arguments.

    Returns:
        The exit code.

    Raises:
        ProcessLost: When they ended without a report.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with delay_signals():
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // count)))
    # gloo listens where the name of this machine leads, and fails where it leads nowhere.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="gantrain",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(os.devnull),  # to the terminal
        signals_to_handle=",".join(signal.Signals(number).name for number in SIGNALS),
        shutdown_timeout=SAVE_SECONDS,
    )
    with TemporaryDirectory() as folder, mute_logging(logging.CRITICAL), patience(True):
        report = Path(folder, "report")
        os.environ[REPORT] = str(report)
        try:
            elastic_launch(config, entry)(*arguments)
        except SignalException as error:
            if not report.exists():
                raise to_user_error(StopRequest(error.sigval)) from None
            return 128 + error.sigval
        except ChildFailedError as error:
            codes = {rank: one.exitcode for rank, one in error.failures.items()}
            return exit_code(codes, report.exists())
        finally:
            del os.environ[REPORT]
    return 0


def exit_code(codes: Mapping[int, int], is_reported: bool) -> int:
    """Return the exit code of a run by those of its processes that failed, -n for one that signal n killed.

    Args:
        codes: Of each rank that failed.
        is_reported: Whether one of them has reported why.

    Raises:
        GantrainError: When none has, since it was killed, or stopped by a signal, before it joined the others.
    """
    own = [code for _, code in sorted(codes.items()) if 0 < code < 128]
    if own or is_reported:
        return own[0] if own else max(codes.values())
    killed = [rank for rank, code in sorted(codes.items()) if code < 0]
    if not killed:
        raise to_user_error(StopRequest(min(codes.values()) - 128))
    rank = min(killed, key=lambda rank: -codes[rank] in SIGNALS)
    what = f"was killed by {signal.Signals(-codes[rank]).name}"
    remedy = "free memory if that ran out, then type the command again, or gantrain resume RUN"
    raise ProcessLost(f"rank {rank}", what, remedy)
