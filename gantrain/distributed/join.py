"""From the variables of a launcher to the group of its processes, and one report for all of them."""

from __future__ import annotations

import json
import os
import platform
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

import gantrain
from gantrain.core.signals import first_signal, leave, stop_now
from gantrain.core.system import launcher_number, usable_cores
from gantrain.distributed.group import Group, OneProcess
from gantrain.distributed.messages import PeerError, plain_error
from gantrain.distributed.processes import Processes
from gantrain.distributed.report import announce
from gantrain.errors import ConfigError, Diverged, GantrainError, Interrupted, ProcessLost, to_user_error

JOIN_SECONDS = 60.0  # for all processes to find each other
FINAL_CODES = range(2, 7)  # of errors that the same command meets again, however often a launcher starts it

_group: Group | None = None  # that this process has joined


@contextmanager
def membership() -> Iterator[Processes]:
    """Yield the group of the processes that a launcher started; the first error of any of them is reported, once.

    Raises:
        GantrainError: What the block raises, or what ended another process, in the one that reports it.
        SystemExit: In the others, with its exit code.
    """
    global _group
    try:
        group, memory, hellos = join()
    except GantrainError as alone:  # as all processes of this machine have
        if launcher_number("LOCAL_RANK", 0) > 0:
            raise SystemExit(alone.exit_code) from alone
        raise
    try:
        if memory.check(["final"]):  # of an earlier attempt
            raise SystemExit(int(memory.get("final")))
        check_versions([hello["versions"] for hello in hellos])
        _group = group
        yield group
    except SystemExit:
        group.close()
        raise
    except BaseException as raised:
        leave()  # the launcher sends a signal to those that are left when one has died
        error = with_rank(group, group.explain(to_user_error(raised)))
        if error.exit_code in FINAL_CODES:
            memory.set("final", str(error.exit_code))
        rank, code = group.close(error)
        if rank != group.rank:
            raise SystemExit(code) from raised
        announce()
        raise error from raised
    finally:
        _group = None
    group.close()


def current_group() -> Group:
    """Return the group that this process has joined, or the null object of a process that plays a run alone."""
    return _group or OneProcess()


def with_rank(group: Group, error: GantrainError) -> GantrainError:
    """Return an error with the process that met it, where it is not the leader and the others may not meet it."""
    if group.is_leader or isinstance(error, ProcessLost | Interrupted | Diverged | PeerError):
        return error
    return PeerError(
        **(plain_error(error) | {"where": f"rank {group.rank} on {socket.gethostname()}: {error.where}"})
    )


def join() -> tuple[Processes, dist.Store, list[dict[str, Any]]]:
    """Return the group that this process is one of, a store that outlives it, and what each said of itself.

    Raises:
        ConfigError: For variables that are missing or wrong, or a port that another program uses.
        ProcessLost: When another process does not join in time.
    """
    rank, size = launcher_number("RANK", 0), launcher_number("WORLD_SIZE", 1)
    store = open_store(rank, size)
    versions = {
        "gantrain": gantrain.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
    hello = {"versions": versions, "machine": socket.gethostname(), "nonce": secrets.token_hex(8)}
    attempt, hellos = meet(store, rank, size, hello, JOIN_SECONDS)
    machines = [one["machine"] for one in hellos]
    local_rank = launcher_number("LOCAL_RANK", machines[:rank].count(machines[rank]))
    group = Processes(store, attempt, rank, size, local_rank)
    share_cores(machines.count(machines[rank]))
    return group, store, hellos


def open_store(rank: int, size: int) -> dist.Store:
    """Return the store of the launcher, or that of rank 0. Raises ConfigError."""
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE"):
        if not os.environ.get(name):
            what = f"is not set, and this is one of {size} processes"
            remedy = "start them by torchrun -m gantrain, or unset WORLD_SIZE and RANK for one process"
            raise ConfigError(name, what, remedy)
    if rank >= size:
        raise ConfigError("RANK", f"is {rank}, and WORLD_SIZE is {size}", "number the processes from 0")
    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=JOIN_SECONDS)))
    except (ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        if "in use" in text:
            what, remedy = (
                f"{address} is in use by another program",
                "give another, as in torchrun --master-port",
            )
        else:
            what, remedy = (
                f"{address} cannot be reached",
                "give the address of the machine of rank 0, and a free port",
            )
        raise ConfigError("MASTER_PORT", what, remedy) from error
    return dist.PrefixStore("gantrain", store)


def meet(
    store: dist.Store, rank: int, size: int, hello: dict[str, Any], timeout: float
) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of this attempt to play, and what each process says of itself, by rank.

    A store may outlive its processes, and hold what those of an earlier attempt wrote. The leader numbers the attempt
    and repeats all that it heard, so that each finds its own words there.

    Args:
        store: Common to all attempts.
        rank: Of this process.
        size: How many there are.
        hello: Plain data with a ``nonce`` of its own.
        timeout: Seconds to wait.

    Raises:
        ProcessLost: When another process is not there by then.
    """
    deadline, attempt = time.monotonic() + timeout, store.add("attempt", 1 if rank == 0 else 0)
    store.set(f"{attempt}/hello/{rank}", json.dumps(hello))
    keys = [f"{attempt}/hello/{one}" for one in range(size)]
    while time.monotonic() < deadline:
        if rank == 0 and store.check(keys):
            hellos = [json.loads(store.get(key)) for key in keys]
            store.set(f"{attempt}/welcome", json.dumps(hellos))
            return attempt, hellos
        if rank > 0:
            if (newer := store.add("attempt", 0)) != attempt:
                attempt = newer
                store.set(f"{attempt}/hello/{rank}", json.dumps(hello))
            if store.check([f"{attempt}/welcome"]):
                hellos = json.loads(store.get(f"{attempt}/welcome"))
                if hellos[rank] == hello:
                    return attempt, hellos
        if number := first_signal():  # which a library may have dropped while it was imported
            stop_now(number)
        time.sleep(0.01)
    absent = [one for one in range(size) if not store.check([keys[one]])] if rank == 0 else [0]
    where = ", ".join(f"rank {one}" for one in absent)
    raise ProcessLost(
        where, f"did not join in {timeout:.0f} s", "start all processes of the run at the same time"
    )


def check_versions(versions: list[dict[str, str]]) -> None:
    """Raise ConfigError unless all processes have the same versions of what decides the bits."""
    for rank, found in enumerate(versions):
        different = [name for name in found if found[name] != versions[0][name]]
        if different:
            first, this = (
                ", ".join(f"{name} {one[name]}" for name in different) for one in (versions[0], found)
            )
            raise ConfigError(
                f"rank {rank}", f"has {this}, and rank 0 has {first}", "install the same on all machines"
            )


def share_cores(count: int) -> None:
    """Leave this process its share of the cores of its machine, on which ``count`` of a run's processes are."""
    cores = max(1, usable_cores() // count)
    os.environ["LOKY_MAX_CPU_COUNT"] = str(cores)  # which usable_cores() obeys
    torch.set_num_threads(min(cores, torch.get_num_threads()))
