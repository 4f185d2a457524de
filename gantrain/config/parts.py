"""Checks of a batch in parts: those of ``train.accumulate`` and of the shards of several processes."""

import json
from collections.abc import Iterator

from gantrain.config.options import Config
from gantrain.errors import ConfigError


def accumulate_errors(config: Config) -> Iterator[ConfigError]:
    """A batch in parts must give the gradient of the whole."""
    parts, size, packing = config.train.accumulate, config.train.batch_size, config.model.packing
    if parts == 1:
        return
    if size % (parts * packing) or size == parts * packing:
        what = f"is {parts}, and a batch of {size} has no {parts} equal parts of several samples"
        multiple = parts * packing * max(round(size / (parts * packing)), 2)
        yield ConfigError("train.accumulate", what, f"set train.batch_size={multiple}")
    across = config.model.d_batch_keys | config.model.g_batch_keys
    causes = {f"model.{key}": (True, other) for key, other in across.items()} | {
        "objective": (not config.objective.averages_samples, "non_saturating"),
        "penalty": (not config.penalty.averages_samples, "none"),
        "train.unroll": (config.train.unroll > 0, "0"),
        "train.compare_gradients": (config.train.compare_gradients, "false"),
    }
    for key, (is_set, other) in causes.items():
        if is_set:
            what = f"is {parts}, and {key} uses a whole batch at once"
            yield ConfigError("train.accumulate", what, f"set train.accumulate=1 or {key}={other}")


def shards_errors(config: Config) -> Iterator[ConfigError]:
    """Each process has equally many shards, and each shard equally many samples, or packs."""
    processes, accumulate, unit = config.device.processes, config.train.accumulate, config.model.packing
    shards = config.device.shards or processes
    if shards == 1:
        return
    if shards % processes:
        fewer = max(number for number in range(1, processes) if shards % number == 0)
        what = f"is {processes}, and so many cannot share device.shards={shards} equally"
        yield ConfigError("device.processes", what, f"set device.processes={fewer}, or start so many")
    parts, size = shards * accumulate, config.train.batch_size
    if size % (parts * unit) or size == parts * unit:
        what = f"is {size}, which has no {parts} equal shards of several samples"
        multiple = parts * unit * max(round(size / (parts * unit)), 2)
        other = "give another device.shards" if config.device.shards else "start fewer processes"
        yield ConfigError("train.batch_size", what, f"set train.batch_size={multiple}, or {other}")
    causes = {
        "objective": (not config.objective.averages_samples, "non_saturating"),
        "penalty": (not config.penalty.averages_samples, "none"),
        "train.d_gain": (config.train.d_gain is not None, "null"),
        "train.compare_gradients": (config.train.compare_gradients, "false"),
    }
    for key, (is_set, other) in causes.items():
        if is_set:
            what = f"uses a whole batch at once, and device.shards cuts it into {shards}"
            yield ConfigError(key, what, f"set {key}={other}, or one process and device.shards=null")


def shards_cautions(config: Config) -> Iterator[str]:
    """Yield a line for each choice that looks across a batch, and sees a shard only, and one for other last bits."""
    shards = config.device.shards or config.device.processes
    model = config.model
    keys = [*model.d_batch_keys, *(model.g_batch_keys if config.device.batch_norm == "shard" else [])]
    choices = [f"model.{key}={json.dumps(getattr(model, key))}".replace('"', "") for key in keys]
    choices += [f"train.unroll={config.train.unroll}"] if config.train.unroll else []
    for words in choices if shards > 1 else ():
        yield f"{words} looks across a batch, of which it sees each of {shards} shards on its own"
    if config.device.reduce == "fast" and config.device.processes > 1:
        yield (
            "device.reduce=fast adds gradients in an order that depends on the number of processes, so a run with "
            "another number has other last bits; device.reduce=exact does not"
        )
