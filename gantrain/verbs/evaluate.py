"""``gantrain evaluate RUN``."""

from __future__ import annotations

import logging

from gantrain.config import plain_data, resolve
from gantrain.door import compose
from gantrain.errors import ConfigError, suggest
from gantrain.evaluate import fitting, read, view
from gantrain.pages import options
from gantrain.runtime import Runtime
from gantrain.state import TrainState
from gantrain.summary import table, warned
from gantrain.tracker import write_json
from gantrain.verbs.words import described, run_and_words, same_data, value_of


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
    chosen = [f"dataset={name}"] if name in options("dataset") else []
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
    out = checkpoint.run / f"evaluation-{checkpoint.step:06d}.json"
    write_json(out, {"step": checkpoint.step, **vars(reading)})
    parts = [
        checkpoint.path,
        table(reading.metrics, reading.floors),
        warned(reading.protocol),
        f"result     {out}",
    ]
    print("\n\n".join(str(part) for part in parts if part))
    return 0
