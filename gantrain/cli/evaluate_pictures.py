"""``gantrain evaluate FAKE REAL``: the metrics of two sets of pictures, without a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError, writing

if TYPE_CHECKING:
    from gantrain.datasets.image_folder import ImageFolder

GROUPS = ("metric", "features", "device")
NOT_OF_PICTURES = ("name", "root", "holdout", "attributes", "allow_changed")  # keys of a dataset to train on


def evaluate_sides(folders: Sequence[str], words: Mapping[str, str]) -> int:
    """Print the metrics of the pictures at two paths, and write them to ``out`` if that is a word."""
    import torch

    from gantrain.cli.arguments import output_path
    from gantrain.config.compose import compose
    from gantrain.config.device import Device
    from gantrain.config.resolve import plain_data
    from gantrain.core.files import write_json
    from gantrain.core.scalars import read_text
    from gantrain.core.text import one_line
    from gantrain.datasets.files.picture_set import common_shape, open_pictures
    from gantrain.metrics.suite import Suite
    from gantrain.registry import build, parse
    from gantrain.reports.end_table import metric_table, protocol_warnings
    from gantrain.training.evaluate_pictures import Sides, evaluate_pictures

    words = dict(words)
    paths = {"fake": folders[0], "real": folders[1]}
    paths |= {"train": read_text(words.pop("train"))} if "train" in words else {}
    out = output_path(read_text(words.pop("out")), None) if "out" in words else None  # type: ignore[arg-type]
    image_keys = _check(words, paths)
    plain = plain_data(compose(_overrides(words)))
    options: ImageFolder = build("dataset", plain["dataset"])
    device = parse(Device, "device", plain["device"])
    if device.threads != "auto":
        torch.set_num_threads(int(device.threads))
    # The shape in which all sets are compared, then their pixels
    sets = {side: open_pictures(path, options) for side, path in paths.items()}
    shape = common_shape([*sets.values()], {key: getattr(options, key) for key in image_keys})
    pictures = {side: found.load(shape) for side, found in sets.items()}
    result = evaluate_pictures(
        Sides(**pictures),
        parse(Suite.complete(), "metric", plain["metric"]),
        build("features", plain["features"]),
        device,
        plain["seed"],
    )
    heads = [one_line(f"{side:10} {sets[side].root}: {pictures[side].description}") for side in paths]
    found = result.description()
    parts = ["\n".join(heads), metric_table(found), protocol_warnings(result.protocol)]
    print("\n\n".join(part for part in parts if part))  # first, since writing may fail
    if out is not None:
        with writing(out, "choose another out=FILE"):
            write_json(out, {**paths, "shape": list(shape), **found})
        print(f"\nresult     {out}")
    return 0


def _check(words: Mapping[str, str], paths: Mapping[str, str]) -> list[str]:
    """Check the words and the paths, and return which keys of the pictures' shape are set. Raises ConfigError."""
    from gantrain.datasets.image_folder import ImageFolder

    keys = [f"dataset.{field.name}" for field in fields(ImageFolder) if field.name not in NOT_OF_PICTURES]
    known = [*GROUPS, *keys, "seed", "train", "out"]
    for key in words:
        if key not in known and key.partition(".")[0] not in GROUPS:
            remedy = suggest(key, [*known, "metric.n", "metric.k"])
            raise ConfigError(key, "does not change an evaluation of two sets of pictures", remedy)
    if "device.processes" in words or "device.shards" in words:
        raise ConfigError(
            "device", "one process evaluates pictures", "leave device.processes and device.shards out"
        )
    shape = [key for key in ("resolution", "width", "channels") if f"dataset.{key}" in words]
    if "width" in shape and "resolution" not in shape:
        raise ConfigError("dataset.width", "goes with a height", "add dataset.resolution=HEIGHT")
    real = {side: os.path.realpath(os.path.expanduser(path)) for side, path in paths.items()}
    if real["fake"] in (real["real"], real.get("train")):
        what = f"is {'FAKE and REAL' if real['fake'] == real['real'] else 'FAKE and train'}"
        raise ConfigError(paths["fake"], what, "give two sets; real against real is a column of each table")
    if real["real"] == real.get("train"):
        raise ConfigError(
            "train", "is REAL, which is taken for it anyway", "leave it out, or give another set"
        )
    return shape


def _overrides(words: Mapping[str, str]) -> list[str]:
    overrides = ["dataset=image_folder", *([] if "metric" in words else ["metric=samples"])]
    return overrides + [f"{key}={value}" for key, value in words.items()]
