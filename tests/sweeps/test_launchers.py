"""Hydra's launchers: whether each can start jobs here, how many at once, and where they run."""

import pytest
from hydra.errors import MissingConfigException
from hydra.types import RunMode

from gantrain.config.compose import initialize_hydra
from gantrain.config.sources import load_plugins
from gantrain.core.hydra_errors import translate_error
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.errors import ConfigError
from gantrain.sweeps import launchers
from gantrain.sweeps.launchers import (
    check_launcher,
    concurrent_jobs,
    connection,
    job_words,
    launcher_of,
    ranks_of,
    warn_of_many,
)

SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
SLURM, LOCAL = ({"_target_": f"{SUBMITIT}.{name}Launcher"} for name in ("Slurm", "Local"))
JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}
RAY = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"}


def test_concurrent_jobs_are_the_launchers_or_all_there_are():
    assert concurrent_jobs({}, 5) == 1
    for n in (1, 2, 3):
        assert concurrent_jobs({"n_jobs": n}, 2) == min(n, 2)
    assert concurrent_jobs({"n_jobs": -1}, 1000) == usable_cores()
    assert concurrent_jobs(LOCAL, 5) == 5
    assert concurrent_jobs(SLURM, 5) == 1


@pytest.mark.parametrize(
    ("launcher", "is_remote", "is_submitted", "has_terminal"),
    [
        ({}, False, False, True),
        (JOBLIB, False, False, True),
        (LOCAL, False, True, False),
        (SLURM, True, True, False),
        (RAY, True, False, False),
    ],
)
def test_launcher_is_known_by_its_class(launcher, is_remote, is_submitted, has_terminal):
    kind = launcher_of(str(launcher.get("_target_")))
    assert (kind.is_remote, kind.is_submitted, kind.has_terminal) == (is_remote, is_submitted, has_terminal)


@pytest.mark.parametrize(
    ("launcher", "jobs", "cores", "is_warned"),
    [
        (LOCAL, 1, 1, False),
        (LOCAL, 2, 2, False),
        (LOCAL, 3, 2, True),
        (JOBLIB | {"n_jobs": 2}, 5, 1, True),
        (SLURM, 9, 1, False),
        (RAY, 9, 1, False),
    ],
)
def test_warn_of_many_where_jobs_outnumber_the_cores(launcher, jobs, cores, is_warned, monkeypatch, capsys):
    monkeypatch.setattr(launchers, "usable_cores", lambda: cores)
    warn_of_many(launcher, jobs)
    printed = capsys.readouterr().err
    at_once = launcher.get("n_jobs", jobs)
    assert printed.startswith(f"gantrain: {at_once} jobs at once share {cores} core" if is_warned else "")
    assert bool(printed) == is_warned


@pytest.mark.parametrize("n_jobs", [-1, 1, 2, None])
def test_check_launcher_refuses_zero_jobs_at_once_only(n_jobs):
    check_launcher({"n_jobs": n_jobs})
    with pytest.raises(ConfigError, match=r"n_jobs: 0 starts no job"):
        check_launcher({"n_jobs": 0})


def test_check_launcher_needs_srun_for_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    check_launcher(LOCAL)
    with pytest.raises(ConfigError, match="no Slurm on this machine"):
        check_launcher(SLURM)
    (tmp_path / "srun").write_text("")
    (tmp_path / "srun").chmod(0o755)
    check_launcher(SLURM)


def test_launcher_not_installed_names_what_installs_it():
    extras = {"joblib": "sweeps", "submitit_local": "sweeps", "submitit_slurm": "sweeps", "ray": "ray"}
    for name, extra in extras.items():
        gone = MissingConfigException(
            "not found", missing_cfg_file=f"hydra/launcher/{name}", options=["basic"]
        )
        what = f"hydra/launcher: {name} is not installed; pip install 'gantrain[{extra}]'"
        assert str(translate_error(gone)) == what
    typed = MissingConfigException("not found", missing_cfg_file="hydra/launcher/jobli", options=["joblib"])
    assert str(translate_error(typed)).endswith("did you mean 'joblib'?")


def test_connection_is_none_but_for_ray():
    for launcher in ({}, JOBLIB, LOCAL, SLURM):
        with connection(launcher) as nothing:
            assert nothing is None


def test_ranks_are_those_that_submitit_starts():
    assert [ranks_of(one | {"nodes": 2, "tasks_per_node": 4}) for one in (SLURM, LOCAL, JOBLIB, RAY)] == [
        8,
        8,
        1,
        1,
    ]
    assert [ranks_of(SLURM), ranks_of({})] == [1, 1]


def test_job_words_are_its_own_its_folder_and_its_ranks(tmp_path):
    sweep = SweepFolder(tmp_path / "it's")
    place = [f"hydra.sweep.dir='{tmp_path}/it\\'s'", "hydra.sweep.subdir='0-a'"]
    assert job_words(JOBLIB, Job("0-a", ("a=1",)), sweep) == ["a=1", *place]
    two = SLURM | {"tasks_per_node": 2}
    assert job_words(two, Job("0-a", ("a=1",)), sweep) == ["a=1", *place, "device.processes=2"]
    assert job_words(two, Job("0-a", ("device.processes=2",)), sweep)[0] == "device.processes=2"
    with pytest.raises(
        ConfigError, match=r"device.processes: is 4, and the launcher starts 2 processes of each job"
    ):
        job_words(two, Job("0-a", ("device.processes=4",)), sweep)


@pytest.mark.parametrize(("words", "tasks"), [((), 1), (("gpus_per_node=8",), 8), (("gpus_per_node=0",), 1)])
def test_slurm_starts_a_rank_for_each_gpu(words, tasks):
    overrides = ["hydra/launcher=slurm", *(f"hydra.launcher.{word}" for word in words)]
    load_plugins()
    with initialize_hydra() as app:
        composed = app.compose_config("config", overrides, run_mode=RunMode.MULTIRUN)
        assert composed.hydra.launcher.tasks_per_node == tasks
