"""``gantrain export-data RUN OUT``."""

from __future__ import annotations

from pathlib import Path

from gantrain.cli.arguments import (
    DATA_HELP,
    DATA_WORDS,
    load_data,
    output_path,
    read_options,
    single_folder,
    split_arguments,
)
from gantrain.cli.command import Command
from gantrain.errors import ConfigError, writing

FORM = "gantrain export-data outputs/<date>/<run> real"


def export_data(argv: list[str]) -> int:
    """Write the real samples of a run, cropped and resized as it trains on them."""
    from gantrain.registry import parse
    from gantrain.sampling.options import DataOptions
    from gantrain.sampling.write_data import check_data_file, choose, class_names, write_data
    from gantrain.training.checkpoint import load_checkpoint
    from gantrain.training.restore import config_and_spec

    folders, words = split_arguments("export-data", argv)
    data_words = {key: words.pop(key) for key in DATA_WORDS if key in words}
    options = parse(DataOptions, "", read_options(DataOptions, words))
    if len(folders) != 2:
        raise ConfigError("export-data", "takes a run and the place of its data", FORM)
    checkpoint = load_checkpoint(single_folder("export-data", folders[:1]))
    _, spec = config_and_spec(checkpoint)
    out = output_path(folders[1], Path(), or_folder=spec.is_image)
    if (out.is_dir() and any(out.iterdir())) or out.is_file():
        raise ConfigError(out, "is not empty" if out.is_dir() else "exists", "choose another place")
    check_data_file(out, spec)
    config, data = load_data(checkpoint, data_words)
    split = data.holdout if options.split == "holdout" else data.train
    rows = choose(split, options.n or len(split), config.seed)
    with writing(out, "choose another place"):
        write_data(out, split, rows, spec, class_names(config.dataset, spec))
    print(out)
    return 0


def _options() -> type:
    from gantrain.sampling.options import DataOptions

    return DataOptions


COMMAND = Command(
    export_data,
    usage=(("RUN OUT [split=train n=N]", "its real samples, as a folder or an .npz"),),
    order=45,
    folder="run",
    many=True,
    words=DATA_HELP,
    options=_options,
)
