"""Runs, checkpoints and arguments that the verbs must refuse."""

import hashlib
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from malformed import RANGE, Setup, check, nothing, own, row
from safetensors.torch import load, save

from gantrain.cli.main import main

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
    "a checkpoint without its state": (
        own("../run/checkpoints/000004/tensors.safetensors", b"x"),
        "is not a run",
    ),
    "a checkpoint half written": (own("../run/checkpoints/.part-1/state.json", "{}"), "is not a run"),
}


@pytest.mark.parametrize("case", NO_RUN)
@pytest.mark.parametrize("verb", ["resume", "sample", "evaluate"])
def test_run_malformed_is_refused_by_name(verb, case, run_cli, tmp_path):
    setup, words = NO_RUN[case]
    check(row(f"{verb} run", "run", words, code=4, setup=setup), run_cli, tmp_path)


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
def test_run_without_a_checkpoint_has_nothing_to_draw_from(verb, run_cli, tmp_path):
    setup = own("../run/config.json", "{}")
    check(row(f"{verb} run", "run", "holds no checkpoint", code=4, setup=setup), run_cli, tmp_path)


WORDS = {
    "plain": [
        row("sample run n=0", "n", RANGE, "at least 1"),
        row("sample run n=abc", "n", "'abc' is not a whole number"),
        row("sample run n=1.5", "n", "is not a whole number"),
        row("sample run n=[1", "n", "'[1' is not a whole number"),
        row("sample run n=", "n", "'' is not a whole number"),
        row("sample run sed=1", "sed", "did you mean 'seed'?"),
        row("sample run seed=-1", "seed", RANGE),
        row("sample run classes=[3]", "classes", "is not conditional"),
        row("sample run classes=3", "classes", "must be a list"),
        row("sample run out=new/x.gif", "out", ".gif", ".png, .npz"),
        row("sample run out=run/config.json/x.png", "run/config.json/x.png", "Not a directory", code=5),
        row("sample run 'out=${oc.env:HOME}'", "out", "holds an interpolation"),
        row("resume run seed=1", "seed", "would make it another run", "train.steps"),
        row("resume run model.width=8", "model.width", "would make it another run"),
        row("resume run train.batch_size=8", "train.batch_size", "would make it another run"),
        row("resume run train.step=8", "train.step", "did you mean 'train.steps'?"),
        row("resume run steps=8", "steps", "did you mean 'train.steps'?"),
        row("resume run train.steps=abc", "train.steps", "'abc' is not a whole number"),
        row("resume run train.steps=0", "train.steps", RANGE),
        row("resume run train.steps=[1", "train.steps", "'[1' is not a whole number"),
        row("resume run train.steps=9 device.kind=gpu", "device.kind", "'gpu'"),
        row("resume run train.steps=9 dataset.root=x", "dataset.root", "no such key in this run"),
        row("evaluate run train.steps=9", "train.steps", "does not change an evaluation"),
        row("evaluate run seed=9", "seed", "does not change an evaluation"),
        row("evaluate run metrics=full", "metrics", "did you mean 'metric'?"),
        row("evaluate run metric=ful", "metric", "did you mean 'full'?"),
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
        row("sample run classes=[a]", "classes", "'a' is not a whole number"),
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
