"""Ray for ``hydra/launcher=ray``: started on this machine for one sweep, or a cluster that the sweep joins."""

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from typing import Any

from gantrain.core.streams import warn
from gantrain.core.system import short_socket_folder, usable_cores
from gantrain.errors import ConfigError

OBJECT_BYTES = 80 * 2**20  # of shared memory; Ray takes at least 75 MiB, and a job passes some kB
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: this machine is 127.0.0.1, and only there Ray listens
REACH_SECONDS = 10.0
KEY = "hydra.launcher.ray"


@contextmanager
def ray_cluster(init: Mapping[str, Any], remote: Mapping[str, Any]) -> Iterator[None]:
    """Join the cluster whose address is in ``init`` or in ``RAY_ADDRESS``, or else start Ray on this machine.

    Whoever reaches a Ray can run code there, and pickles come back from it. So none is joined that was not named: Ray
    by itself takes one that it finds in /tmp. One that is started listens to this machine alone, wants a token that
    only this process and its children know, keeps its files in a private folder, and ends with the sweep.

    Args:
        init: The arguments of ``ray.init``.
        remote: Those of ``ray.remote``: what a job needs.

    Raises:
        ConfigError: When the cluster cannot be joined, Ray cannot be started, or this machine lacks what a job needs.
    """
    address = init.get("address") or os.environ.get("RAY_ADDRESS") or "local"
    if address != "local":
        _reach(address, f"{KEY}.init.address")
        with _connection({**init, "address": address}, f"{KEY}.init.address"):
            if not room(remote):
                what = f"no machine of the cluster has {_words_of(remote)} as a job needs; it waits"
                warn(f"{KEY}.remote: {what}")
            yield
        return
    with short_socket_folder():
        folder = tempfile.mkdtemp(prefix="ray-")
    own = {"num_cpus": usable_cores(), "include_dashboard": False, "object_store_memory": OBJECT_BYTES}
    given = {name: value for name, value in init.items() if value is not None}
    variables = {LOOPBACK: "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ |= variables  # LOOPBACK before Ray is imported
    try:
        with _connection({**own, **given, "address": address, "_temp_dir": folder}, KEY):
            if not room(remote):
                what = f"this machine does not have {_words_of(remote)}, which a job needs"
                raise ConfigError(
                    f"{KEY}.remote", what, "ask for less, or name a cluster in ray.init.address"
                )
            yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ |= before
        shutil.rmtree(folder, ignore_errors=True)


def room(remote: Mapping[str, Any]) -> int:
    """Return how many jobs fit the machines of the cluster at once.

    Args:
        remote: The arguments of ``ray.remote``; of these ``num_cpus`` and ``num_gpus`` count.
    """
    import ray

    share = {"CPU": remote.get("num_cpus") or 1, "GPU": remote.get("num_gpus") or 0}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(min(int(has.get(name, 0) // n) for name, n in share.items() if n) for has in machines)


def assigned_cores() -> int:
    """Return how many cores Ray assigned to the job whose process this is, at least 1."""
    import ray

    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))


def _words_of(remote: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in remote.items())


def _reach(address: str, where: str) -> None:
    """Check that something listens at an address, for whose answer Ray would wait for minutes. Raises ConfigError."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # auto, and what only Ray knows
        return
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
    except OSError as error:
        remedy = "give the address that ray start printed"
        raise ConfigError(
            where, f"{address} cannot be reached ({error.strerror or error})", remedy
        ) from error


@contextmanager
def _connection(init: Mapping[str, Any], where: str) -> Iterator[None]:
    """Connect this process to Ray, and to nothing at the end. Raises ConfigError."""
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    try:
        with chdir("/"):  # whose files Ray's workers could import, as theirs
            ray.init(**init, logging_level="ERROR", log_to_driver=False)
    except Exception as error:
        what = f"Ray does not answer ({' '.join(str(error).split())})"
        raise ConfigError(where, what, "see whether it runs with: ray status") from error
    finally:
        if (
            signal.getsignal(signal.SIGTERM) is not handler
        ):  # that of Ray would end the sweep without its jobs
            signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()
