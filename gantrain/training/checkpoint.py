"""Checkpoints: tensors in safetensors and the rest in JSON, written atomically and verified when read."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gantrain.core.files import MAX_PLAN_BYTES, parse_json, read_bytes, read_json
from gantrain.core.run_address import BEST, checked_best, path_of
from gantrain.core.run_folder import STATE, RunFolder, follow_links, is_checkpoint
from gantrain.core.system import physical_memory
from gantrain.errors import CheckpointError, Diverged

TENSORS = "tensors.safetensors"
FORMAT = 1
# Fields of a description besides checksums; those of ``OPTIONAL`` are absent from older checkpoints.
FIELDS = {
    "step": int,
    "config": dict,
    "environment": dict,
    "spec": dict,
    "data": dict,
    "seconds": float,
    "plugins": dict,
    "health": dict,
    "best": dict,
    "is_only_best": bool,
}
OPTIONAL: dict[str, Any] = dict(data={}, seconds=0.0, plugins={}, health={}, best={}, is_only_best=False)


@dataclass(frozen=True)
class Checkpoint:
    """One saved state of a run.

    Attributes:
        path: Its folder, ``<run>/checkpoints/<step>``.
        step: Finished steps.
        config: The run's resolved config, plain data.
        environment: The machine and versions it was written on.
        spec: Shape and classes of the data, plain data.
        data: The files that the data come from, of ``DataFiles.summary``; empty for drawn samples.
        tensors: Weights and optimizer states by name.
        seconds: Time spent in training up to it.
        plugins: The plug-ins from outside the package that it was trained with, of ``plugins.provenance``.
        health: What its checks of health counted so far, of ``Health.state``.
        best: The best state up to it, of ``train.keep_best``: ``tag``, ``step`` and ``value``; {} for none.
        is_only_best: Whether it was saved for that alone, so that it is none of the newest that are kept.
    """

    path: Path
    step: int
    config: dict[str, Any]
    environment: dict[str, Any]
    spec: dict[str, Any]
    data: dict[str, Any]
    tensors: dict[str, Tensor]
    seconds: float
    plugins: dict[str, Any]
    health: dict[str, Any]
    best: dict[str, Any]
    is_only_best: bool

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.path.parent.parent


def save_checkpoint(
    run: Path, step: int, tensors: Mapping[str, Tensor], description: Mapping[str, Any], keep: int
) -> Path:
    """Write ``<run>/checkpoints/<step>`` whole; keep the newest and the best that they name, and remove the others.

    Args:
        run: The run's folder.
        step: Finished steps.
        tensors: Of ``TrainState.tensors``.
        description: ``config``, ``environment``, ``spec``, and optionally the others of ``FIELDS``; plain data.
        keep: Number of newest checkpoints to keep, at least 1, without those that are kept as the best state.

    Raises:
        Diverged: When a tensor is not finite, before anything is written or removed.
        OSError: When it cannot be written; earlier checkpoints are untouched.
    """
    # Nothing that could not be loaded again is written.
    if broken := _not_finite(tensors):
        what = f"{broken} holds numbers that are not finite, so step {step} was not saved"
        raise Diverged(run, what, "lower the learning rates, or resume from the last checkpoint")
    folder = RunFolder(run)
    final = folder.checkpoint(step)
    parent = final.parent  # <run>/checkpoints
    parent.mkdir(exist_ok=True)
    _remove(parent.glob(".part-*"))  # what a killed process left
    # Write to a hidden folder, then rename: a reader finds whole checkpoints only.
    part = parent / f".part-{os.getpid()}"
    try:
        _write(part, step, tensors, description)
        _publish(part, final)
    except OSError:
        _remove([part])  # to free its space on a full disk
        raise
    for old in _to_remove(folder, final, keep):
        with contextlib.suppress(OSError):  # renamed before it is deleted: a visible one is always whole
            old.rename(parent / f".part-old-{old.name}")
    _remove(parent.glob(".part-*"))
    return final


def _to_remove(run: RunFolder, last: Path, keep: int) -> list[Path]:
    """Return the checkpoints that need not be kept once ``last`` is written."""
    # Later ones are of an abandoned continuation: the run was resumed before them.
    saved = run.checkpoints
    earlier = saved[: saved.index(last) + 1]
    states = {path: read_json(path / STATE, strict=False, most=MAX_PLAN_BYTES) for path in earlier}
    regular = [path for path in earlier if states[path].get("is_only_best") is not True]
    kept = {last, *regular[-keep:]}
    # A run that goes on from a kept one needs the best state that it names.
    steps = {checked_best(states[path].get(BEST)).get("step") for path in kept}
    kept |= {path for path in earlier if int(path.name) in steps}
    return [path for path in saved if path not in kept]


def _write(part: Path, step: int, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    # Each tensor is copied, since safetensors refuses two that share memory, as tied weights do.
    layout = torch.contiguous_format
    blob = save({name: t.detach().cpu().clone(memory_format=layout) for name, t in tensors.items()})
    state = {"format": FORMAT, "step": step, "sha256": hashlib.sha256(blob).hexdigest(), **description}
    state["state_sha256"] = _digest(json.loads(json.dumps(state)))
    part.mkdir()
    for name, content in ((TENSORS, blob), (STATE, json.dumps(state, indent=1).encode())):
        with (part / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # on the disk before the rename is
    _sync_folder(part)


def _publish(part: Path, final: Path) -> None:
    """Rename a written folder to its final name; one of that name is moved aside, and back when that fails."""
    aside = final.with_name(f".part-old-{final.name}")
    if final.exists():
        final.rename(aside)
    try:
        part.rename(final)
    except OSError:
        if aside.exists():
            aside.rename(final)
        raise
    _sync_folder(final.parent)


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    return next((n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()), None)


def _digest(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a description without this digest, independent of the layout of its JSON."""
    rest = {key: value for key, value in state.items() if key != "state_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_checkpoint(where: str | Path) -> Checkpoint:
    """Read a checkpoint, or the newest one of a run folder; ``RUN@best`` and ``RUN@STEP`` name others.

    Raises:
        CheckpointError: When there is none, or a file is corrupt; the message names the next older one.
    """
    return _read(find_checkpoint(where))


def find_checkpoint(where: str | Path) -> Path:
    """Return the folder of the checkpoint that ``load_checkpoint`` reads. Raises CheckpointError for none."""
    path = follow_links(path_of(where))
    if not path.is_dir():
        raise CheckpointError(where, "there is no such run folder", "give a folder under outputs/")
    if is_checkpoint(path):
        return path
    run = RunFolder(path)
    if newest := run.newest_checkpoint:
        return newest
    what, remedy = "holds no checkpoint", "give a run folder that has checkpoints/, or train again"
    if not run.config_file.is_file():
        what = "is not a run folder or checkpoint"
    elif run.is_locked:
        remedy = "wait for the first one: the run is going on"
    elif run.can_begin_anew:
        remedy = f"train it with: gantrain resume {quote(str(where))}"
    raise CheckpointError(where, what, remedy)


def _read(path: Path) -> Checkpoint:
    steps = RunFolder(path.parent.parent).checkpoints if path.name.isdecimal() else []
    older = [other for other in steps if int(other.name) < int(path.name)]
    remedy = f"use {older[-1]}" if older else "train again, or restore the file"
    # Both files, and the description's own checksum.
    try:
        state = parse_json(read_bytes(path / STATE, MAX_PLAN_BYTES))
        digest = _digest(state) if isinstance(state, dict) else None
        blob = read_bytes(path / TENSORS, physical_memory())
    except (OSError, ValueError) as error:
        name = getattr(error, "filename", None) or path / STATE
        raise CheckpointError(name, f"cannot be read ({error})", remedy) from error
    # The description: its fields, its format, both checksums.
    types = FIELDS | {"format": int, "sha256": str}
    plain = OPTIONAL | state if isinstance(state, dict) else {}
    if any(not isinstance(plain.get(key), kind) for key, kind in types.items()):
        raise CheckpointError(path / STATE, "is not a checkpoint's description", remedy)
    if state["format"] != FORMAT:
        what = f"has format {state['format']}, this gantrain reads {FORMAT}"
        raise CheckpointError(path / STATE, what, "update gantrain")
    if digest != state.get("state_sha256"):
        raise CheckpointError(path / STATE, "is corrupt: its SHA-256 checksum does not match", remedy)
    if hashlib.sha256(blob).hexdigest() != state["sha256"]:
        raise CheckpointError(path / TENSORS, "is corrupt: its SHA-256 checksum does not match", remedy)
    # The tensors.
    try:
        tensors = load(blob)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that torch lacks
        raise CheckpointError(path / TENSORS, f"cannot be read ({error})", remedy) from error
    if broken := _not_finite(tensors):
        raise CheckpointError(path / TENSORS, f"{broken} holds numbers that are not finite", remedy)
    return Checkpoint(path, tensors=tensors, **{key: plain[key] for key in FIELDS})
