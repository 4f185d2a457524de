"""Hydra's launchers: how each starts the jobs of a sweep, how many at once, and whether it can here."""

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from gantrain.core.override import Override, values_by_key
from gantrain.core.streams import warn
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.core.text import count
from gantrain.errors import ConfigError


@dataclass(frozen=True)
class Launcher:
    """How a launcher starts jobs.

    Attributes:
        is_remote: Whether a job may run on another machine than its sweep.
        is_submitted: Whether a job's processes are started for this job alone, each as one of its ranks.
        has_terminal: Whether its processes write to the sweep's terminal.
    """

    is_remote: bool = False
    is_submitted: bool = False
    has_terminal: bool = True


LAUNCHERS = {
    "LocalLauncher": Launcher(is_submitted=True, has_terminal=False),
    "SlurmLauncher": Launcher(is_remote=True, is_submitted=True, has_terminal=False),
    "RayLauncher": Launcher(is_remote=True, has_terminal=False),
}


def _name(launcher: Mapping[str, Any]) -> str:
    """Return the name of a launcher's class."""
    return str(launcher.get("_target_")).rpartition(".")[2]


def launcher_of(target: str) -> Launcher:
    """Return how the launcher with a class of this path starts jobs."""
    return LAUNCHERS.get(target.rpartition(".")[2], Launcher())


def check_launcher(launcher: Mapping[str, Any]) -> None:
    """Check that a launcher can start jobs on this machine. Raises ConfigError."""
    if launcher.get("n_jobs") == 0:
        remedy = "give 1 or more, or -1 for one on each core"
        raise ConfigError("hydra.launcher.n_jobs", "0 starts no job", remedy)
    if _name(launcher) == "SlurmLauncher" and shutil.which("srun") is None:
        what = "there is no Slurm on this machine"
        raise ConfigError("hydra/launcher", what, "choose from basic, joblib, submitit_local")


def ranks_of(launcher: Mapping[str, Any]) -> int:
    """Return how many processes a launcher starts for each job."""
    if not launcher_of(str(launcher.get("_target_"))).is_submitted:
        return 1
    return max(1, int(launcher.get("nodes") or 1) * int(launcher.get("tasks_per_node") or 1))


def job_words(launcher: Mapping[str, Any], job: Job, sweep: SweepFolder) -> list[str]:
    """Return the overrides of which a launcher composes a job: its own, its folder, the ranks that it is started in.

    Raises:
        ConfigError: For another number of ranks than the launcher's.
    """
    # Absolute, since a job may begin in another folder than the sweep.
    place = str(Override("hydra.sweep.dir", str(sweep.path)).quoted())
    words = [*job.overrides, place, f"hydra.sweep.subdir='{job.folder}'"]
    ranks, typed = ranks_of(launcher), values_by_key(job.overrides).get("device.processes")
    if ranks == 1:
        return words
    if typed not in (None, str(ranks)):
        what = f"is {typed}, and the launcher starts {ranks} processes of each job"
        raise ConfigError("device.processes", what, "leave it out, or set hydra.launcher.tasks_per_node=1")
    return [*words, f"device.processes={ranks}"]


def connection(launcher: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Return a context in which what runs a launcher's jobs, as a Ray, is there. It raises ConfigError."""
    if _name(launcher) != "RayLauncher":
        return nullcontext()
    from gantrain.config.resolve import plain_data
    from gantrain.sweeps.ray_cluster import ray_cluster

    arguments = plain_data(launcher["ray"])
    return ray_cluster(arguments["init"], arguments["remote"])


def concurrent_jobs(launcher: Mapping[str, Any], jobs: int) -> int:
    """Return how many of ``jobs`` a launcher runs at once; 1 where only the queue of a cluster knows."""
    if _name(launcher) == "LocalLauncher":  # starts all of them
        return jobs
    if _name(launcher) == "RayLauncher":
        from gantrain.sweeps.ray_cluster import room

        return max(1, min(room(launcher["ray"]["remote"]), jobs))
    n_jobs = int(launcher.get("n_jobs", 1))  # of joblib, where -1 is one for each core, -2 one less
    return max(1, min(usable_cores() + 1 + n_jobs if n_jobs < 0 else n_jobs, jobs))


def warn_of_many(launcher: Mapping[str, Any], jobs: int) -> None:
    """Print a line when more jobs run at once on this machine than it has cores, of which each needs one."""
    if launcher_of(str(launcher.get("_target_"))).is_remote:
        return
    at_once, cores = concurrent_jobs(launcher, jobs), usable_cores()
    if at_once > cores:
        what = f"{at_once} jobs at once share {count(cores, 'core')}"
        warn(f"{what}: on a CPU they take as long as {cores} at once")
