"""``gantrain resume RUN``."""

from __future__ import annotations

from gantrain.config import resolve
from gantrain.errors import ConfigError, suggest
from gantrain.housekeeping import Session
from gantrain.run import prepare, run
from gantrain.summary import end_table
from gantrain.verbs.words import described, run_and_words, same_data, value_of

# Keys that may differ when a run goes on: they do not change what the finished steps were.
MAY_CHANGE = (
    "train.steps",
    "train.log_every",
    "train.sample_every",
    "train.evaluate_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "optimizer.horizon",
    "dataset.root",
    "dataset.path",
    "dataset.attributes",
    "device.kind",
    "device.index",
    "device.threads",
)


def resume(argv: list[str]) -> int:
    """Go on from a checkpoint in the same folder, up to ``train.steps``."""
    checkpoint, words = run_and_words("resume", argv)
    _, spec = described(checkpoint)
    plain = checkpoint.config
    for key, text in words.items():
        group, _, name = key.partition(".")
        known = name in plain[group] if isinstance(plain.get(group), dict) else group in plain
        if not known:
            raise ConfigError(key, "there is no such key in this run", suggest(key, MAY_CHANGE))
        if key not in MAY_CHANGE:
            remedy = f"only these may change: {', '.join(MAY_CHANGE)}"
            raise ConfigError(key, "would make it another run", remedy)
        plain[group][name] = value_of(key, text)
    config = resolve(plain)
    if checkpoint.step >= config.train.steps:
        done = f"already finished at step {checkpoint.step}"
        more = f"train.steps={2 * checkpoint.step} optimizer.horizon={2 * checkpoint.step}"
        print(f"{checkpoint.run}: {done}; go on with: gantrain resume {checkpoint.run} {more}")
        return 0
    same_data(config, spec)
    command = " ".join(["gantrain resume", *argv])
    result = run(config, checkpoint.run, checkpoint, Session(command), prepare(config))
    print(end_table(result, checkpoint.run))
    return 0
