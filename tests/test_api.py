"""A run as an object is the run that the command line has, and training from Python is training."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import pkgutil
import pydoc
import re
import runpy
import shutil
import signal
import subprocess
import sys
import typing
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import gantrain
import gantrain.api
from gantrain import errors
from gantrain.core.run_folder import RunFolder
from gantrain.training.checkpoint import load_checkpoint

QUIET = ["debug=tiny", "train.sample_every=0", "device.threads=1"]
RING = ["dataset=ring", "dataset.n=300", *QUIET]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A conditional run of images, of 4 steps with checkpoints at 2 and 4."""
    place = tmp_path_factory.mktemp("api") / "run"
    words = ["objective=conditional", "model.width=4", "train.steps=4", "train.checkpoint_every=2"]
    gantrain.train(
        [*words, "train.log_every=1", "metric.names=[js]", "metric.n=64", *QUIET, f"run.dir={place}"]
    )
    return place


@pytest.fixture(scope="module")
def run(folder):
    return gantrain.load(folder)


def test_importing_the_package_imports_nothing_heavy():
    heavy = "torch numpy hydra omegaconf pandas PIL matplotlib".split()
    program = f"import sys, gantrain; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_user_errors_are_exported_by_the_package():
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind)
        and issubclass(kind, errors.GantrainError)
        and kind.__module__ == errors.__name__
    }
    assert {name: getattr(gantrain, name, None) for name in kinds} == kinds
    assert set(kinds) <= set(gantrain.__all__)


# Modules that import a type for the type checker alone, so that the command starts fast.
FAST_START = ("cli.", "config.compose", "core.device", "core.groups", "sampling.options")


def public_functions() -> Iterator[tuple[str, object]]:
    """Yield every public class, function and method of the package with the name of its module."""
    for module in pkgutil.walk_packages(gantrain.__path__, "gantrain."):
        short = module.name.removeprefix("gantrain.")
        if short == "__main__" or short.startswith(FAST_START):
            continue
        for owner in vars(importlib.import_module(module.name)).values():
            is_own = getattr(owner, "__module__", None) == module.name
            is_public = inspect.isclass(owner) or inspect.isfunction(owner)
            if not (is_own and is_public) or owner.__name__.startswith("_"):
                continue
            yield short, owner
            for name, member in vars(owner).items() if inspect.isclass(owner) else ():
                function = member.fget if isinstance(member, property) else member
                if inspect.isfunction(function) and not name.startswith("_"):
                    yield short, function


def test_type_hints_of_every_public_function_resolve():
    hints = {(module, one.__qualname__): typing.get_type_hints(one) for module, one in public_functions()}
    assert len(hints) > 800
    assert hints["api", "train"]["return"] is gantrain.Run
    assert hints["api", "Run.history"]["return"] is pandas.DataFrame
    assert hints["api", "Run.grid"]["return"] is Image.Image


def test_help_documents_every_argument_and_error():
    text = pydoc.render_doc(gantrain.train, renderer=pydoc.plaintext)
    for word in (
        "overrides",
        "plugins",
        "run.show()",
        "run.grid()",
        'run.plot("divergence/js")',
        "gantrain list",
    ):
        assert word in text, word
    raised = re.findall(r"^ +(\w+): ", text.partition("Raises:")[2], re.M)
    assert all(issubclass(getattr(gantrain, name), gantrain.GantrainError) for name in raised)
    assert {"ConfigError", "DataError", "OutputError", "Diverged", "Interrupted"} == set(raised)
    for name, member in vars(gantrain.Run).items():
        assert name.startswith("_") or inspect.getdoc(member), name
    assert {"train", "load", "Run"} <= set(dir(gantrain))


def test_grid_is_the_picture_that_sample_writes(run, run_cli, tmp_path):
    assert run_cli("sample", run.path, "n=20", "seed=3", "classes=[1,7]", "out=grid.png")[0] == 0
    written = Image.open(tmp_path / "grid.png")
    shown = run.grid(20, seed=3, classes=[1, 7])
    assert (shown.size, shown.tobytes()) == (written.size, written.tobytes())


def test_plot_draws_the_tags_that_are_named(run, capsys):
    one, two = run.plot("divergence/js"), run.plot("divergence/js", "loss/d")
    assert two.width == 2 * one.width
    assert run.plot().size == two.size  # the divergence and the losses
    assert len(set(one.convert("L").tobytes())) > 20  # a curve, not an empty panel
    with pytest.raises(
        gantrain.ConfigError, match="divergence/jz: is no tag that run has logged; did you mean"
    ):
        run.plot("divergence/jz")
    run.show()
    page = capsys.readouterr().out
    run.show(full=True)
    full = capsys.readouterr().out
    assert page.startswith("digits-conditional: finished, 4 of 4 steps")
    assert f"gantrain sample {run.path}" in page
    assert len(full) > len(page)


def test_a_run_says_what_its_files_say(folder, run):
    result = json.loads((folder / "result.json").read_text())
    assert run.path == folder.resolve()
    assert run.step == 4
    assert run.config == RunFolder(folder).config
    assert run.result == result
    assert run.metrics == result["metrics"]
    assert "divergence/js" in run.metrics
    assert str(folder) in repr(run)
    assert len(repr(run)) < 300


def test_run_networks_are_those_of_the_checkpoint(folder, run):
    tensors = load_checkpoint(folder).tensors
    for network, part in ((run.G, "G_ema"), (run.D, "D")):
        assert not network.training
        for name, value in network.state_dict().items():
            assert torch.equal(value, tensors[f"{part}/{name}"])
    assert any(not torch.equal(tensors[f"G/{n}"], v) for n, v in run.G.state_dict().items())
    assert run.D(run.sample(6), run.labels(6)).shape == (6,)


@pytest.mark.parametrize("words", [{}, {"classes": [3, 7]}, {"truncation": 0.5}, {"seed": 9}], ids=str)
def test_it_samples_what_the_command_writes(words, folder, run, run_cli, tmp_path):
    given = [f"{key}={str(value).replace(' ', '')}" for key, value in words.items()]
    assert run_cli("sample", folder, "n=12", *given, "out=x.npz")[0] == 0
    arrays = np.load(tmp_path / "x.npz")
    x = run.sample(12, **words)
    labels = run.labels(12, **{key: value for key, value in words.items() if key == "classes"})
    assert x.dtype == torch.float32
    pixels = x.add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert np.array_equal(arrays["x"], pixels.numpy())
    assert np.array_equal(arrays["y"], labels.numpy())
    z = run.latents(12, **{key: value for key, value in words.items() if key != "classes"})
    assert torch.equal(run.G(z, labels).detach(), x)
    assert torch.equal(run.sample(12, **words), x)
    assert x.requires_grad_().sum().requires_grad  # a plain tensor, which can be optimised


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"n": 0}, "n"),
        ({"seed": -1}, "seed"),
        ({"classes": [10]}, "classes"),
        ({"classes": 3}, "classes"),
        ({"classes": ["three"]}, "classes"),
        ({"condition": "red disc"}, "condition"),
        ({"truncation": 0.0}, "truncation"),
    ],
)
def test_a_word_that_it_cannot_follow_is_a_config_error(words, key, run):
    with pytest.raises(gantrain.ConfigError, match=f"^{key}"):
        run.sample(**words)


def test_the_history_is_every_scalar_by_step(folder, run, tmp_path):
    history = run.history()
    assert history.index.name == "step"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        step = line.pop("step")
        for tag, value in line.items():
            assert value is None or history.loc[step, tag] == value
    assert history.index.tolist() == sorted({*history.index}) == [1, 2, 3, 4]
    assert set(history.columns) == {tag for line in lines for tag in line}
    shutil.copytree(folder, tmp_path / "cut")
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "loss/d": 0.')  # a run that is writing it
    assert gantrain.load(tmp_path / "cut").history().equals(history)
    (tmp_path / "cut" / "metrics.jsonl").unlink()
    assert gantrain.load(tmp_path / "cut").history().empty


def test_load_of_an_earlier_checkpoint_has_its_own_metrics(folder, run, run_cli):
    earlier = gantrain.load(str(folder / "checkpoints" / "000002"))
    assert (earlier.step, earlier.path) == (2, run.path)
    assert not torch.equal(earlier.sample(4), run.sample(4))
    row = run.history().loc[2]
    assert earlier.metrics == {
        tag: row[tag] for tag in row.index if tag in run.metrics and row[tag] == row[tag]
    }
    assert run_cli("evaluate", folder / "checkpoints" / "000002")[0] == 0
    written = json.loads((folder / "evaluation-000002.json").read_text())
    assert earlier.metrics.items() >= written["metrics"].items() > set()
    assert run.metrics == run.result["metrics"]


def test_its_generator_is_exported(run, tmp_path):
    path = run.export(tmp_path / "g.pt2")
    program = torch.export.load(path).module()
    assert torch.equal(program(run.latents(5), run.labels(5)), run.sample(5))
    assert all(p.requires_grad for p in run.G.parameters())


def test_rows_are_those_of_the_table(run, run_cli, tmp_path):
    numbers = np.random.default_rng(0).normal((50, -3), (10, 0.1), (300, 2)).round(2)
    table = "\n".join(["height,weight", *(f"{a},{b}" for a, b in numbers)])
    (tmp_path / "people.csv").write_text(table)
    words = [
        "dataset=table",
        f"dataset.path={tmp_path / 'people.csv'}",
        "train.steps=1",
        "train.batch_size=32",
    ]
    mine = gantrain.train([*words, *QUIET, "metric=none", f"run.dir={tmp_path / 'run'}"])
    assert run_cli("sample", mine.path, "n=9", "out=x.csv")[0] == 0
    rows = mine.rows(mine.sample(9))
    assert rows.to_csv(index=False) == (tmp_path / "x.csv").read_text()
    assert mine.labels(9) is None
    with pytest.raises(gantrain.ConfigError, match="not a table"):
        run.rows(run.sample(2))


# Training ------------------------------------------------------------------------------------------------------


def test_train_equals_the_command_line_and_restores_the_process(run_cli, tmp_path, capfd, monkeypatch):
    words = [*RING, "train.steps=3", "metric=none"]
    assert run_cli(*words, f"run.dir={tmp_path / 'shell'}")[0] == 0
    monkeypatch.chdir(tmp_path)
    argv, handlers = sys.argv[:], {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    log, threads = (logging.root.handlers[:], logging.root.level), torch.get_num_threads()
    assert gantrain.train([*words, f"device.threads={threads + 1}"]).step == 3
    with ThreadPoolExecutor(1) as thread:  # where a notebook may train, and no signal arrives
        runs = [gantrain.train(words), thread.submit(gantrain.train, tuple(words)).result()]
    assert sys.argv == argv
    assert (logging.root.handlers, logging.root.level) == log
    assert torch.get_num_threads() == threads
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    assert len({run.path for run in runs}) == 2
    assert all(run.path.is_relative_to(tmp_path / "outputs") for run in runs)
    shell = gantrain.load(tmp_path / "shell")
    for run in runs:
        assert run.step == 3
        assert torch.equal(run.sample(20), shell.sample(20))
    assert "3 steps" in capfd.readouterr().out


@pytest.mark.slow
def test_train_works_in_any_thread_and_without_a_file(tmp_path):
    """As in a notebook."""
    program = f"""
import threading, gantrain
found = []
words = {[*RING, "train.steps=1", "metric=none"]!r}
thread = threading.Thread(target=lambda: found.append(gantrain.train(words)))
thread.start(); thread.join()
print(found[0].step, gantrain.train(words).sample(2, seed=1).shape)
"""
    done = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 torch.Size([2, 2])"


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["dataset=rung"], "ConfigError", "did you mean 'ring'"),
        (["train.steps=x"], "ConfigError", "train.steps: 'x' is not a whole number"),
        (["seed=1,2"], "ConfigError", "seed: has several values"),
        (["-m", "seed=1,2"], "ConfigError", "for several runs call train for each"),
        (["--cfg", "job"], "ConfigError", "command line"),
        ("dataset=ring", "ConfigError", "is one string"),
        (["dataset=image_folder", "dataset.root=nowhere"], "DataError", "nowhere"),
        ([*RING, "optimizer=sgd", "optimizer.d_lr=1000", "metric=none"], "Diverged", "not finite"),
        ([*RING, "run.dir=."], "ConfigError", "is not empty"),
    ],
    ids=str,
)
def test_a_fault_is_raised_as_what_it_is_and_the_next_call_works(words, kind, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    before = logging.root.handlers[:], logging.root.level, dict(os.environ), Path.cwd()
    with pytest.raises(getattr(gantrain, kind), match=said) as caught:
        gantrain.train(words)
    assert type(caught.value).__name__ == kind
    assert (logging.root.handlers, logging.root.level, dict(os.environ), Path.cwd()) == before


def test_what_is_no_run_is_a_checkpoint_error(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere", str(tmp_path)):
        with pytest.raises(gantrain.CheckpointError):
            gantrain.load(place)


def test_the_package_says_that_it_is_typed():
    assert (Path(gantrain.__file__).parent / "py.typed").is_file()


def test_the_page_on_python_says_what_is_so(tmp_path, monkeypatch, capfd):
    """Its blocks run one after another, as they stand there but for the length of the runs."""
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.S | re.M))
    assert program.count("train.steps=100") == 2
    (tmp_path / "page.py").write_text(program.replace("train.steps=100", "train.steps=4"))
    monkeypatch.chdir(tmp_path)
    runpy.run_path("page.py")
    assert "\ndataset: 'rung' is not one of its choices; did you mean 'ring'?\n" in capfd.readouterr().out
    told = set(re.findall(r"^\| (.+?) \|", page, re.M))
    keys = {key for row in told for key in re.findall(r"`(\w+)`", row)}
    about = json.loads(zipfile.ZipFile(tmp_path / "g.pt2").read("archive/extra/gantrain.json"))
    assert keys == set(about) - {"gantrain", "name", "model", "step", "channel_classes"}
    for name in {name for row in told for name in re.findall(r"`run\.(\w+)", row)}:
        assert hasattr(gantrain.api.Run, name) or name in gantrain.api.Run.__dataclass_fields__
