"""The command as a user meets it: its pages, its verbs, what a run leaves, and how it ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import gantrain
from gantrain.cli.command import command_names
from gantrain.cli.main import main
from gantrain.core.groups import GROUPS, STUDY, choices, yaml_dir
from gantrain.sampling.options import SampleOptions
from gantrain.training.checkpoint import load_checkpoint

POINTS = ["dataset=ring", "dataset.n=300", "train.batch_size=32", "model.width=16", "device=cpu"]
QUIET = ["metric=none", "train.sample_every=0"]
COMMAND = [sys.executable, "-m", "gantrain"]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


# Pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["--help", "list", "--version"])
def test_the_pages_import_neither_torch_nor_hydra(word, tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], word],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "gantrain.cli.main" in modules
    assert not {m for m in modules if m.split(".")[0] in ("torch", "hydra", "omegaconf", "numpy")}
    assert done.stdout.strip()


def test_every_option_is_listed_with_what_it_is(run_cli):
    _, listed, _ = run_cli("list")
    for group in GROUPS:
        files = {path.stem for path in (yaml_dir() / group).glob("*.yaml")}
        assert set(choices(group)) == files
        for name, text in choices(group).items():
            assert re.match(r"\w.*\S", text), f"{group}/{name}.yaml does not say what it is"
            absent = r"( \(weights absent here: \S+\))?"
            assert re.search(rf"^  {re.escape(name)} +{re.escape(text)}{absent}$", listed, re.MULTILINE)


def test_every_folder_of_options_is_a_group_of_the_pages():
    folders = {path.name for path in yaml_dir().iterdir() if path.is_dir() and any(path.glob("*.yaml"))}
    assert folders <= {*GROUPS, STUDY}


def test_help_names_every_verb_and_stands_behind_each(run_cli):
    _, page, _ = run_cli("--help")
    for verb in ("train", *command_names()):
        code, told, err = run_cli(verb, "--help")
        assert (code, err) == (0, "")
        if verb == "train":
            assert told == page
        else:  # one line on the page, and every form of it behind the verb
            assert re.search(rf"^  gantrain {verb}[ \n]", page, re.MULTILINE), verb
            assert told.startswith(f"usage\n  gantrain {verb}")
    assert run_cli("seed=1", "-h") == (0, page, "")


def test_verb_help_fits_a_screen_and_names_every_word(run_cli):
    for verb in set(command_names()):
        assert len(run_cli(verb, "--help")[1].splitlines()) < 24
    _, told, _ = run_cli("sample", "outputs/run", "-h")
    for field in fields(SampleOptions):
        assert f"  {field.name}= " in told
        assert field.metadata["help"] in told


def test_version_is_the_packages(run_cli):
    assert run_cli("--version") == (0, f"gantrain {gantrain.__version__}\n", "")


@pytest.mark.parametrize("word", ["objective", "objectives"])
def test_a_group_may_be_asked_for_in_the_plural(word, run_cli):
    code, page, _ = run_cli("list", word)
    assert code == 0
    assert page.splitlines()[0] == "objective"
    assert len(page.splitlines()) == 1 + len(choices("objective"))


# Composing -----------------------------------------------------------------------------------------------------


def composed(run_cli, *words: str) -> dict:
    """The config that words give, and the assurance that nothing was written."""
    before = {path: path.is_file() and path.read_bytes() for path in Path.cwd().rglob("*")}
    code, out, err = run_cli("--cfg", "job", *words)
    assert (code, err) == (0, "")
    assert {path: path.is_file() and path.read_bytes() for path in Path.cwd().rglob("*")} == before
    return yaml.safe_load(out)


def test_cfg_prints_the_config_and_writes_nothing(run_cli):
    config = composed(run_cli, "dataset=ring", "train.steps=7")
    assert config["dataset"]["name"] == "ring"
    assert config["train"]["steps"] == 7
    assert set(config) >= {"seed", "name", "run", "dataset", "model", "objective", "optimizer", "train"}


def test_flags_may_stand_between_and_behind_overrides(run_cli):
    code, out, err = run_cli("train.steps=7", "--cfg", "job", "seed=3", "-p", "train")
    assert (code, err) == (0, "")
    assert yaml.safe_load(out)["steps"] == 7


def test_a_users_folder_adds_options_and_experiments(run_cli, tmp_path):
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "experiment").mkdir()
    (tmp_path / "mine/optimizer/brisk.yaml").write_text(
        "# My own.\ndefaults: [/schema/optimizer/adam@_here_, _self_]\ng_lr: 0.25\n"
    )
    (tmp_path / "mine/experiment/night.yaml").write_text(
        "# @package _global_\ndefaults: [override /optimizer: brisk, override /dataset: ring]\nseed: 11\n"
    )
    adam = composed(run_cli)["optimizer"]
    assert composed(run_cli, "--config-dir", "mine", "optimizer=brisk")["optimizer"] == adam | {"g_lr": 0.25}
    night = composed(run_cli, "experiment=night", f"--config-dir={tmp_path / 'mine'}", "seed=12")
    assert (night["optimizer"]["g_lr"], night["dataset"]["name"], night["seed"]) == (0.25, "ring", 12)


# A run ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """The folder of a finished run of twenty steps, made with nothing chosen but its length and place."""
    folder = tmp_path_factory.mktemp("tiny") / "run"
    assert main(["debug=tiny", f"run.dir={folder}", "seed=3"]) == 0
    return folder


def test_a_run_leaves_what_it_promises_and_nothing_else(tiny):
    found = {path.name for path in tiny.iterdir() if not path.name.startswith(("events.out", ".lock"))}
    assert found == {
        ".hydra",
        "checkpoints",
        "config.json",
        "gantrain.log",
        "metrics.jsonl",
        "result.json",
        "samples",
    }
    assert len(list(tiny.glob("events.out.tfevents.*"))) == 1
    assert {path.name for path in (tiny / ".hydra").iterdir()} == {
        "config.yaml",
        "hydra.yaml",
        "overrides.yaml",
    }
    assert [path.name for path in sorted((tiny / "samples").iterdir())] == [
        f"{step:06d}.png" for step in (0, 10, 20)
    ]
    assert [path.name for path in sorted((tiny / "checkpoints").iterdir())] == ["000010", "000020"]


def test_the_config_of_a_run_is_resolved(tiny):
    config = json.loads((tiny / "config.json").read_text())
    assert config["model"]["name"] == "dcgan"  # what auto picked
    assert config["model"]["width"] > 0
    assert config["optimizer"]["horizon"] == config["train"]["steps"] == 20
    assert config["seed"] == 3
    assert "${" not in json.dumps(config)


def test_the_result_holds_metrics_floors_and_how_they_were_made(tiny):
    result = json.loads((tiny / "result.json").read_text())
    assert (result["status"], result["step"], result["seed"]) == ("finished", 20, 3)
    assert {"divergence/js", "diversity/coverage", "fidelity/precision"} <= set(result["metrics"])
    assert set(result["floors"]) < set(result["metrics"])
    assert {"n", "k", "features", "split"} <= set(result["protocol"]["prdc"])
    assert result["seconds"] > 0
    assert all(np.isfinite(value) for value in result["metrics"].values())


def test_metrics_file_is_json_lines_in_order_with_few_tags(tiny):
    read = [json.loads(line) for line in (tiny / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in read]
    assert steps == sorted(steps)
    assert set(steps) == {5, 10, 15, 20}
    pairs = [(line["step"], tag) for line in read for tag in line if tag != "step"]
    assert len(pairs) == len(set(pairs))
    assert 10 <= len({tag for _, tag in pairs}) <= 20


def test_the_pictures_are_grids_that_differ_by_step(tiny):
    pictures = [Image.open(path) for path in sorted((tiny / "samples").glob("*.png"))]
    assert len({picture.size for picture in pictures}) == 1
    assert min(pictures[0].size) >= 8 * 32  # eight rows and columns, each legible
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_tensorboard_opens_the_run(tiny):
    done = subprocess.run(
        [*COMMAND, "tensorboard", str(tiny), "--inspect"], capture_output=True, text=True, check=True
    )
    for tag in ("divergence/js", "loss/d", "samples/ema", "samples/nearest", "samples/real"):
        assert tag in done.stdout


def test_a_command_to_copy_is_quoted_as_its_folder_needs(run_cli, tmp_path):
    folder = tmp_path / "my runs"
    ended = run_cli(*POINTS, *QUIET, "train.steps=1", f"run.dir='{folder}'")[1]
    (command,) = re.findall(r"gantrain tensorboard .*", ended)
    assert shlex.split(command) == ["gantrain", "tensorboard", str(folder)]
    (command,) = re.findall(r"gantrain resume .*", run_cli("resume", str(folder))[1])
    assert shlex.split(command)[:3] == ["gantrain", "resume", str(folder)]


def test_a_run_ends_with_its_metrics_and_where_to_look(run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    code, out, _ = run_cli(
        *POINTS, "train.steps=2", "metric=js", "metric.n=64", "run.root=~/Zürich", "name=mine"
    )
    assert code == 0
    (folder,) = tmp_path.glob("Zürich/*-*-*/*-mine-*")  # a day's folder, then one for each run
    assert lines(out)[-3:] == [
        f"pictures   {folder}/samples/000002.png",
        f"result     {folder}/result.json",
        f"dashboard  gantrain tensorboard {shlex.quote(str(folder))}",
    ]
    js = json.loads((folder / "result.json").read_text())["metrics"]["divergence/js"]
    assert re.search(rf"^  divergence/js +≥ {js:.3f} ", out, re.MULTILINE)


def test_evaluate_reads_a_checkpoint_and_says_where(tiny, run_cli):
    before = {path.name for path in tiny.iterdir()}
    code, out, _ = run_cli("evaluate", tiny, "metric=js", "metric.n=64")
    assert code == 0
    (written,) = {path.name for path in tiny.iterdir()} - before
    reading = json.loads((tiny / written).read_text())
    (tiny / written).unlink()
    assert reading["step"] == 20
    assert reading["protocol"]["js"]["n"] == 64
    assert str(tiny / written) in out
    assert f"{reading['metrics']['divergence/js']:.3f}" in out


# Sampling ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def conditional(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("conditional") / "run"
    words = ["objective=conditional", "train.steps=2", "model.width=4", *QUIET, f"run.dir={folder}"]
    assert main(words) == 0
    return folder


def made(out: Path) -> dict[str, bytes]:
    """The bytes of a sample: of a file, or of every file of a folder."""
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    return {file.name.removeprefix("again-"): file.read_bytes() for file in files}


@pytest.mark.parametrize("out", ["grid.png", "arrays.npz", "folder"])
def test_sample_bytes_depend_on_the_seed_only(out, conditional, run_cli, tmp_path):
    for name, seed in ((out, 1), (f"again-{out}", 1), (f"other-{out}", 2)):
        assert run_cli("sample", conditional, "n=6", f"seed={seed}", f"out={name}") == (0, f"{name}\n", "")
    first, other = made(tmp_path / out), made(tmp_path / f"other-{out}")
    assert first == made(tmp_path / f"again-{out}")
    assert list(first.values()) != list(other.values())
    assert len(first) == len(other) == (6 if out == "folder" else 1)


def test_classes_are_drawn_in_turn_and_named(conditional, run_cli, tmp_path):
    assert run_cli("sample", conditional, "n=5", "classes=[3,7]", "out=new/folder")[0] == 0
    names = [path.name for path in sorted((tmp_path / "new/folder").iterdir())]
    assert names == [f"{i:06d}-class{c}.png" for i, c in enumerate([3, 7, 3, 7, 3])]
    assert run_cli("sample", conditional, "n=5", "classes=[3,7]", "out=arrays.npz")[0] == 0
    arrays = np.load(tmp_path / "arrays.npz")
    assert arrays["y"].tolist() == [3, 7, 3, 7, 3]
    assert (arrays["x"].dtype, arrays["x"].shape) == (np.uint8, (5, 8, 8, 1))
    for i, name in enumerate(names):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "new/folder" / name)), arrays["x"][i, :, :, 0])


def test_without_a_place_samples_go_into_the_run(conditional, run_cli):
    code, out, _ = run_cli("sample", conditional, "n=4", "seed=9")
    assert code == 0
    path = Path(out.strip())
    assert path == conditional / "samples" / "sample-000002-seed9.png"
    Image.open(path).verify()


def test_points_are_sampled_as_arrays(run_cli, tmp_path):
    assert run_cli(*POINTS, *QUIET, "train.steps=1", "run.dir=run")[0] == 0
    assert run_cli("sample", "run", "n=7", "out=x.npz")[0] == 0
    arrays = np.load(tmp_path / "x.npz")
    assert (arrays["x"].shape, arrays["x"].dtype) == ((7, 2), np.float32)
    assert "y" not in arrays


# How it ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "variable"), [("--traceback", ""), ("", "1")])
def test_traceback_is_shown_on_request_above_the_last_line(flag, variable, tmp_path):
    done = subprocess.run(
        [*COMMAND, *filter(None, [flag]), "list", "nowhere"],
        cwd=tmp_path,
        env=os.environ | {"GANTRAIN_DEBUG": variable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert lines(done.stderr)[-1].startswith("gantrain: error: list: ")


def test_a_reader_who_leaves_is_no_fault():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as gone:
        done = subprocess.run([*COMMAND, "--help"], stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_under_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 5
    assert len(lines(done.stderr)) == 1
    assert "No space left on device" in done.stderr


def test_a_closed_stdout_is_no_fault():
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *COMMAND, "list"], stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


DIVERGING = ["optimizer.g_lr=1000", "optimizer.d_lr=1000", "optimizer.schedule=constant", "train.steps=60"]


def test_run_that_diverges_keeps_finite_checkpoints(run_cli, tmp_path):
    code, _, err = run_cli(*POINTS, *QUIET, *DIVERGING, "train.checkpoint_every=1", "run.dir=run")
    assert code == 6
    assert re.match(r"gantrain: error: loss/[dg]: .* is not finite", lines(err)[-1])
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["exit_code"]) == ("diverged", 6)
    assert f"gantrain: error: {result['error']}" == lines(err)[-1]
    for path in (tmp_path / "run").glob("checkpoints/*"):
        load_checkpoint(path)  # refuses what is not finite


def test_a_sweep_goes_on_after_a_job_that_fails_and_ends_with_1(run_cli, tmp_path):
    sweep = ["seed=5", "-m", "optimizer.d_lr=1000,0.001", "optimizer.g_lr=1000", "run.dir=sweep"]
    code, out, err = run_cli(*POINTS, *QUIET, "train.steps=60", "optimizer.schedule=constant", *sweep)
    results = {
        path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("sweep/*/result.json")
    }
    names = sorted(results)
    assert names == ["0-d_lr1000", "1-d_lr0.001"]  # what varies, and nothing else
    assert [results[name]["status"] for name in names] == ["diverged", "finished"]
    assert {result["seed"] for result in results.values()} == {5}
    assert code == 1
    assert lines(err)[-1].startswith(f"gantrain: error: {tmp_path}/sweep: 1 of 2 jobs failed; ")
    assert f"gantrain: job 0: {results[names[0]]['error']}" in err
    assert "Traceback" not in out + err


def test_a_sweep_whose_words_cannot_be_composed_trains_nothing(run_cli, tmp_path):
    code, _, err = run_cli("-m", "optimizer.schedule=linear,cubic", "run.dir=sweep")
    assert code == 2
    assert lines(err) == [
        "gantrain: error: nothing was started: job #1 (optimizer.schedule=cubic): optimizer.schedule: 'cubic' "
        "is not one of its choices; " + lines(err)[0].split("; ")[-1]
    ]
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize("name", [pytest.param("SIGINT", marks=pytest.mark.slow), "SIGTERM"])
def test_signal_saves_the_step_and_names_how_to_resume(name, run_cli, tmp_path):
    number = getattr(signal, name)
    words = [*POINTS, "metric=js", "metric.n=64", "train.sample_every=0", "train.checkpoint_every=0"]
    process = subprocess.Popen(
        [
            *COMMAND,
            *words,
            "train.steps=1000000",
            "device.compile=false",
            "train.evaluate_every=5",
            "run.dir=run",
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 10 "):
            process.send_signal(number)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in rest
    folder = re.escape(str(tmp_path / "run"))
    said = (
        rf"gantrain: error: {folder}: stopped by {name} at step (\d+); go on with: gantrain resume {folder}"
    )
    stop = re.fullmatch(said, lines(rest)[-1])
    assert stop
    step = int(stop[1])
    assert step >= 10
    assert load_checkpoint(tmp_path / "run").step == step
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["exit_code"]) == ("interrupted", 128 + number)
    assert run_cli("resume", "run", f"train.steps={step + 1}")[0] == 0
    assert load_checkpoint(tmp_path / "run").step == step + 1
