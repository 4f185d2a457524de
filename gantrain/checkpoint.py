"""Checkpoints: tensors in safetensors and the rest in JSON, whole or not there, verified when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gantrain.errors import CheckpointError

TENSORS, STATE = "tensors.safetensors", "state.json"
FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """One saved state of a run.

    Attributes:
        path: Its folder, ``<run>/checkpoints/<step>``.
        step: Generator updates behind it.
        config: The run's resolved config, plain data.
        environment: The machine and versions it was written on.
        spec: Shape and classes of the data, plain data.
        tensors: Weights and optimizer states by name.
    """

    path: Path
    step: int
    config: dict[str, Any]
    environment: dict[str, Any]
    spec: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.path.parent.parent


def save_checkpoint(
    run: Path, step: int, tensors: Mapping[str, Tensor], described: Mapping[str, Any], keep: int
) -> Path:
    """Write ``<run>/checkpoints/<step>`` whole, then remove all but the newest ``keep``.

    Args:
        run: The run's folder.
        step: Generator updates done.
        tensors: What ``TrainState.tensors`` gives.
        described: ``config``, ``environment`` and ``spec`` as plain data.
        keep: How many checkpoints stay, at least 1.

    Raises:
        OSError: When it cannot be written; earlier checkpoints are untouched.
    """
    parent = run / "checkpoints"
    parent.mkdir(exist_ok=True)
    part, final = parent / f".part-{os.getpid()}", parent / f"{step:06d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    blob = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    state = {"format": FORMAT, "step": step, "sha256": hashlib.sha256(blob).hexdigest(), **described}
    for name, content in ((TENSORS, blob), (STATE, json.dumps(state, indent=1).encode())):
        with (part / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync_folder(part)
    if final.exists():
        final.rename(parent / f".part-old-{os.getpid()}")
    part.rename(final)
    _sync_folder(parent)
    for old in [*steps(run)[:-keep], *parent.glob(".part-*")]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def steps(run: Path) -> list[Path]:
    """Return a run's checkpoint folders, by step, oldest first; anything else in the folder is left alone."""
    folder = run / "checkpoints"
    found = [p for p in folder.iterdir() if p.name.isdecimal() and (p / STATE).is_file()] if folder.is_dir() else []
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
            what = "holds no checkpoint" if (path / "config.json").is_file() else "is not a run folder or checkpoint"
            raise CheckpointError(where, what, "give a run folder that has checkpoints/, or train again")
        path = found[-1]
    return _read(path.resolve())


def _read(path: Path) -> Checkpoint:
    older = [p for p in steps(path.parent.parent) if int(p.name) < int(path.name)] if path.name.isdecimal() else []
    remedy = f"use {older[-1]}" if older else "train again, or restore the file"
    try:
        state = json.loads((path / STATE).read_bytes())
        blob = (path / TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        name = getattr(error, "filename", None) or path / STATE
        raise CheckpointError(name, f"cannot be read ({error})", remedy) from error
    wanted = {"format": int, "step": int, "sha256": str, "config": dict, "environment": dict, "spec": dict}
    if not isinstance(state, dict) or any(not isinstance(state.get(key), kind) for key, kind in wanted.items()):
        raise CheckpointError(path / STATE, "is not a checkpoint's description", remedy)
    if state["format"] != FORMAT:
        raise CheckpointError(path / STATE, f"has format {state['format']}, this gantrain reads {FORMAT}", "update gantrain")
    if hashlib.sha256(blob).hexdigest() != state["sha256"]:
        raise CheckpointError(path / TENSORS, "is damaged: its SHA-256 is not the one it was written with", remedy)
    try:
        tensors = load(blob)
    except SafetensorError as error:
        raise CheckpointError(path / TENSORS, f"cannot be read ({error})", remedy) from error
    broken = [n for n, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    if broken:
        raise CheckpointError(path / TENSORS, f"{broken[0]} holds numbers that are not finite", remedy)
    return Checkpoint(path, state["step"], state["config"], state["environment"], state["spec"], tensors)
