"""A checkpoint is whole or not there, reads back bit for bit, and is never believed when it is damaged."""

from __future__ import annotations

import ast
import errno
import itertools
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

import gantrain
from gantrain.core.run_folder import STATE, RunFolder
from gantrain.errors import CheckpointError, Diverged
from gantrain.training.checkpoint import TENSORS, Checkpoint, load_checkpoint, save_checkpoint

DESCRIBED = {
    "config": {
        "seed": 3,
        "name": "ä \u2028",
        "train": {"steps": 60, "ema": 0.999, "lr": 1e-3 / 3, "dir": None},
    },
    "environment": {"torch": "2.14.1", "threads": 1},
    "spec": {"shape": [1, 8, 8], "classes": 10},
}


def bits(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    return tensor.dtype, tensor.shape, tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def all_bits(tensors: dict[str, torch.Tensor]) -> dict[str, tuple]:
    return {name: bits(tensor) for name, tensor in tensors.items()}


def some(seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "G/weight": torch.randn(4, 3, 5, 6, generator=draw),
        "G/bias": torch.randn(7, generator=draw),
        "opt_D/0/step": torch.tensor(float(seed)),
    }


def write(run: Path, step: int, seed: int, keep: int = 2) -> Path:
    run.mkdir(exist_ok=True)
    return save_checkpoint(run, step, some(seed), DESCRIBED, keep)


def said(checkpoint: Checkpoint) -> dict[str, object]:
    return {name: getattr(checkpoint, name) for name in ("step", "config", "environment", "spec")}


def names(run: Path) -> set[str]:
    return {path.name for path in (run / "checkpoints").iterdir()}


def test_checkpoint_reads_every_kind_of_tensor_back_bit_for_bit(tmp_path):
    image, wide = torch.randn(4, 3, 5, 6), torch.randn(8, 9)
    tensors = {
        "contiguous": image,
        "channels_last": image.to(memory_format=torch.channels_last),
        "transposed": wide.T,
        "strided": wide[::2, 1::3],
        "expanded": torch.randn(1, 4).expand(3, 4),
        "part of another": wide[2:5],
        "scalar": torch.tensor(1.25),
        "empty": torch.empty(0, 3),
        "needs gradient": torch.randn(3, requires_grad=True),
        "signed zeros and denormals": torch.tensor(
            [0.0, -0.0, 1e-45, -1e-40, torch.finfo(torch.float32).max]
        ),
        "double": torch.randn(3, dtype=torch.float64),
        "half": torch.randn(3).half(),
        "bfloat16": torch.randn(3).bfloat16(),
        "counter": torch.tensor([2**62 + 1, -1]),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(256).to(torch.uint8),
    }
    before = all_bits({name: tensor.detach() for name, tensor in tensors.items()})
    read = load_checkpoint(save_checkpoint(tmp_path, 7, tensors, DESCRIBED, 1))
    assert all_bits(read.tensors) == before
    assert said(read) == {"step": 7, **DESCRIBED}
    assert read.run == tmp_path.resolve()


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(
        [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    ),
    seed=st.integers(0, 2**31),
    turn=st.randoms(use_true_random=False),
)
def test_checkpoint_reads_any_shape_type_and_stride_back(tmp_path_factory, shape, dtype, seed, turn):
    order = turn.sample(range(len(shape)), len(shape))
    tensor = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(dtype).permute(order)
    run = tmp_path_factory.mktemp("run")
    read = load_checkpoint(save_checkpoint(run, 1, {"a/b": tensor}, DESCRIBED, 1))
    assert bits(read.tensors["a/b"]) == bits(tensor)


def test_checkpoint_saves_tied_weights_under_both_names(tmp_path):
    weight = torch.randn(3, 4)
    read = load_checkpoint(save_checkpoint(tmp_path, 1, {"a": weight, "b": weight}, DESCRIBED, 1))
    assert bits(read.tensors["a"]) == bits(read.tensors["b"]) == bits(weight)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_checkpoint_keeps_the_newest_n_and_leaves_foreign_files(tmp_path, keep):
    parent = tmp_path / "checkpoints"
    for foreign in ("best/weights.bin", "notes.txt", "000002 copy/state.json", "7.bak/x"):
        (parent / foreign).parent.mkdir(parents=True, exist_ok=True)
        (parent / foreign).write_bytes(b"mine")
    foreign = names(tmp_path)
    for step in range(10, 60, 10):
        write(tmp_path, step, step, keep)
        remaining = range(max(10, step - 10 * (keep - 1)), step + 1, 10)
        assert names(tmp_path) == foreign | {f"{s:06d}" for s in remaining}
    assert all(path.read_bytes() == b"mine" for path in parent.rglob("*.txt"))


def test_newest_checkpoint_is_of_the_highest_step(tmp_path):
    for age, step in enumerate((999_998, 999_999, 1_000_000)):  # names sort the last one first
        os.utime(write(tmp_path, step, step, keep=3), (10**9 - age, 10**9 - age))
    assert load_checkpoint(tmp_path).step == 1_000_000
    assert [int(path.name) for path in RunFolder(tmp_path).checkpoints] == [999_998, 999_999, 1_000_000]
    assert load_checkpoint(tmp_path / "checkpoints" / "999999").step == 999_999


@pytest.mark.parametrize("keep", [1, 2])
def test_checkpoint_after_resuming_an_older_one_is_the_newest(tmp_path, keep):
    for step in (10, 20, 30):
        write(tmp_path, step, step, keep=3)
    write(tmp_path, 15, 99, keep)  # resumed from 10: the future in which 20 and 30 were is given up
    assert load_checkpoint(tmp_path).step == 15
    assert all_bits(load_checkpoint(tmp_path).tensors) == all_bits(some(99))
    assert names(tmp_path) == {1: {"000015"}, 2: {"000010", "000015"}}[keep]


def test_checkpoint_save_cleans_up_after_a_killed_process(tmp_path):
    whole = write(tmp_path, 5, 5)
    for leftover in (".part-1", f".part-{os.getpid()}", ".part-old-000009"):
        shutil.copytree(whole, whole.with_name(leftover))
    (whole.with_name(".part-1") / TENSORS).write_bytes(b"half")
    assert load_checkpoint(tmp_path).step == 5
    write(tmp_path, 10, 10)
    assert names(tmp_path) == {"000005", "000010"}


class Killed(BaseException):
    """Ends a save as SIGKILL does: nothing catches it, so nothing is tidied up."""


class Faults:
    """Lets one of the calls that change the disk fail: the ``at``-th; a write leaves half its bytes behind."""

    def __init__(self, at: int, fault: BaseException):
        self.at, self.fault, self.count = at, fault, 0

    def check(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise self.fault

    def before(self, call):
        def checked(*args, **kwargs):
            self.check()
            return call(*args, **kwargs)

        return checked

    def opening(self, call):
        def opened(*args, **kwargs):
            self.check()
            file = call(*args, **kwargs)
            return Half(file, self)

        return opened

    def inject(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(Path, "open", self.opening(Path.open))
        for where, name in itertools.chain(
            ((Path, name) for name in ("mkdir", "rename", "replace")),
            ((os, name) for name in ("fsync", "open", "unlink", "rmdir")),
        ):
            patch.setattr(where, name, self.before(getattr(where, name)))


class Half:
    """A file whose writes can be cut in half."""

    def __init__(self, file, faults: Faults):
        self.file, self.faults = file, faults

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        try:
            self.faults.check()
        except BaseException:
            self.file.write(content[: len(content) // 2])
            raise
        return self.file.write(content)


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), Killed()], ids=["full", "killed"]
)
def test_checkpoint_is_whole_whichever_write_fails(tmp_path, monkeypatch, fault, keep):
    old, new = all_bits(some(1)), all_bits(some(2))
    outcomes = []
    for at in itertools.count(1):
        run, faults = tmp_path / str(at), Faults(at, fault)
        write(run, 5, 0, keep=2)
        write(run, 10, 1, keep=2)
        failed = False
        with monkeypatch.context() as patch:
            faults.inject(patch)
            try:
                save_checkpoint(run, 15, some(2), DESCRIBED, keep)
            except type(fault):
                failed = True
        newest = load_checkpoint(run)
        assert all_bits(newest.tensors) == {10: old, 15: new}[newest.step]
        assert failed or newest.step == 15
        for path in RunFolder(run).checkpoints:  # whatever can be seen is whole
            load_checkpoint(path)
        if keep == 2 or newest.step == 10:
            assert all_bits(load_checkpoint(run / "checkpoints" / "000010").tensors) == old
        if failed and isinstance(fault, OSError):
            assert not [
                name for name in names(run) if name.startswith(".")
            ]  # a full disk gets its space back
        write(run, 20, 3, keep)
        assert names(run) == {1: {"000020"}, 2: {f"{newest.step:06d}", "000020"}}[keep]
        outcomes.append(newest.step)
        if faults.count < at:
            break
    # Nothing is seen before the rename, and from it on the new one is.
    assert outcomes == sorted(outcomes)
    assert outcomes.count(10) >= 6
    assert outcomes.count(15) >= 3


@pytest.mark.parametrize(
    "fault", [OSError(errno.EIO, "Input/output error"), Killed()], ids=["broken", "killed"]
)
def test_checkpoint_replacement_never_loses_the_run(tmp_path, monkeypatch, fault):
    allowed = {5: [all_bits(some(0))], 10: [all_bits(some(1)), all_bits(some(2))]}
    for at in itertools.count(1):
        run, faults = tmp_path / str(at), Faults(at, fault)
        write(run, 5, 0)
        write(run, 10, 1)
        with monkeypatch.context() as patch:
            faults.inject(patch)
            try:
                save_checkpoint(run, 10, some(2), DESCRIBED, 2)
            except type(fault):
                pass
        read = load_checkpoint(run)
        assert all_bits(read.tensors) in allowed[read.step]
        if isinstance(fault, OSError):
            assert read.step == 10  # put aside for a moment, and put back
        if faults.count < at:
            break
    assert all_bits(read.tensors) == all_bits(some(2))


def test_checkpoint_is_on_disk_before_it_is_visible(tmp_path, monkeypatch):
    write(tmp_path, 5, 5)
    order, sync, rename = [], os.fsync, Path.rename

    def synced(handle):
        order.append(os.fstat(handle).st_ino)
        sync(handle)

    def renamed(path, target):
        order.append("rename")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "rename", renamed)
        final = write(tmp_path, 10, 10)
    seen = order.index("rename")
    assert {path.stat().st_ino for path in (final, final / TENSORS, final / STATE)} <= set(order[:seen])
    assert final.parent.stat().st_ino in order[seen:]


def loaded_or_refused(path: Path) -> Checkpoint | None:
    try:
        return load_checkpoint(path)
    except CheckpointError:
        return None


def test_checkpoint_with_a_flipped_byte_is_refused_or_equal(tmp_path):
    chance = random.Random(0)
    path = write(tmp_path, 12, 4)
    good = load_checkpoint(path)
    state, tensors = (path / STATE).read_bytes(), (path / TENSORS).read_bytes()
    places = [
        (STATE, state, at) for at in range(len(state))
    ]  # all of them: a digit of the step, a key of the config
    places += [(TENSORS, tensors, at) for at in range(0, 200, 3)]  # the header
    places += [(TENSORS, tensors, chance.randrange(len(tensors))) for _ in range(200)]
    refused = 0
    for name, content, at in places:
        damaged = bytearray(content)
        damaged[at] ^= 1 << chance.randrange(8)
        (path / name).write_bytes(damaged)
        read = loaded_or_refused(path)
        if read is None:
            refused += 1
        else:
            assert name == STATE, f"byte {at} of the tensors"
            assert said(read) == said(good), f"byte {at} of the description"
            assert all_bits(read.tensors) == all_bits(good.tensors)
        (path / name).write_bytes(content)
    assert said(load_checkpoint(path)) == said(good)
    assert refused >= len(places) - state.count(b" ") - state.count(b"\n")  # white space may be any other


def test_checkpoint_truncated_anywhere_is_refused(tmp_path):
    chance = random.Random(1)
    path = write(tmp_path, 12, 4)
    for name in (STATE, TENSORS):
        content = (path / name).read_bytes()
        for length in {0, 1, 7, 8, 9, len(content) - 1} | {chance.randrange(len(content)) for _ in range(25)}:
            (path / name).write_bytes(content[:length])
            with pytest.raises(CheckpointError):
                load_checkpoint(path)
            (path / name).write_bytes(content + b"\0" * (length + 1))
            with pytest.raises(CheckpointError):
                load_checkpoint(path)
            (path / name).write_bytes(bytes(len(content)))
            with pytest.raises(CheckpointError):
                load_checkpoint(path)
        (path / name).write_bytes(content)
    assert load_checkpoint(path).step == 12


def test_checkpoint_of_mixed_files_is_refused(tmp_path):
    older, newer = write(tmp_path, 5, 5), write(tmp_path, 10, 10)
    for name in (TENSORS, STATE):
        content = (newer / name).read_bytes()
        shutil.copy(older / name, newer / name)
        with pytest.raises(CheckpointError, match=str(older)):
            load_checkpoint(tmp_path)
        (newer / name).unlink()
        with pytest.raises(CheckpointError, match=name if name == TENSORS else "not a run folder"):
            load_checkpoint(newer)
        (newer / name).write_bytes(content)
    assert load_checkpoint(tmp_path).step == 10
    assert load_checkpoint(older).step == 5


def signed(path: Path, content: bytes, **changes: object) -> None:
    """Write a checkpoint by hand, with digests that are right: what a stranger could send."""
    from hashlib import sha256

    from gantrain.training.checkpoint import _digest

    state = {"format": 1, "step": 1, "sha256": sha256(content).hexdigest(), **DESCRIBED, **changes}
    path.mkdir(parents=True, exist_ok=True)
    (path / TENSORS).write_bytes(content)
    (path / STATE).write_text(json.dumps(state | {"state_sha256": _digest(state)}))


def header(dtype: str, offsets: list[int], size: int, shape: tuple[int, ...] = (2,)) -> bytes:
    text = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


HOSTILE = {
    "a type torch lacks": header("F4", [0, 1], 1),
    "an unknown type": header("EVIL", [0, 2], 2),
    "a tensor of 10^12 numbers": header("F32", [0, 4 * 10**12], 8, (10**12,)),
    "a negative offset": header("F32", [-8, 0], 8),
    "a header of 2^63 bytes": (2**63).to_bytes(8, "little") + b"{}",
    "a pickle": b"\x80\x04cposix\nsystem\n(X\x04\x00\x00\x00echotR.",
    "a zip": b"PK\x03\x04" + bytes(40),
    "nothing": b"",
    "numbers that are not finite": save({"G/w": torch.tensor([0.0, torch.nan])}),
    "infinite numbers": save({"G/w": torch.tensor([0.0, torch.inf], dtype=torch.bfloat16)}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_checkpoint_with_forged_tensors_is_refused_in_one_line(tmp_path, what):
    signed(tmp_path / "checkpoints" / "000001", HOSTILE[what])
    with pytest.raises(CheckpointError, match=TENSORS):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("depth", [400, 900, 1100, 100_000])
def test_checkpoint_state_nested_too_deep_is_refused_in_one_line(tmp_path, depth):
    path = write(tmp_path, 1, 1)
    state = (path / STATE).read_text().rstrip("}\n") + ', "x": ' + "[" * depth + "]" * depth + "}"
    (path / STATE).write_text(state)
    with pytest.raises(CheckpointError, match=STATE):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"step": "1"},
        {"step": 1.0},
        {"config": []},
        {"environment": None},
        {"spec": 3},
    ],
    ids=str,
)
def test_checkpoint_state_of_another_format_is_refused(tmp_path, change):
    signed(tmp_path / "checkpoints" / "000001", save(some(0)), **change)
    with pytest.raises(CheckpointError, match=STATE):
        load_checkpoint(tmp_path)
    signed(tmp_path / "checkpoints" / "000001", save(some(0)))
    assert load_checkpoint(tmp_path).step == 1  # so the change is what was refused


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_checkpoint_that_could_not_be_loaded_is_never_written(tmp_path, bad):
    write(tmp_path, 5, 5, keep=1)
    broken = some(6)
    broken["G/weight"][1, 2, 3, 4] = bad
    with pytest.raises(Diverged, match="G/weight"):
        save_checkpoint(tmp_path, 10, broken, DESCRIBED, 1)
    assert names(tmp_path) == {"000005"}
    assert all_bits(load_checkpoint(tmp_path).tensors) == all_bits(some(5))


def test_load_checkpoint_tells_folders_without_one_apart(tmp_path):
    with pytest.raises(CheckpointError, match="no such run folder"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="is not a run folder"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)


def dangers(tree: ast.AST) -> list[str]:
    """Return what a module does that could run a stranger's code or trust his file."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [
                name for name in imported if name.split(".")[0] in ("pickle", "dill", "marshal", "shelve")
            ]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            is_safe = (called, words.get("weights_only")) == ("torch.load", "True") or (
                called,
                words.get("allow_pickle"),
            ) == ("np.load", "False")
            loads = ("torch.load", "yaml.load", "np.load")
            if called in ("eval", "exec", "compile", "__import__", "os.system", *loads) and not is_safe:
                found.append(called)
            if called.rpartition(".")[2] in (
                "extractall",
                "load_state_dict_from_url",
                "unsafe_load",
                "instantiate",
            ):
                found.append(called)
            found += [
                f"{called}({word.arg}=True)"
                for word in node.keywords
                if word.arg in ("shell", "allow_pickle") and ast.unparse(word.value) != "False"
            ]
    return found


def test_package_never_runs_or_unpickles_what_it_reads():
    sources = sorted(Path(gantrain.__file__).parent.rglob("*.py"))
    assert len(sources) > 40
    found = {path.name: dangers(ast.parse(path.read_text())) for path in sources}
    # Plug-ins are code, which this file alone runs: for tests of what it refuses see test_plugins.py.
    assert {name: calls for name, calls in found.items() if calls} == {
        "plugin_loading.py": ["exec", "compile"],
        "weights.py": ["pickle"],  # for the name of its error
    }
    planted = (
        "import pickle\ntorch.load(f)\neval('1')\nyaml.load(f)\nsubprocess.run(c, shell=True)\nz.extractall()\n"
        "torch.load(f, weights_only=False)\nnp.load(f)\nnp.load(f, allow_pickle=True)"
    )
    assert len(dangers(ast.parse(planted))) == 10  # the last is found by its name and its keyword
    assert not dangers(ast.parse("torch.load(f, weights_only=True)\nnp.load(f, allow_pickle=False)"))
