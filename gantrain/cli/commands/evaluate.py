"""``gantrain evaluate RUN``."""

from __future__ import annotations

import logging

from gantrain.cli.arguments import run_and_words, value_of
from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.files import write_json
from gantrain.core.groups import choices
from gantrain.core.run_folder import RunFolder
from gantrain.errors import ConfigError, suggest
from gantrain.reports.text import table, warned
from gantrain.training.device import Runtime
from gantrain.training.evaluate import fitting, read, view
from gantrain.training.restore import described, same_data
from gantrain.training.state import TrainState


def evaluate(argv: list[str]) -> int:
    """Read metrics of a checkpoint and write them to ``evaluation-<step>.json`` in its run."""
    logging.basicConfig(format="%(message)s")
    checkpoint, words = run_and_words("evaluate", argv)
    _, spec = described(checkpoint)
    allowed = ("metric", "device", "dataset.root", "dataset.path")
    for key in words:
        if key not in allowed and key.partition(".")[0] not in ("metric", "device"):
            raise ConfigError(
                key, "does not change an evaluation", suggest(key, [*allowed, "metric.n", "metric.k"])
            )
    given = [f"{key}={value}" for key, value in words.items()]
    plain = checkpoint.config
    name = plain["dataset"]["name"]  # whose YAML may set the suite's protocol
    chosen = [f"dataset={name}"] if name in choices("dataset") else []
    composed = plain_data(
        compose([*chosen, *(word for word in given if word.startswith(("metric", "device")))])
    )
    if "metric" in words:
        plain["metric"] = composed["metric"]
    for key, text in words.items():
        group, _, name = key.partition(".")
        if name:
            plain[group][name] = (
                composed[group][name] if group in ("metric", "device") else value_of(key, text)
            )
        elif group == "device":
            plain["device"] = composed["device"]
    config = resolve(plain)
    same_data(config, spec)
    runtime = Runtime(config.device)
    data = config.dataset.load(config.seed)
    state = TrainState.create(config, data.spec, runtime)
    state.load(checkpoint.tensors, checkpoint.step, checkpoint.path)
    reading = read(fitting(config, data), view(config, data, state, runtime), floors=True)
    out = RunFolder(checkpoint.run).evaluation_file(checkpoint.step)
    write_json(out, {"step": checkpoint.step, **vars(reading)})
    parts = [
        checkpoint.path,
        table(reading.metrics, reading.floors),
        warned(reading.protocol),
        f"result     {out}",
    ]
    print("\n\n".join(str(part) for part in parts if part))
    return 0
