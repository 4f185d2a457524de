"""A job of a sweep that several processes play: started by the job's own, or by submitit."""

import sys

from gantrain.core.plugins import use
from gantrain.core.signals import handle_signals, listen, unblock_signals
from gantrain.core.streams import tolerant_streams
from gantrain.core.sweep_folder import SweepFolder
from gantrain.distributed.join import membership
from gantrain.distributed.launch import run_processes
from gantrain.errors import to_user_error
from gantrain.sweeps.outcomes import record_outcome
from gantrain.sweeps.stop import stop_before_training, watch_sweep
from gantrain.sweeps.task import Task, record_missing, train_or_resume
from gantrain.training.together import play_along


def launch_ranks(task: Task) -> int:
    """Play a task in several processes of this machine, by torch's elastic launcher, and return the exit code.

    Raises:
        ProcessLost: When they ended without a report.
    """
    code = run_processes(task.ranks, rank_main, task)
    if code and task.run.outcome()["status"] == "missing":
        record_outcome(task.run, "failed", "its processes ended without a report; see their messages", code)
    return code


def rank_main(task: Task) -> None:
    """Play a task as the whole of one of several new processes, and exit with its code."""
    unblock_signals()
    listen()
    with tolerant_streams():
        code = play_as_rank(task)
    sys.exit(code)


def play_as_rank(task: Task, is_watching: bool = False) -> int:
    """Play a task as one of the processes that a launcher started, and return the exit code.

    Args:
        task: The task; the leader alone writes.
        is_watching: Whether this process, not one that started it, has to notice that the sweep is stopped.
    """
    sweep = SweepFolder(task.run.path.parent)
    try:
        with (
            handle_signals(lambda number: stop_before_training(sweep, number), is_patient=False),
            membership() as group,
        ):
            if is_watching:
                watch_sweep(sweep, task.is_remote)
            if group.is_leader:
                train_or_resume(task)
            else:
                use(task.plugins)
                play_along(group)
    except SystemExit as error:  # another process reports the error
        return int(error.code or 0)
    except BaseException as error:
        record_missing(task, error)
        return to_user_error(error).exit_code
    return 0
