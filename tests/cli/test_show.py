"""``gantrain show``: what a folder says of its run, whatever became of it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gantrain.cli.command import command_names
from gantrain.cli.main import main
from gantrain.core.folder_lock import run_folder_lock
from gantrain.core.run_folder import RunFolder
from gantrain.core.text import format_estimate, format_number
from gantrain.reports.readings import estimates

WORDS = ["debug=tiny", "dataset=ring", "dataset.n=300", "model.width=16", "train.batch_size=32", "device=cpu"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("show") / "run"
    assert main([*WORDS, f"run.dir={folder}"]) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def suggested(page: str) -> list[str]:
    return [line.split()[1] for line in page.partition("\nnext\n")[2].splitlines()]


def test_show_of_a_finished_run_has_metrics_command_and_files(run, run_cli):
    code, page, err = run_cli("show", run)
    assert (code, err) == (0, "")
    result = json.loads((run / "result.json").read_text())
    assert page.startswith(f"{result['name']}: finished, 20 of 20 steps")
    for tag, value in estimates(result).items():
        text = re.escape(format_estimate(value, is_short=True))
        assert re.search(rf"^  {tag} +{text}", page.replace(" nats", ""), re.MULTILINE)
    for line in [*result["health"], result["meaning"], "000010, 000020", *WORDS]:
        assert line in page
    files = re.findall(r"^(?:scalars|events|result|log) +(/.*)$", page, re.MULTILINE)
    assert len(files) == 4
    assert all(Path(path).is_file() for path in files)
    assert suggested(page) == ["sample", "report", "tensorboard"]


def test_show_suggests_verbs(run, run_cli):
    for path in (run, run / "checkpoints" / "000010"):
        words = suggested(run_cli("show", path)[1])
        assert words
        assert set(words) <= {"train", *command_names()}


def test_show_full_is_yaml_of_config_json(run, run_cli):
    _, page, _ = run_cli("show", run, "full=true")
    text = page.partition("\nconfig\n")[2].partition("\n\n")[0]
    assert yaml.safe_load(text) == RunFolder(run).config


def test_show_lists_the_overrides_of_an_older_run(run, run_cli):
    page = run_cli("show", run)[1]
    assert "config     what differs from the defaults" in page
    assert "  dataset    ring n=300\n" in page
    for path in (run / "config.json", run / "checkpoints" / "000010" / "state.json"):
        plain = json.loads(path.read_text())
        del plain["differs"]
        path.write_text(json.dumps(plain))
    for path in (run, run / "checkpoints" / "000010"):
        page = run_cli("show", path)[1]
        assert (
            f"config     as it was typed; full=true shows all of it\n  overrides  {' '.join(WORDS)}" in page
        )


def test_show_of_a_running_run_ignores_a_torn_line(run, run_cli):
    (run / "result.json").unlink()
    change(
        run / "config.json", train=json.loads((run / "config.json").read_text())["train"] | {"steps": 1020}
    )
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 25, "speed/images_per_second": 320.0}\n{"step": 30, "loss/d": 0.')
    with run_folder_lock(run):
        code, page, _ = run_cli("show", run)
    assert code == 0
    # 995 steps of one batch of 32 at 320 a second
    assert ": running, 25 of 1,020 steps, 320 images a second, about 1 min 40 s of training left" in page
    assert "resume" not in suggested(page)


def test_show_time_left_of_a_baseline_is_of_one_batch_a_step(run, run_cli):
    (run / "result.json").unlink()
    train = json.loads((run / "config.json").read_text())["train"] | {"steps": 1020, "d_steps": 5}
    change(run / "config.json", train=train)
    losses = {True: "", False: '"loss/d": 1.0, '}
    for alone, loss in losses.items():
        line = f'{{"step": 20, {loss}"loss/g": 1.0, "speed/images_per_second": 3200.0}}\n'
        (run / "metrics.jsonl").write_text(line)
        with run_folder_lock(run):
            page = run_cli("show", run)[1]
        assert ("about 10 s of training left" if alone else "about 50 s of training left") in page


def test_show_does_not_lock_the_run(run, run_cli):
    with run_folder_lock(run):
        assert RunFolder(run).status == "running"
    assert RunFolder(run).status == "finished"
    with run_folder_lock(run):
        pass


def test_show_of_a_run_that_died_names_resume(run, run_cli):
    (run / "result.json").unlink()
    page = run_cli("show", run)[1]
    assert "stopped at 20 of 20 steps without a result" in page
    assert suggested(page)[0] == "resume"


def test_show_of_a_resumed_run_that_died_is_not_finished(run, run_cli):
    change(run / "config.json", train=json.loads((run / "config.json").read_text())["train"] | {"steps": 40})
    assert RunFolder(run).status == "stopped"
    assert suggested(run_cli("show", run)[1])[0] == "resume"


def test_status_of_a_run_ended_by_seconds_is_finished(run):
    train = json.loads((run / "config.json").read_text())["train"]
    change(run / "config.json", train=train | {"steps": 10**9, "seconds": 3.0})
    assert RunFolder(run).status == "finished"


def test_show_of_a_failed_run_has_error_and_exit_code(run, run_cli):
    error = "loss/d: is not finite; lower optimizer.d_lr"
    (run / "result.json").write_text(json.dumps({"status": "diverged", "exit_code": 6, "error": error}))
    page = run_cli("show", run)[1]
    assert "diverged (exit code 6), 20 of 20 steps" in page.splitlines()[0]
    assert page.splitlines()[1] == error
    assert suggested(page)[0] == "resume"


def test_show_of_a_checkpoint_has_the_values_of_its_step(run, run_cli):
    code, page, _ = run_cli("show", run / "checkpoints" / "000010")
    assert code == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    read = {tag: value for row in rows if row["step"] == 10 for tag, value in row.items()}
    assert f"loss/d {format_number(read['loss/d'])}" in page
    shown = dict(re.findall(r"^  (\w+/\w+) +(\S.*?)(?:  .*)?$", page, re.MULTILINE))
    known = estimates({"metrics": read})
    assert shown
    assert all(
        text.removesuffix(" nats") == format_estimate(known[tag], is_short=True)
        for tag, text in shown.items()
    )


def test_show_of_values_that_are_not_finite(run, run_cli):
    result = json.loads((run / "result.json").read_text())
    tags = list(result["floors"])[:1]
    change(run / "result.json", metrics=dict.fromkeys(result["metrics"]), floors=dict.fromkeys(tags))
    code, page, _ = run_cli("show", run)
    assert code == 0
    assert re.search(rf"^  {tags[0]} +nan.* +nan.*$", page, re.MULTILINE)


def test_show_escapes_control_characters(run, run_cli):
    change(run / "result.json", status="failed", error="\x1b[31mred\x07")
    _, page, _ = run_cli("show", run)
    assert "\x1b" not in page
    assert "\\x1b[31mred\\x07" in page


# Sweeps --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sweep(finished, tmp_path) -> Path:
    """Four jobs: finished, failed, killed before a word, and never begun."""
    folder = tmp_path / "sweep"
    jobs = [{"folder": f"{i}-seed{i}", "overrides": ["dataset=ring", f"seed={i}"]} for i in range(4)]
    folder.mkdir()
    (folder / "sweep.json").write_text(
        json.dumps({"command": "gantrain -m seed=0,1,2,3", "argv": [], "jobs": jobs})
    )
    for i in range(3):
        shutil.copytree(finished, folder / f"{i}-seed{i}")
    error = {"status": "failed", "error": "data: gone; restore", "exit_code": 3, "seconds": 1.0}
    (folder / "1-seed1" / "result.json").write_text(json.dumps(error))
    (folder / "2-seed2" / "result.json").unlink()
    return folder


def test_show_of_a_sweep_has_a_line_for_every_job(sweep, run_cli):
    code, page, err = run_cli("show", sweep)
    assert (code, err) == (0, "")
    assert "4 jobs: 1 finished, 1 failed, 1 stopped, 1 missing" in page
    lines = {line.split()[0]: line.split() for line in page.splitlines() if re.match(r"\d-seed\d ", line)}
    assert lines["0-seed0"][1:5] == ["seed=0", "finished", "0", "20"]
    assert lines["1-seed1"][1:4] == ["seed=1", "failed", "3"]
    assert lines["1-seed1"][-3:] == ["data:", "gone;", "restore"]
    assert lines["2-seed2"][1:] == ["seed=2", "stopped", "20"]
    assert lines["3-seed3"][1:] == ["seed=3", "missing", "0"]
    assert "shared     dataset=ring" in page
    assert "command    gantrain -m seed=0,1,2,3" in page
    assert suggested(page)[0] == "resume"


def test_show_of_a_finished_sweep_does_not_suggest_resume(sweep, finished, run_cli):
    for i in range(4):
        shutil.copytree(finished, sweep / f"{i}-seed{i}", dirs_exist_ok=True)
    page = run_cli("show", sweep)[1]
    assert "4 jobs: 4 finished" in page
    assert "resume" not in suggested(page)


def test_show_of_a_running_sweep_has_waiting_jobs(sweep, run_cli):
    with run_folder_lock(sweep):
        page = run_cli("show", sweep)[1]
    assert "1 waiting" in page
    assert "resume" not in suggested(page)
    page = run_cli("show", sweep)[1]
    assert "1 missing" in page
    assert "resume" in suggested(page)


def test_show_of_a_sweep_without_a_plan_lists_its_runs(sweep, run_cli):
    (sweep / "sweep.json").unlink()
    (sweep / "multirun.yaml").write_text("hydra: {}\n")
    code, page, _ = run_cli("show", sweep)
    assert code == 0
    assert "3 jobs: 1 finished, 1 failed, 1 stopped" in page


# What is no run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run/config.json", "{"),
        ("run/config.json", "[]"),
        ("run/config.json", '{"train": 3}'),
        ("run/result.json", '{"status": "finished"}'),
        ("run/result.json", '{"status": "finished", "step": 20, "metrics": {"a": "b"}}'),
        ("run/checkpoints/000020/state.json", '{"step": 20}'),
        ("run/sweep.json", '{"jobs": [{"folder": "0"}]}'),
        ("run/sweep.json", '{"jobs": 3}'),
    ],
)
def test_show_of_a_malformed_file_is_one_line(file, text, run, run_cli, tmp_path):
    (tmp_path / file).write_text(text)
    code, out, err = run_cli("show", run)
    assert (code, out) == (4, "")
    assert re.fullmatch(r"gantrain: error: .*run.*\n", err)


def test_show_of_another_folder_names_the_newest_run_below(run, tmp_path, run_cli):
    code, out, err = run_cli("show", tmp_path)
    assert (code, out) == (4, "")
    assert err.rstrip().endswith(str(run))
    assert run_cli("show", tmp_path / "nothing")[0] == 4
    (tmp_path / "empty").mkdir()
    assert run_cli("show", tmp_path / "empty")[0] == 4


@pytest.mark.parametrize("words", [[], ["a", "b"], ["a", "full=perhaps"], ["a", "half=true"], ["--all"]])
def test_show_of_unknown_words_is_usage(words, run_cli, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    code, out, err = run_cli("show", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_show_imports_neither_torch_nor_hydra(run):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gantrain", "show", str(run)],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "gantrain" in modules
    assert not modules & {"torch", "hydra", "omegaconf", "numpy", "tensorboard", "matplotlib"}
