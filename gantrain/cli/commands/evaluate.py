"""``gantrain evaluate RUN``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gantrain.cli.arguments import DATA_WORDS, output_path, set_data_words, single_folder, split_arguments
from gantrain.cli.command import Command, Word
from gantrain.core.groups import choices
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError, writing

if TYPE_CHECKING:
    from gantrain.config.options import Config

log = logging.getLogger("gantrain")

GROUPS = ("metric", "features", "device")  # whose choice and keys may differ from those of the run
KEYS = (*GROUPS, *DATA_WORDS)


def evaluate(argv: list[str]) -> int:
    """Compute metrics of a checkpoint and write them to ``evaluation-<step>.json`` in its run, or of two sets."""
    from gantrain.cli.evaluate_pictures import evaluate_sides
    from gantrain.core.files import write_json
    from gantrain.core.run_folder import RunFolder
    from gantrain.core.scalars import read_text
    from gantrain.datasets.files.torchvision import SOURCES, downloads
    from gantrain.distributed.join import current_group
    from gantrain.reports.end_table import metric_table, protocol_warnings
    from gantrain.training.checkpoint import load_checkpoint
    from gantrain.training.evaluations import evaluate_checkpoint
    from gantrain.training.restore import changed_files, config_and_spec
    from gantrain.training.together import prepare_together

    logging.basicConfig(format="%(message)s")
    folders, words = split_arguments("evaluate", argv)
    if len(folders) == 2:
        return evaluate_sides(folders, words)
    if len(folders) > 2:
        what = f"takes a run, or two sets of pictures, got {' '.join(folders)}"
        raise ConfigError("evaluate", what, "gantrain evaluate RUN, or gantrain evaluate FAKE REAL")
    checkpoint = load_checkpoint(single_folder("evaluate", folders))
    out = output_path(
        read_text(words.pop("out", "")), RunFolder(checkpoint.run).evaluation_file(checkpoint.step)
    )
    config_and_spec(checkpoint)
    group = current_group()
    with downloads(not SOURCES.isdisjoint(words)):
        config = _config_of(checkpoint.config, words)
        data = prepare_together(config, group, checkpoint, checkpoint.plugins, is_evaluation=True)
        if changes := changed_files(config, checkpoint):
            log.warning("these are not the data that the run was trained on: %s", changes)
    # Floors: the same metrics of fresh real samples in place of those of G.
    reading = evaluate_checkpoint(config, data, checkpoint, group)
    parts = [
        checkpoint.path,
        metric_table(reading.description()),
        protocol_warnings(reading.protocol),
    ]
    print("\n\n".join(str(part) for part in parts if part))  # first, since writing may fail
    with writing(out, "choose another out=FILE"):
        write_json(out, {"step": checkpoint.step, **reading.description()})
    print(f"\nresult     {out}")
    return 0


def _config_of(plain: dict[str, Any], words: Mapping[str, str]) -> Config:
    """Return the config of a run with the words of its evaluation. Raises ConfigError for a word that is not one."""
    from gantrain.config.compose import compose
    from gantrain.config.resolve import plain_data, resolve

    for key in words:
        if key not in KEYS and key.partition(".")[0] not in GROUPS:
            remedy = suggest(key, [*KEYS, "metric.n", "metric.k", "out"])
            raise ConfigError(key, "does not change an evaluation", remedy)
    name = plain["dataset"]["name"]  # its YAML may set the metrics' protocol
    overrides = [f"dataset={name}"] if name in choices("dataset") else []
    overrides += [f"{key}={value}" for key, value in words.items() if key.startswith(GROUPS)]
    composed = plain_data(compose(overrides))
    plain |= {group: composed[group] for group in GROUPS if group in words}
    set_data_words(plain, words)  # the dataset is not composed anew
    # A single key takes its composed value, which has the key's type.
    for key in words:
        group, *path = key.split(".")
        if path and group in GROUPS:
            target, source = plain[group], composed[group]
            for name in path[:-1]:  # of a metric with keys of its own
                target, source = target.setdefault(name, {}), source[name]
            target[path[-1]] = source[path[-1]]
    plain["train"]["keep_best"] = None  # of the run's own suite
    plain["device"] |= {"processes": 1, "shards": None}  # they cut batches, of which an evaluation has none
    return resolve(plain)


COMMAND = Command(
    evaluate,
    usage=(
        ("RUN [metric=full out=FILE]", "the metrics of a checkpoint"),
        ("FAKE REAL [train=SET]", "of two sets of pictures: folders, .zip, .tar, .npz or .npy"),
    ),
    order=40,
    folder="run",
    many=True,
    files=True,
    words={
        "metric": Word("which metrics to compute"),
        "features": Word("what they compare"),
        "device": Word("where to compute them"),
        "out": Word("where to write them; by default evaluation-<step>.json in the run", is_path=True),
        "train": Word("of two sets: what the generator was trained on, if that is a third one", is_path=True),
        "seed": Word("of two sets: which pictures are compared where there are more than metric.n"),
        "dataset.resolution": Word("of two sets: the size to resize all to; they must be equal without it"),
        "dataset.channels": Word("of two sets: 1 for grey, 3 for colour", ("1", "3", "4")),
        "dataset.labels": Word("of two sets: whether class folders are classes", ("auto", "none")),
        "dataset.bad_files": Word(
            "of two sets: what to do with a file that cannot be read", ("error", "skip")
        ),
    },
)
