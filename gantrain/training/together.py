"""What the processes of one run do before its first step: the leader decides, all load the data, and compare them."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import torch

from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.core.device import resolve_device
from gantrain.core.plugin_loading import load_plugins_of
from gantrain.core.system import mute_logging
from gantrain.datasets.base import Data, Split
from gantrain.distributed.group import Group
from gantrain.errors import DataError
from gantrain.training.checkpoint import Checkpoint, load_checkpoint
from gantrain.training.evaluations import evaluate_checkpoint
from gantrain.training.restore import config_and_spec
from gantrain.training.run import prepare, run

HASH_SAMPLES = 4096  # of each split, evenly spaced, by which processes compare their data


def prepare_together(
    config: Config,
    group: Group,
    checkpoint: Checkpoint | None = None,
    plugins: dict[str, Any] | None = None,
    is_evaluation: bool = False,
) -> Data:
    """Give the leader's run to the others, load its data, and check that all have the same.

    Args:
        config: A resolved run.
        group: The processes.
        checkpoint: To continue from.
        plugins: That the run was trained with, of ``plugins.provenance``, if they are not those of the command line.
        is_evaluation: Whether the checkpoint is evaluated only.

    Raises:
        GantrainError: As ``prepare``, and for other data than those of the leader.
    """
    where = str(checkpoint.path) if checkpoint else None
    task = {"config": config.plain(), "checkpoint": where, "plugins": plugins or {}}
    group.share(task | {"is_evaluation": is_evaluation})
    return _load_and_compare(config, group, checkpoint)


def play_along(group: Group) -> int:
    """Do what the leader does with a run, without writing or logging anything, and return the exit code.

    Raises:
        GantrainError: For plug-ins, data or a checkpoint that are not on this machine, and as ``run``.
    """
    given = group.share(None)
    with mute_logging(logging.CRITICAL):
        load_plugins_of(given["plugins"], "run")
        checkpoint = load_checkpoint(Path(given["checkpoint"])) if given["checkpoint"] else None
        if checkpoint:
            config_and_spec(checkpoint)
        config = resolve(given["config"])
        if resolve_device(config.device.kind, config.device.index).type == "cuda":
            # Each its own, as far as they go.
            config.device.index = (config.device.index + group.local_rank) % torch.cuda.device_count()
        data = _load_and_compare(config, group, checkpoint)
        if checkpoint and given["is_evaluation"]:
            evaluate_checkpoint(config, data, checkpoint, group)
        else:
            run(config, group.begin_in(None), checkpoint, data=data, group=group)
    return 0


def _load_and_compare(config: Config, group: Group, checkpoint: Checkpoint | None) -> Data:
    data = prepare(config, checkpoint)
    if group.size > 1:
        hashes = group.exchange(hash_of(data))
        for rank, found in enumerate(hashes):
            if found != hashes[0]:
                what = f"rank {rank} has other data than rank 0"
                raise DataError("dataset", what, "give every machine the same files and versions")
        group.connect(resolve_device(config.device.kind, config.device.index), config.device.timeout)
    return data


def hash_of(data: Data) -> str:
    """Return a hash of the shape of the data and of evenly spaced samples of them."""
    found = hashlib.blake2b(repr(data.spec).encode(), digest_size=16)
    for split in (data.train, data.holdout):
        found.update(str(len(split)).encode())
        for x in _some(split):
            found.update(x.contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _some(split: Split) -> list[torch.Tensor]:
    index = torch.linspace(0, len(split) - 1, min(len(split), HASH_SAMPLES), dtype=torch.float64).long()
    x, y = split.select(index)
    return [x] if y is None else [x, y]
