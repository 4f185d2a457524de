"""A sweep before its first job and after its last: checks of jobs and launcher, the lock, the exit code."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gantrain.config.overrides import CommandLine
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.errors import ConfigError, DataError, GantrainError, OutputError
from gantrain.sweeps import launch
from gantrain.sweeps.launch import check_all, check_launcher, concurrent_jobs, sweep_lock, warn_of_many
from gantrain.sweeps.plan import plan_jobs

RING = ["dataset=ring", "device=cpu", "model.width=16", "metric=none", "train.sample_every=0"]


SHORT = ["dataset=ring", "metric=none", "train.sample_every=0"]


SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}


LOCAL = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"}


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def digests(run: Path) -> dict[str, str]:
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


def statuses(sweep: Path) -> list[tuple[str, int | None]]:
    results = [RunFolder(run).outcome() for run in sorted(sweep.iterdir()) if run.is_dir()]
    return [(result["status"], result.get("exit_code")) for result in results]


def test_sweep_lock_refuses_a_second_sweep_and_other_folders(tmp_path):
    sweep, mine = SweepFolder(tmp_path / "sweep"), SweepFolder(tmp_path / "mine")
    with sweep_lock(sweep):
        sweep.write(Plan("", (), plan_jobs([["seed=0"]], ["seed"])))
        with ThreadPoolExecutor(1) as other:  # the thread that has the lock may take it again
            refused = other.submit(lambda: sweep_lock(sweep).__enter__()).exception()
        assert isinstance(refused, OutputError)
        assert "another gantrain is writing here" in str(refused)
    with sweep_lock(sweep):
        pass
    mine.path.mkdir()
    (mine.path / "letter.txt").touch()
    with pytest.raises(ConfigError, match="is not empty"), sweep_lock(mine):
        pass
    assert [path.name for path in mine.path.iterdir()] == ["letter.txt"]


def test_concurrent_jobs_are_the_launchers_or_all_there_are():
    assert concurrent_jobs({}, 5) == 1
    for n in (1, 2, 3):
        assert concurrent_jobs({"n_jobs": n}, 2) == min(n, 2)
    assert concurrent_jobs({"n_jobs": -1}, 1000) == usable_cores()
    local = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
    assert concurrent_jobs({"_target_": local}, 5) == 5
    assert concurrent_jobs({"_target_": local.replace("Local", "Slurm")}, 5) == 1


@pytest.mark.parametrize(
    ("jobs", "cores", "is_warned"), [(1, 1, False), (2, 2, False), (3, 2, True), (2, 1, True)]
)
def test_warn_of_many_where_jobs_outnumber_the_cores(jobs, cores, is_warned, monkeypatch, capsys):
    monkeypatch.setattr(launch, "usable_cores", lambda: cores)
    warn_of_many(jobs)
    printed = capsys.readouterr().err
    assert printed.startswith(f"gantrain: {jobs} jobs at once share {cores} core" if is_warned else "")
    assert bool(printed) == is_warned


def test_check_all_names_each_invalid_job_and_waits_for_data(capsys):
    jobs = plan_jobs([["a=1"], ["a=2"], ["a=3"]], ["a"])

    def check(job: Job, faults: dict[str, GantrainError]) -> str:
        if job.number in faults:
            raise faults[job.number]
        return job.folder

    absent = DataError("/data", "is empty", "fill it")
    wrong = ConfigError("a", "is out of range", "give 1")
    assert check_all(jobs, lambda job: check(job, {"1": absent})) == ["0-a1", None, "2-a3"]
    assert "job #1 (a=2) will fail unless fixed" in capsys.readouterr().err
    with pytest.raises(DataError, match="is empty"):
        check_all(jobs, lambda job: check(job, dict.fromkeys("012", absent)))
    with pytest.raises(ConfigError) as caught:
        check_all(jobs, lambda job: check(job, {"0": absent, "1": wrong, "2": wrong}))
    assert str(caught.value) == "nothing was started: job #1 (a=2): a: is out of range; give 1"
    assert capsys.readouterr().err == "gantrain: job #2 (a=3): a: is out of range; give 1\n"


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


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs: 0"),
        (["hydra.sweeper.max_batch_size=2"], "hydra.sweeper.max_batch_size: there is no such key"),
    ],
)
def test_launcher_with_a_wrong_key_is_refused_in_one_line(run_cli, tmp_path, words, where):
    code, _, err = run_cli("-m", *SHORT, "seed=0,1", *words, "run.dir=s")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert err.startswith(f"gantrain: error: {where}")
    assert list(tmp_path.iterdir()) == []


def test_launcher_not_installed_names_what_installs_it():
    from hydra.errors import MissingConfigException

    from gantrain.core.hydra_errors import translate_error

    for name in ("joblib", "submitit_local", "submitit_slurm"):
        gone = MissingConfigException(
            "not found", missing_cfg_file=f"hydra/launcher/{name}", options=["basic"]
        )
        assert (
            str(translate_error(gone))
            == f"hydra/launcher: {name} is not installed; pip install 'gantrain[sweeps]'"
        )
    typed = MissingConfigException("not found", missing_cfg_file="hydra/launcher/jobli", options=["joblib"])
    assert str(translate_error(typed)).endswith("did you mean 'joblib'?")


def test_sweep_keeps_the_absolute_path_of_config_dir(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    once = CommandLine.parse(["-m", "--config-dir", "mine", "seed=0,1"])
    monkeypatch.chdir("/")
    again = CommandLine.parse([*once.flags, *once.overrides])
    assert again.flags == once.flags
    assert again.flags[-2:] == ["--config-dir", str(tmp_path / "mine")]


def test_sweep_with_an_invalid_job_starts_nothing_and_names_it(run_cli, tmp_path):
    code, _, err = run_cli("-m", *RING, "model.width=64,-3", "train.steps=5,0", "run.dir=sweep")
    assert code == 2
    first, second, last = lines(err)
    assert first.startswith(
        "gantrain: job #2 (model.width=-3 train.steps=5): model.width: -3 is out of range"
    )
    assert second.startswith("gantrain: job #3 (model.width=-3 train.steps=0): ")
    assert last.startswith(
        "gantrain: error: nothing was started: job #1 (model.width=64 train.steps=0): train.steps"
    )
    assert not list(tmp_path.iterdir())


def test_sweep_preset_needs_no_flag_and_overrides_win_over_it(run_cli, tmp_path):
    code, _, err = run_cli("sweep=seeds", *RING, "train.steps=1", "seed=range(2)", "run.dir=sweep")
    assert code == 0, err
    assert [run.name for run in sorted((tmp_path / "sweep").iterdir()) if run.is_dir()] == [
        "0-seed0",
        "1-seed1",
    ]


def test_sweep_again_runs_what_failed_and_keeps_the_rest(run_cli, tmp_path):
    from PIL import Image

    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir(), empty.mkdir()
    for i in range(40):
        Image.new("RGB", (8, 8), (i, 2 * i, 255 - i)).save(full / f"{i}.png")
    words = [
        "debug=tiny",
        "metric=none",
        "model.width=8",
        "train.batch_size=4",
        "train.steps=1",
        "device=cpu",
    ]
    sweep = ["-m", "dataset=image_folder", f"dataset.root={full},{empty}", *words, "run.dir=sweep"]
    code, out, err = run_cli(*sweep)
    assert code == 1
    assert lines(err)[-1].startswith(f"gantrain: error: {tmp_path}/sweep: 1 of 2 jobs failed; ")
    assert statuses(tmp_path / "sweep") == [("finished", None), ("failed", 3)]
    assert "failed (3)" in out
    before = digests(tmp_path / "sweep/0-full")
    for path in full.iterdir():
        shutil.copy(path, empty)
    code, out, err = run_cli("resume", "sweep")
    assert code == 0, err
    assert statuses(tmp_path / "sweep") == [("finished", None)] * 2
    assert digests(tmp_path / "sweep/0-full") == before
    code, _, err = run_cli(*sweep)  # the same words again: nothing is left to do
    assert code == 0, err
    assert digests(tmp_path / "sweep/0-full") == before
    code, _, err = run_cli("resume", "sweep", "train.batch_size=8")
    assert code == 2
    assert lines(err)[-1].startswith(
        "gantrain: error: train.batch_size: would make it another sweep; only these"
    )
    code, _, err = run_cli("resume", "sweep", "train.steps=2")
    assert code == 0, err
    assert [RunFolder(run).outcome()["step"] for run in (tmp_path / "sweep").iterdir() if run.is_dir()] == [
        2,
        2,
    ]


@pytest.mark.slow
def test_sweep_resumed_from_elsewhere_keeps_its_folders(run_cli, tmp_path, monkeypatch):
    from PIL import Image

    for where, grey in (("home", 1), ("away", 2)):  # other pictures under the same names
        for name in ("a", "b"):
            (tmp_path / where / name).mkdir(parents=True)
            for i in range(6):
                Image.new("L", (8, 8), 10 * i + grey).save(tmp_path / where / name / f"{i}.bmp")
    monkeypatch.chdir(tmp_path / "home")
    words = [
        "dataset=image_folder",
        "dataset.root=a,'b'",
        "dataset.resolution=8",
        "train.steps=2",
        "device=cpu",
    ]
    small = ["metric=none", "model.width=4", "train.batch_size=2", "train.sample_every=0"]
    sweep = tmp_path / "sweep"
    code, _, err = run_cli("-m", *words, *small, f"run.dir={sweep}")
    assert code == 0, err
    before = {path.name: digests(path / "checkpoints") for path in sweep.glob("?-*")}
    shutil.rmtree(sweep / "1-b")
    monkeypatch.chdir(tmp_path / "away")
    code, _, err = run_cli("resume", sweep)
    assert code == 0, err
    after = {path.name: digests(path / "checkpoints") for path in sweep.glob("?-*")}
    roots = [RunFolder(sweep / name).config["dataset"]["root"] for name in ("0-a", "1-b")]
    assert roots == [str(tmp_path / "home" / name) for name in "ab"]
    weights = "000002/tensors.safetensors"
    assert after["1-b"][weights] == before["1-b"][weights]
    # A job whose data changed fails with what changed, and goes on where that is allowed.
    Image.new("L", (8, 8)).save(tmp_path / "home" / "a" / "9.bmp")
    code, _, err = run_cli("resume", sweep, "train.steps=3")
    assert code == 1
    assert "1 added (first 9.bmp)" in err
    code, _, err = run_cli("resume", sweep, "train.steps=3", "dataset.allow_changed=true")
    assert code == 0, err
