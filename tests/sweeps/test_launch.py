"""A sweep before its first job and after its last: checks of jobs, the lock, what it prints, the exit code."""

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gantrain.config.overrides import CommandLine
from gantrain.core.files import write_json
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.errors import ConfigError, DataError, GantrainError, OutputError
from gantrain.sweeps.launch import check_all, follow_jobs, sweep_lock
from gantrain.sweeps.plan import plan_jobs

RING = ["dataset=ring", "device=cpu", "model.width=16", "metric=none", "train.sample_every=0"]


SHORT = ["dataset=ring", "metric=none", "train.sample_every=0"]


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


@pytest.mark.slow
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


def test_follow_jobs_prints_each_result_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gantrain.sweeps.launch.POLL_SECONDS", 0.01)
    jobs = plan_jobs([["seed=0"], ["seed=1"], ["seed=2"]], ["seed"])
    sweep, plan = SweepFolder(tmp_path), Plan("", (), jobs, at_once=2)
    runs = [sweep.run(job) for job in jobs]
    with follow_jobs(sweep, plan, jobs):
        for run, outcome in zip(runs, ["failed", "finished"], strict=False):
            run.path.mkdir()
            write_json(run.result_file, {"status": outcome, "error": "no data", "seconds": 4.0})
            time.sleep(0.1)
    out, err = capsys.readouterr()
    assert lines(out) == [
        "1 of 3 jobs: 0-seed0 failed, 4 s; about 4.0 s left",
        "2 of 3 jobs: 1-seed1 finished, 4 s; about 2.0 s left",
    ]
    assert err == "gantrain: job 0: no data\n"
