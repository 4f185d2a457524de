"""Checkpoints: tensors in safetensors and the rest in JSON, whole or not there, verified when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gantrain.errors import CheckpointError, Diverged

TENSORS, STATE = "tensors.safetensors", "state.json"
FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """One saved state of a run.

    Attributes:
        path: Its folder, ``<run>/checkpoints/<step>``.
        step: Finished steps.
        config: The run's resolved config, plain data.
        environment: The machine and versions it was written on.
        spec: Shape and classes of the data, plain data.
        tensors: Weights and optimizer states by name.
        seconds: Time spent in training up to it.
        plugins: The plug-ins from outside the package that it was trained with, as ``plugins.provenance`` has them.
    """

    path: Path
    step: int
    config: dict[str, Any]
    environment: dict[str, Any]
    spec: dict[str, Any]
    tensors: dict[str, Tensor]
    seconds: float = 0.0
    plugins: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.path.parent.parent


def save_checkpoint(
    run: Path, step: int, tensors: Mapping[str, Tensor], described: Mapping[str, Any], keep: int
) -> Path:
    """Write ``<run>/checkpoints/<step>`` whole, then keep the newest ``keep`` up to that step and remove the others.

    Checkpoints beyond ``step`` are those of a future that a resume from an older one gave up; they go too, once the
    new one is there.

    Args:
        run: The run's folder.
        step: Finished steps.
        tensors: What ``TrainState.tensors`` gives.
        described: ``config``, ``environment``, ``spec`` and, where they count, ``seconds`` and ``plugins``, as plain
            data.
        keep: How many checkpoints stay, at least 1.

    Raises:
        Diverged: When a tensor is not finite, before anything is written or removed.
        OSError: When it cannot be written; earlier checkpoints are untouched.
    """
    broken = _not_finite(tensors)
    if broken:
        what = f"{broken} holds numbers that are not finite, so step {step} was not saved"
        raise Diverged(run, what, "lower the learning rates, or resume from the last checkpoint")
    parent = run / "checkpoints"
    parent.mkdir(exist_ok=True)
    _remove(parent.glob(".part-*"))  # what a killed process left
    part, final = parent / f".part-{os.getpid()}", parent / f"{step:06d}"
    try:
        _write(part, step, tensors, described)
        _show(part, final)
    except OSError:
        _remove([part])  # a full disk need not be fuller
        raise
    found = steps(run)
    at = found.index(final) + 1
    for old in [*found[:at][:-keep], *found[at:]]:
        with contextlib.suppress(OSError):  # hidden before it is taken apart: what is visible is whole
            old.rename(parent / f".part-old-{old.name}")
    _remove(parent.glob(".part-*"))
    return final


def _write(part: Path, step: int, tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> None:
    # Each tensor is copied, since safetensors refuses two that share memory, as tied weights do.
    blob = save(
        {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}
    )
    state = {"format": FORMAT, "step": step, "sha256": hashlib.sha256(blob).hexdigest(), **described}
    state["state_sha256"] = _digest(json.loads(json.dumps(state)))
    part.mkdir()
    for name, content in ((TENSORS, blob), (STATE, json.dumps(state, indent=1).encode())):
        with (part / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync_folder(part)


def _show(part: Path, final: Path) -> None:
    """Give a written folder its name; one that has it already is put aside, and back when that fails."""
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
    return next(
        (n for n, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()), None
    )


def _digest(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a description says but this digest, however its JSON is laid out."""
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


def steps(run: Path) -> list[Path]:
    """Return a run's checkpoint folders, by step, oldest first; anything else in the folder is left alone."""
    folder = run / "checkpoints"
    found = (
        [p for p in folder.iterdir() if p.name.isdecimal() and (p / STATE).is_file()]
        if folder.is_dir()
        else []
    )
    return sorted(found, key=lambda path: int(path.name))


def load_checkpoint(where: str | Path) -> Checkpoint:
    """Read the newest checkpoint of a run folder, or the one that ``where`` is.

    Raises:
        CheckpointError: When there is none, or a file is damaged, with the next older one to use.
    """
    path = Path(where).expanduser()
    if not path.is_dir():
        raise CheckpointError(where, "there is no such run folder", "give a folder under outputs/")
    if not (path / STATE).is_file():
        found = steps(path)
        if not found:
            what = (
                "holds no checkpoint"
                if (path / "config.json").is_file()
                else "is not a run folder or checkpoint"
            )
            raise CheckpointError(where, what, "give a run folder that has checkpoints/, or train again")
        path = found[-1]
    return _read(path.resolve())


def _read(path: Path) -> Checkpoint:
    older = (
        [p for p in steps(path.parent.parent) if int(p.name) < int(path.name)]
        if path.name.isdecimal()
        else []
    )
    remedy = f"use {older[-1]}" if older else "train again, or restore the file"
    try:
        state = json.loads((path / STATE).read_bytes())
        digest = _digest(state) if isinstance(state, dict) else None
        blob = (path / TENSORS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        name = getattr(error, "filename", None) or path / STATE
        raise CheckpointError(name, f"cannot be read ({error})", remedy) from error
    wanted = {"format": int, "step": int, "sha256": str, "config": dict, "environment": dict, "spec": dict}
    if (
        not isinstance(state, dict)
        or any(not isinstance(state.get(key), kind) for key, kind in wanted.items())
        or not isinstance(state.get("seconds", 0.0), float)
        or not isinstance(state.get("plugins", {}), dict)
    ):
        raise CheckpointError(path / STATE, "is not a checkpoint's description", remedy)
    if state["format"] != FORMAT:
        raise CheckpointError(
            path / STATE, f"has format {state['format']}, this gantrain reads {FORMAT}", "update gantrain"
        )
    if digest != state.get("state_sha256"):
        raise CheckpointError(
            path / STATE, "is damaged: its SHA-256 is not the one it was written with", remedy
        )
    if hashlib.sha256(blob).hexdigest() != state["sha256"]:
        raise CheckpointError(
            path / TENSORS, "is damaged: its SHA-256 is not the one it was written with", remedy
        )
    try:
        tensors = load(blob)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that torch lacks
        raise CheckpointError(path / TENSORS, f"cannot be read ({error})", remedy) from error
    broken = _not_finite(tensors)
    if broken:
        raise CheckpointError(path / TENSORS, f"{broken} holds numbers that are not finite", remedy)
    return Checkpoint(
        path,
        state["step"],
        state["config"],
        state["environment"],
        state["spec"],
        tensors,
        state.get("seconds", 0.0),
        state.get("plugins", {}),
    )
