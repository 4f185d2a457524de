"""What a user can get wrong, as a table: each fault is one line that names the key or path, and leaves no trace."""

import hashlib
import json
import os
import pickle
import re
import shlex
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from gantrain.cli.main import main

Setup = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """A command, how its folder is prepared, and what must be said of it."""

    command: str
    where: str
    words: tuple[str, ...]
    code: int
    setup: Setup


def nothing(_: object) -> None:
    """Change nothing."""


def row(command: str, where: str, *words: str, code: int = 2, setup: Setup = nothing) -> Row:
    return Row(command, where, words, code, setup)


def check(row: Row, run_cli, folder: Path) -> None:
    """Run a row and hold it to the promise made for every fault."""
    row.setup(folder)
    before = contents(folder)
    code, out, err = run_cli(*shlex.split(row.command))
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    (line,) = lines
    assert code == row.code, line
    assert "Traceback" not in out + err
    start = f"gantrain: error: {row.where.replace('DIR', str(folder))}" + ": " * (not row.where.endswith("/"))
    assert line.startswith(start), line
    assert re.fullmatch(r".*\S; \S.+", line.removeprefix(start)), line  # what is wrong; what to do
    for word in row.words:
        assert word in line, line
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, object]:
    """Every path below a folder, with the bytes of each file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else path.is_symlink()
        for path in folder.rglob("*")
    }


def ids(rows: list[Row]) -> list[str]:
    return [row.command for row in rows]


# Overrides -----------------------------------------------------------------------------------------------------

RANGE = "is out of range"
OVERRIDES = [
    # Misspelled keys, groups and options.
    row("optimzer.g_lr=1", "optimzer", "did you mean 'optimizer'?"),
    row("objectve=minimax", "objectve", "did you mean 'objective'?"),
    row("optimizer.glr=1", "optimizer.glr", "did you mean 'g_lr'?"),
    row("train.step=5", "train.step", "did you mean 'steps'?"),
    row("model.widht=8", "model.widht", "did you mean 'width'?"),
    row("dataset=ring dataset.nmodes=3", "dataset.nmodes", "did you mean 'modes'?"),
    row("dataset.std=0.1", "dataset.std", "no such key", "holdout"),
    row("steps=5", "steps", "did you mean 'train.steps'?"),
    row("train/steps=5", "train/steps", "did you mean 'train.steps'?"),
    row("run.folder=x", "run.folder", "choose from dir, root"),
    row("objective=minmax", "objective", "'minmax'", "did you mean 'minimax'?"),
    row("dataset=rings", "dataset", "did you mean 'ring'?"),
    row("debug=tinny", "debug", "did you mean 'tiny'?"),
    row("experiment=nothing", "experiment", "'nothing' is not one of its choices"),
    row("hydra.runn=1", "hydra.runn", "did you mean 'run'?"),
    row("hydra/launcher=jobli", "hydra/launcher", "is not one of its choices"),
    # Wrong types.
    row("train.steps=abc", "train.steps", "'abc' is not a whole number"),
    row("train.steps=1.5", "train.steps", "'1.5' is not a whole number"),
    row("train.steps=true", "train.steps", "'True' is not a whole number"),
    row("train.steps=null", "train.steps", "cannot be null"),
    row("train.steps=[1,2]", "train.steps", "'[1, 2]' is not a whole number"),
    row("train.steps=", "train.steps", "'' is not a whole number"),
    row("optimizer.g_lr=abc", "optimizer.g_lr", "'abc' is not a number"),
    row("name=[a]", "name", "is not a word"),
    row("metric.names=js", "metric.names", "must be a list", "metric.names=[a,b]"),
    row("train=5", "train", "is a group of keys", "train.KEY=VALUE"),
    row("model=null", "model", "'null' is not one of its choices"),
    row("optimizer=5", "optimizer", "'5' is not one of its choices"),
    row("hydra=null", "hydra", "'null' is not one of its choices"),
    row("model.name=dcgan", "model.name", "make a choice: model=CHOICE"),
    row("'dataset={name: ring}'", "dataset.name", "make a choice: dataset=CHOICE"),
    row("objective=[minimax,non_saturating]", "objective", "takes one choice", "sweep"),
    # Ranges.
    row("train.steps=0", "train.steps", RANGE, "at least 1"),
    row("train.batch_size=1", "train.batch_size", RANGE, "at least 2"),
    row("train.ema=1", "train.ema", RANGE, "below 1"),
    row("train.ema=nan", "train.ema", "nan is not a finite number", "at least 0 and below 1"),
    row("optimizer.g_lr=-1e-3", "optimizer.g_lr", RANGE, "at least 0"),
    row("optimizer.d_lr=inf", "optimizer.d_lr", "inf is not a finite number"),
    row("optimizer.g_lr=1e30", "optimizer.g_lr", RANGE, "at most 1000"),
    row("seed=99999999999999999999", "seed", RANGE),
    row("dataset.holdout=1", "dataset.holdout", RANGE, "above 0 and below 1"),
    row("dataset=ring dataset.std=0", "dataset.std", RANGE, "above 0"),
    row("objective=conditional objective.mismatch_weight=1", "objective.mismatch_weight", RANGE),
    row("device.threads=5000", "device.threads", RANGE, "at most 4096"),
    # Choices.
    row("train.update=sometimes", "train.update", "choose from alternating, simultaneous"),
    row("device.precision=float16", "device.precision", "did you mean 'bfloat16'?"),
    row("metric.names=[js,prdd]", "metric.names", "did you mean 'prdc'?"),
    row("objective=conditional objective.base=hing", "objective.base", "did you mean 'hinge'?"),
    # Values that refer to others.
    row("'name=${nope}'", "name", "refers to nope, which does not exist"),
    row("'train.steps=${train.stepz}'", "train.steps", "refers to train.stepz"),
    row(
        "'train.log_every=${train.sample_every}' 'train.sample_every=${train.log_every}'",
        "train.log_every",
        "itself",
    ),
    row("'optimizer.g_lr=${oc.env:GANTRAIN_NO_SUCH_VARIABLE}'", "optimizer.g_lr", "cannot be resolved"),
    row("'name=${nope:1}'", "name", "calls nope, which does not exist"),
    row("'train.steps=${seed'", "train.steps=${seed", "is not an override"),
    row("train.steps=???", "train.steps", "has no value", "train.steps=VALUE"),
    row("optimizer=???", "optimizer", "has no value", "optimizer=CHOICE"),
    # Overrides that add, remove, sweep or cannot be read.
    row("+foo=1", "foo", "there is no such key"),
    row("++train.foo=1", "train.foo", "there is no such key"),
    row("+objective._target_=os.system", "objective._target_", "there is no such key"),
    row("objective._target_=os.system", "objective._target_", "there is no such key"),
    row("'+model={_target_: os.system, command: id}'", "model._target_", "there is no such key"),
    row("~seed", "seed", "cannot be removed"),
    row("~dataset", "dataset", "cannot be removed"),
    row("~nope", "nope", "cannot be removed"),
    row("dataset=ring,digits", "dataset", "has several values", "add -m"),
    row("'seed=range(3)'", "seed", "has several values", "add -m"),
    row("-m 'seed=range(0)'", "seed", "sweeps over nothing"),
    row("=5", "=5", "has no key"),
    row("train..steps=5", "train..steps=5", "is not an override", "key=value"),
    row("train.steps=[1", "train.steps=[1", "is not an override"),
    row("'metric.names[0]=js'", "metric.names[0]=js", "is not an override"),
    # Combinations.
    row("train.batch_size=1439", "train.batch_size", "1439", "1438 training samples"),
    row("dataset=ring dataset.n=100", "train.batch_size", "256", "100 training samples"),
    row("objective=conditional model.condition=none", "model.condition", "objective.mismatch_weight=0"),
    row("objective=conditional objective.base=conditional", "objective.base", "cannot be played here"),
    row("dataset=ring model=dcgan", "model", "points", "model=auto"),
    row("metric=modes", "metric", "nothing fits", "modes:", "metric=fast"),
    row("metric.names=[modes,class_accuracy]", "metric", "modes:", "class_accuracy:", "not conditional"),
    # The device.
    row("device=gpu", "device", "'gpu' is not one of its choices"),
    row("device=cpu device.index=3", "device.index", "no cpu device 3"),
    # Names and folders.
    row("name=../../x", "name", "use letters"),
    row("'name=two words'", "name", "use letters"),
    row("name=Zürich", "name", "'Zürich'"),
    row("run.root=", "run.root", "is not a path"),
]


@pytest.mark.parametrize("row", OVERRIDES, ids=ids(OVERRIDES))
def test_override_malformed_is_one_line_and_writes_nothing(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)


@pytest.mark.parametrize(
    "kind", sorted({"cuda", "mps"} - {d for d in ("cuda", "mps") if getattr(torch, d).is_available()})
)
@pytest.mark.parametrize("word", ["device={}", "device.kind={}"])
def test_a_device_that_is_not_there_is_never_replaced_in_silence(kind, word, run_cli, tmp_path):
    check(row(word.format(kind), "device", f"{kind} is not on this machine", "cpu"), run_cli, tmp_path)


# The command line ----------------------------------------------------------------------------------------------

USAGE = [
    row("rezume x", "rezume", "did you mean 'resume'?"),
    row("sampel x", "sampel", "did you mean 'sample'?"),
    row("trian", "trian", "did you mean 'train'?"),
    row("evalute x", "evalute", "did you mean 'evaluate'?"),
    row("lst", "lst", "did you mean 'list'?"),
    row("tensorbord", "tensorbord", "did you mean 'tensorboard'?"),
    row("train outputs/x", "outputs/x", "is not an override"),
    row("ring", "ring", "did you mean 'dataset=ring'?"),
    row("seed=1 minimax", "minimax", "did you mean 'objective=minimax'?"),
    row("dataset", "dataset", "did you mean 'dataset=VALUE'?"),
    row("train.steps", "train.steps", "did you mean 'train.steps=VALUE'?"),
    row("help", "help", "did you mean '--help'?"),
    row("version", "version", "did you mean '--version'?"),
    row("--nosuch", "usage", "--nosuch"),
    row("--dataset=ring", "usage", "--dataset=ring", "without dashes"),
    row("-x", "usage", "-x"),
    row("--cfg", "usage", "expected one argument"),
    row("--cfg joob", "usage", "joob", "job"),
    row("--cfg job -p nope", "nope", "there is no such key"),
    row("--cfg job -p train.stepz", "train.stepz", "there is no such key"),
    row("-p train", "usage", "--cfg"),
    row("--resolve", "usage", "--cfg"),
    row("-m --cfg job", "usage", "exclude each other"),
    row("--experimental-rerun=x.pickle", "--experimental-rerun", "pickle"),
    row("--experimental-rerun x.pickle", "--experimental-rerun", "pickle"),
    row("--config-dir nowhere", "--config-dir", "there is no folder nowhere"),
    row("--config-dir", "usage", "expected one argument"),
    row("--config-path configs", "--config-path", "--config-dir"),
    row("--config-name other", "--config-name", "there is no config 'other'"),
    row("--traceback=1", "usage", "--traceback=1"),
    row("list objectivs", "list", "did you mean 'objective'?"),
    row("list dataset model", "list", "takes one group"),
    row("resume", "resume", "names no run"),
    row("sample", "sample", "names no run"),
    row("evaluate n=5", "evaluate", "names no run"),
    row("resume a b", "resume", "takes one run"),
    row("sample --all x", "--all", "no such flag"),
    row("tensorboard a b", "tensorboard", "takes one folder"),
    row("tensorboard nowhere", "nowhere", "there is no such folder", code=4),
]


@pytest.mark.parametrize("row", USAGE, ids=ids(USAGE))
def test_a_command_line_that_means_nothing_is_one_line(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)


# A user's own YAML ---------------------------------------------------------------------------------------------

ADAM = "defaults: [/schema/optimizer/adam@_here_, _self_]\n"
GLOBAL = "# @package _global_\n"


def own(path: str, content: str | bytes) -> Setup:
    """Put one file into the user's folder of options."""

    def setup(folder: Path) -> None:
        file = folder / "mine" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return setup


def yaml_row(content: str | bytes, where: str, *words: str) -> Row:
    """A row for ``mine/optimizer/my.yaml``."""
    return row("--config-dir mine optimizer=my", where, *words, setup=own("optimizer/my.yaml", content))


def experiment_row(content: str, where: str, *words: str) -> Row:
    """A row for ``mine/experiment/my.yaml``."""
    return row("--config-dir mine experiment=my", where, *words, setup=own("experiment/my.yaml", content))


MY = "mine/optimizer/my.yaml"
YAML = [
    yaml_row(ADAM + "\tg_lr: 1\n", f"{MY}:2:1", "is not YAML"),
    yaml_row(ADAM + "g_lr: 1: 2\n", f"{MY}:2:8", "is not YAML"),
    yaml_row(ADAM + "g_lr: [1\n", f"{MY}:3:1", "is not YAML"),
    yaml_row(ADAM + "g_lr: 1\ng_lr: 2\n", f"DIR/{MY}:3:1", "duplicate key g_lr"),
    yaml_row("!!python/object/apply:os.system [id]\n", MY, "holds no keys"),
    yaml_row(ADAM + "g_lr: !!python/name:os.system\n", f"DIR/{MY}:2:7", "is not YAML"),
    yaml_row("- g_lr\n", MY, "holds no keys"),
    yaml_row("g_lr\n", MY, "holds no keys"),
    yaml_row("5\n", MY, "holds no keys"),
    yaml_row("", MY, "holds no keys"),
    yaml_row(ADAM.encode() + b"# caf\xe9\n", MY, "cannot be read", "UTF-8"),
    yaml_row(ADAM.encode() + b"g_lr: \0\n", MY, "cannot be read"),
    yaml_row("a: " + "[" * 1500 + "]" * 1500, MY, "cannot be read"),
    yaml_row("defaults: adam\n", MY, "defaults that are not a list"),
    yaml_row("defaults: [adamm]\n", "optimizer", "'adamm' is not one of its choices", "did you mean 'adam'?"),
    yaml_row(ADAM.replace("adam", "adamm"), "schema/optimizer", "did you mean 'adam'?"),
    yaml_row(ADAM + "g_lrr: 1\n", "optimizer.g_lrr in optimizer/my.yaml", "did you mean 'g_lr'?"),
    yaml_row(ADAM + "g_lr: fast\n", "optimizer.g_lr in optimizer/my.yaml", "'fast' is not a number"),
    yaml_row(ADAM + "g_lr: no\n", "optimizer.g_lr in optimizer/my.yaml", "'False' is not a number"),
    yaml_row(ADAM + "_target_: os.system\n", "optimizer._target_ in optimizer/my.yaml", "no such key"),
    yaml_row("_target_: os.system\ncommand: id\n", "optimizer.name", "no optimizer is called None"),
    yaml_row("name: adamw\ng_lr: 1\n", "optimizer.name", "did you mean 'adam'?"),
    yaml_row("name: [adam]\n", "optimizer.name", "no optimizer is called ['adam']"),
    yaml_row("name: adam\ng_lrr: 1\n", "optimizer.g_lrr", "did you mean 'g_lr'?"),
    yaml_row(ADAM + "g_lr: -1\n", "optimizer.g_lr", RANGE),
    yaml_row(ADAM + "g_lr: .nan\n", "optimizer.g_lr", "nan is not a finite number"),
    yaml_row(ADAM + "g_lr: ${optimizer.rate}\n", "optimizer.g_lr", "refers to optimizer.rate"),
    row(
        "--config-dir mine",
        "mine/optimizer/adam.yaml",
        "its own optimizer=adam",
        "another name",
        setup=own("optimizer/adam.yaml", ADAM + "g_lr: 1\n"),
    ),
    experiment_row("train: {steps: 5}\n", "experiment/my.yaml", "@package _global_"),
    experiment_row(
        GLOBAL + "train: {stepz: 5}\n", "train.stepz in experiment/my.yaml", "did you mean 'steps'?"
    ),
    experiment_row(GLOBAL + "train: 5\n", "experiment/my.yaml", "int is not a subclass of Train"),
    experiment_row(GLOBAL + "steps: 5\n", "steps in experiment/my.yaml", "did you mean 'train.steps'?"),
    experiment_row(GLOBAL + "defaults: [model: mlp]\n", "experiment/model", "'override /model: mlp'"),
    experiment_row(GLOBAL + "defaults: [override /model: mpl]\n", "model", "did you mean 'mlp'?"),
    experiment_row(GLOBAL + "defaults: [override /modle: mlp]\n", "modle", "there is no such config group"),
]


@pytest.mark.parametrize("row", YAML, ids=[f"{row.where} {row.words[0]}"[:60] for row in YAML])
def test_user_yaml_malformed_is_one_line_that_names_it(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)


# Folders to write to -------------------------------------------------------------------------------------------


def occupied(folder: Path) -> None:
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.txt").write_text("mine")


def a_file(folder: Path) -> None:
    (folder / "file").write_text("mine")


FOLDERS = [
    row("run.dir=taken", "run.dir", "taken is not empty", "gantrain resume taken", setup=occupied),
    row("-m run.dir=taken seed=1,2", "run.dir", "taken is not empty", setup=occupied),
    row("run.dir=file", "run.dir", "file is a file", setup=a_file),
    row("run.dir=file/x", "file/x", "Not a directory", "run.root", code=5, setup=a_file),
    row("run.root=file", "file/", "run.root", code=5, setup=a_file),
    row("run.root=/proc/gantrain", "/proc/gantrain/", "run.root", code=5),
    row(f"run.dir={'x' * 300}", "x" * 300, "File name too long", code=5),
]


@pytest.mark.parametrize("row", FOLDERS, ids=[row.command[:40] for row in FOLDERS])
def test_run_folder_refused_is_left_unchanged(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)


# Data ----------------------------------------------------------------------------------------------------------

PARTS = {"train": 20, "t10k": 10}
RAW = "data/MNIST/raw"


def idx(array: torch.Tensor) -> bytes:
    """The IDX format: two zero bytes, the type, the number of dimensions, each size, the values."""
    sizes = struct.pack(f">{array.dim()}I", *array.shape)
    return bytes([0, 0, 8, array.dim()]) + sizes + array.to(torch.uint8).numpy().tobytes()


def mnist(damage: Callable[[Path], object]) -> Setup:
    """Lay out a small whole MNIST, and damage it."""

    def setup(folder: Path) -> None:
        raw = folder / RAW
        raw.mkdir(parents=True)
        for part, n in PARTS.items():
            (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(torch.zeros(n, 28, 28)))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(torch.arange(n) % 10))
        damage(raw)

    return setup


def swapped(raw: Path) -> None:
    """Let the labels of both parts change places."""
    paths = [raw / f"{part}-labels-idx1-ubyte" for part in PARTS]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)


def a_folder_in_its_place(raw: Path) -> None:
    (raw / "t10k-labels-idx1-ubyte").unlink()
    (raw / "t10k-labels-idx1-ubyte").mkdir()


def write(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda raw: (raw / name).write_bytes(change((raw / name).read_bytes()))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
MNIST = "dataset=mnist dataset.root=data train.batch_size=2 debug=tiny"
UNREADABLE = "cannot be read as MNIST"
DATA = {
    "no root": (nothing, "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k"),
    "an empty root": (lambda folder: (folder / "data").mkdir(), "lacks train-images-idx3-ubyte"),
    "an empty raw": (lambda folder: (folder / RAW).mkdir(parents=True), "lacks train-images-idx3-ubyte"),
    "a file for a root": (lambda folder: (folder / "data").write_text("x"), "dataset.root"),
    "a file for raw": (lambda folder: own("../data/MNIST/raw", "x")(folder), "dataset.root"),
    "one file missing": (mnist(lambda raw: (raw / LABELS).unlink()), f"lacks {LABELS} and"),
    "a folder for a file": (mnist(a_folder_in_its_place), "lacks t10k-labels-idx1-ubyte and"),
    "truncated images": (mnist(write(IMAGES, lambda b: b[:-100])), UNREADABLE),
    "a header alone": (mnist(write(IMAGES, lambda b: b[:16])), UNREADABLE),
    "an empty file": (mnist(write(IMAGES, lambda b: b"")), UNREADABLE),
    "wrong magic": (mnist(write(IMAGES, lambda b: b"\0\0\x42\x03" + b[4:])), UNREADABLE),
    "a web page": (mnist(write(LABELS, lambda b: b"<html>404 Not Found</html>")), UNREADABLE),
    "a compressed file": (mnist(write(LABELS, lambda b: b"\x1f\x8b\x08" + b)), UNREADABLE),
    "swapped labels": (mnist(swapped), "do not belong together"),
    "labels for images": (mnist(write(LABELS, lambda b: idx(torch.zeros(20, 28, 28)))), UNREADABLE),
    "a label too few": (mnist(write(LABELS, lambda b: idx(torch.arange(19) % 10))), "do not belong together"),
    "a label out of range": (mnist(write(LABELS, lambda b: b[:-1] + b"\x0a")), "do not belong together"),
    "images of another size": (mnist(write(IMAGES, lambda b: idx(torch.zeros(20, 28, 27)))), "do not belong"),
    "no images": (mnist(lambda raw: [(raw / IMAGES).write_bytes(idx(torch.zeros(0, 28, 28)))]), RAW),
}


@pytest.fixture
def offline(monkeypatch):
    """Let every download fail at once: its proxy is a port where nothing listens."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


# One of each kind of fault; what else is wrong in the same place is refused by the same line.
SOON = (
    *("no root", "a file for a root", "one file missing", "a folder for a file", "truncated images"),
    *("a web page", "swapped labels", "a label out of range", "no images"),
)


@pytest.mark.parametrize(
    "case", [case if case in SOON else pytest.param(case, marks=pytest.mark.slow) for case in DATA]
)
def test_data_malformed_is_one_line_before_any_run(case, run_cli, tmp_path, offline):
    setup, words = DATA[case]
    check(row(MNIST, RAW, words, code=3, setup=setup), run_cli, tmp_path)


# Runs and checkpoints ------------------------------------------------------------------------------------------

TINY = ["train.steps=4", "train.checkpoint_every=2", "train.sample_every=0", "metric=none", "model.width=4"]
KINDS = {
    "plain": ["model.z_dim=3"],
    "classes": ["objective=conditional"],
    "points": ["dataset=ring", "dataset.n=300"],
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """Three finished runs of four steps, with checkpoints at 2 and 4."""
    folder = tmp_path_factory.mktemp("runs")
    for kind, words in KINDS.items():
        assert main([*words, *TINY, f"run.dir={folder / kind}", "device=cpu"]) == 0
    return folder


def last(folder: Path) -> Path:
    return folder / "run" / "checkpoints" / "000004"


def forge(state: Callable[[dict], object] = nothing, tensors: Callable[[dict], object] = nothing) -> Setup:
    """Change the newest checkpoint and make both of its SHA-256 right again, as one who means harm would."""

    def setup(folder: Path) -> None:
        path = last(folder)
        named, described = (
            load((path / "tensors.safetensors").read_bytes()),
            json.loads((path / "state.json").read_bytes()),
        )
        tensors(named)
        state(described)
        seal(path, save(named), described)

    return setup


def seal(path: Path, blob: bytes, described: dict) -> None:
    (path / "tensors.safetensors").write_bytes(blob)
    described["sha256"] = hashlib.sha256(blob).hexdigest()
    described.pop("state_sha256", None)
    described["state_sha256"] = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    (path / "state.json").write_text(json.dumps(described))


def sealed_blob(blob: bytes) -> Setup:
    return lambda folder: seal(last(folder), blob, json.loads((last(folder) / "state.json").read_bytes()))


def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Setup:
    """Change a file of the newest checkpoint and nothing else."""
    return lambda folder: (last(folder) / name).write_bytes(change((last(folder) / name).read_bytes()))


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda b: b[:at] + bytes([b[at] ^ 4]) + b[at + 1 :]


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


def put(*path: str) -> Callable[[object], Callable[[dict], object]]:
    """``put("config", "seed")(5)`` is an edit of a description that sets its config's seed to 5."""

    def to(value: object) -> Callable[[dict], object]:
        def edit(described: dict) -> None:
            for key in path[:-1]:
                described = described[key]
            described[path[-1]] = value

        return edit

    return to


def config(*path: str) -> Callable[[object], Setup]:
    return lambda value: forge(state=put("config", *path)(value))


TENSORS, STATE = "tensors.safetensors", "state.json"
CHECKPOINT, CANNOT_RUN, DAMAGED = (
    "DIR/run/checkpoints/000004",
    "does not hold a run",
    "is corrupt",
)
WEIGHT = "G_ema/out.weight"
TRILLION = b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'
BROKEN = {
    # Damage.
    "tensors truncated": (bytes_of(TENSORS, lambda b: b[:-7]), TENSORS, DAMAGED, "000002"),
    "tensors empty": (bytes_of(TENSORS, lambda b: b""), TENSORS, DAMAGED, "000002"),
    "a bit flipped in the tensors": (bytes_of(TENSORS, flip(-1000)), TENSORS, DAMAGED, "000002"),
    "a bit flipped in the header": (bytes_of(TENSORS, flip(40)), TENSORS, DAMAGED),
    "tensors of another step": (
        lambda f: shutil.copy(last(f).with_name("000002") / TENSORS, last(f) / TENSORS),
        TENSORS,
        DAMAGED,
    ),
    "tensors missing": (lambda f: (last(f) / TENSORS).unlink(), TENSORS, "cannot be read", "000002"),
    "a folder for tensors": (
        lambda f: [(last(f) / TENSORS).unlink(), (last(f) / TENSORS).mkdir()],
        TENSORS,
        "cannot be read",
    ),
    "the SHA-256 edited": (
        bytes_of(STATE, lambda b: b.replace(b'"sha256": "', b'"sha256": "0')),
        STATE,
        DAMAGED,
    ),
    "the config edited": (bytes_of(STATE, lambda b: b.replace(b'"seed": 0', b'"seed": 1')), STATE, DAMAGED),
    "state truncated": (bytes_of(STATE, lambda b: b[:-20]), STATE, "cannot be read", "000002"),
    "state empty": (bytes_of(STATE, lambda b: b""), STATE, "cannot be read"),
    "state not JSON": (bytes_of(STATE, lambda b: b"\x80\x04."), STATE, "cannot be read"),
    "state nested deeply": (bytes_of(STATE, lambda b: b"[" * 10**5), STATE, "cannot be read"),
    "state a list": (bytes_of(STATE, lambda b: b"[1]"), STATE, "is not a checkpoint's description"),
    "state without a config": (forge(state=lambda s: s.pop("config")), STATE, "is not a checkpoint's"),
    "state of another format": (forge(state=put("format")(99)), STATE, "has format 99", "update gantrain"),
    # Harm: both SHA-256 are right.
    "a pickle for tensors": (sealed_blob(pickle.dumps(Bomb())), TENSORS, "cannot be read"),
    "a header of 2^63 bytes": (sealed_blob(struct.pack("<Q", 2**63 - 1)), TENSORS, "cannot be read"),
    "a tensor of 10^12 numbers": (
        sealed_blob(struct.pack("<Q", 80) + TRILLION.ljust(80) + bytes(4)),
        TENSORS,
        "cannot be read",
    ),
    "NaN in a weight": (
        forge(tensors=lambda t: t[WEIGHT].view(-1)[0].fill_(torch.nan)),
        TENSORS,
        WEIGHT,
        "not finite",
    ),
    "a weight missing": (forge(tensors=lambda t: t.pop(WEIGHT)), "", "out.weight"),
    "a weight too many": (forge(tensors=lambda t: t.update({"G_ema/spy": torch.zeros(1)})), "", "spy"),
    "a weight of another shape": (
        forge(tensors=lambda t: t.update({WEIGHT: torch.zeros(1)})),
        "",
        "out.weight",
    ),
    "another width": (config("model", "width")(5), "", "size mismatch"),
    "a target": (config("objective", "_target_")("os.system"), "", CANNOT_RUN, "objective._target_"),
    "a target for a name": (config("objective", "name")("os.system"), "", CANNOT_RUN, "objective.name"),
    "no such dataset": (config("dataset", "name")("imagenet"), "", CANNOT_RUN, "dataset.name"),
    "a name that is a list": (config("penalty", "name")(["r1"]), "", CANNOT_RUN, "penalty.name"),
    "a group that is a number": (config("model")(5), "", CANNOT_RUN, "model"),
    "a group missing": (
        lambda f: forge(state=lambda s: s["config"].pop("train"))(f),
        "",
        CANNOT_RUN,
        "train",
    ),
    "a group too many": (config("hydra")({}), "", CANNOT_RUN, "hydra"),
    "a key of another type": (config("train", "steps")("many"), "", CANNOT_RUN, "train.steps"),
    "a key out of range": (config("train", "batch_size")(-1), "", CANNOT_RUN, "train.batch_size"),
    "a key that is NaN": (config("optimizer", "g_lr")(float("nan")), "", CANNOT_RUN, "optimizer.g_lr"),
    "a variable in the name": (config("name")("${oc.env:HOME}"), "", CANNOT_RUN, "holds an interpolation"),
    "a variable in a list": (
        config("metric", "names")(["${oc.env:HOME}"]),
        "",
        CANNOT_RUN,
        "holds an interpolation",
    ),
    "a path for a name": (config("name")("../../x"), "", CANNOT_RUN, "name"),
    "no shape": (forge(state=lambda s: s["spec"].pop("shape")), "", CANNOT_RUN),
    "a shape that is a word": (forge(state=put("spec", "shape")("abc")), "", CANNOT_RUN),
    "classes that are a word": (forge(state=put("spec", "classes")("many")), "", CANNOT_RUN),
}


@pytest.mark.parametrize("case", BROKEN)
def test_checkpoint_malformed_is_refused_by_every_verb(case, run_cli, tmp_path, runs):
    setup, name, *words = BROKEN[case]
    shutil.copytree(runs / "plain", tmp_path / "run")
    setup(tmp_path)
    where = f"{CHECKPOINT}/{name}" if name else CHECKPOINT
    for command in ("sample run", "resume run train.steps=5", "evaluate run"):
        check(row(command, where, *words, code=4), run_cli, tmp_path)
    assert not (tmp_path / "exploded").exists()


NO_RUN = {
    "nothing there": (nothing, "there is no such run folder"),
    "a file": (lambda f: (f / "run").write_text("x"), "there is no such run folder"),
    "an empty folder": (lambda f: (f / "run").mkdir(), "is not a run folder or checkpoint"),
    "a folder of something else": (own("../run/thesis.txt", "x"), "is not a run folder or checkpoint"),
    "a run without a checkpoint": (own("../run/config.json", "{}"), "holds no checkpoint"),
    "a checkpoint without its state": (
        own("../run/checkpoints/000004/tensors.safetensors", b"x"),
        "is not a run",
    ),
    "a checkpoint half written": (own("../run/checkpoints/.part-1/state.json", "{}"), "is not a run"),
}


@pytest.mark.parametrize("case", NO_RUN)
@pytest.mark.parametrize("verb", ["resume", "sample", "evaluate"])
def test_a_run_that_is_not_one_is_refused_by_name(verb, case, run_cli, tmp_path):
    setup, words = NO_RUN[case]
    check(row(f"{verb} run", "run", words, code=4, setup=setup), run_cli, tmp_path)


WORDS = {
    "plain": [
        row("sample run n=0", "n", RANGE, "at least 1"),
        row("sample run n=abc", "n", "'abc' is not a whole number"),
        row("sample run n=1.5", "n", "is not a whole number"),
        row("sample run n=[1", "n=[1", "is not a value"),
        row("sample run n=", "n", "cannot be null"),
        row("sample run sed=1", "sed", "did you mean 'seed'?"),
        row("sample run seed=-1", "seed", RANGE),
        row("sample run classes=[3]", "classes", "is not conditional"),
        row("sample run classes=3", "classes", "must be a list"),
        row("sample run out=new/x.gif", "out", ".gif", ".png, .npz"),
        row("sample run out=run/config.json/x.png", "run/config.json", "File exists", code=1),
        row("sample run 'out=${oc.env:HOME}'", "out", "holds an interpolation"),
        row("resume run seed=1", "seed", "would make it another run", "train.steps"),
        row("resume run model.width=8", "model.width", "would make it another run"),
        row("resume run train.batch_size=8", "train.batch_size", "would make it another run"),
        row("resume run train.step=8", "train.step", "did you mean 'train.steps'?"),
        row("resume run steps=8", "steps", "did you mean 'train.steps'?"),
        row("resume run train.steps=abc", "train.steps", "'abc' is not a whole number"),
        row("resume run train.steps=0", "train.steps", RANGE),
        row("resume run train.steps=[1", "train.steps=[1", "is not a value"),
        row("resume run train.steps=9 device.kind=gpu", "device.kind", "'gpu'"),
        row("resume run train.steps=9 dataset.root=x", "dataset.root", "no such key in this run"),
        row("evaluate run train.steps=9", "train.steps", "does not change an evaluation"),
        row("evaluate run seed=9", "seed", "does not change an evaluation"),
        row("evaluate run metrics=full", "metrics", "did you mean 'metric'?"),
        row("evaluate run metric=ful", "metric", "did you mean 'full'?"),
        row("evaluate run metric=null", "metric", "'null' is not one of its choices"),
        row("evaluate run metric.m=9", "metric.m", "there is no such key"),
        row("evaluate run metric.n=abc", "metric.n", "is not a whole number"),
        row("evaluate run metric.n=1", "metric.n", RANGE),
        row("evaluate run metric.names=[jss]", "metric.names", "did you mean 'js'?"),
        row("evaluate run metric=modes", "metric", "nothing fits", "modes:"),
        row("evaluate run device=gpu", "device", "'gpu' is not one of its choices"),
    ],
    "classes": [
        row("sample run classes=[10]", "classes", "there is no class 10", "0 to 9"),
        row("sample run classes=[-1]", "classes[0]", RANGE),
        row("sample run classes=[a]", "classes[0]", "'a' is not a whole number"),
    ],
    "points": [
        row("sample run out=x.png", "out", "points", "end it in .npz"),
        row("sample run out=folder", "out", "points", "end it in .npz"),
        row("sample run out=x.csv", "out", "points", "end it in .npz"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "row"), [pytest.param(kind, r, id=r.command) for kind, rows in WORDS.items() for r in rows]
)
def test_verb_word_malformed_is_one_line_and_changes_nothing(kind, row, run_cli, tmp_path, runs):
    shutil.copytree(runs / kind, tmp_path / "run")
    check(row, run_cli, tmp_path)
