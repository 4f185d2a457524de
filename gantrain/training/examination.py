"""The examination of a checkpoint: every detector of health, also those that are too slow to run while it trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gantrain.config.options import Config
from gantrain.core.run_folder import RunFolder
from gantrain.datasets.base import Data
from gantrain.metrics.js import of_training_data
from gantrain.metrics.suite import Suite
from gantrain.tracking.health.check import Health
from gantrain.tracking.health.finding import Finding
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.evaluate import compute, run_spec, view, why_unsupported
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.threads import set_threads
from gantrain.training.vitals import VitalSigns

# What the detectors read, the slowest last: each trains a classifier, or compares with all training data.
METRICS = ["js", "prdc", "modes", "nearest", "gan_test", "class_modes", "class_balance", "leak"]
SAMPLES = 1000  # whose signs are read


@dataclass(frozen=True)
class Examination:
    """What the detectors say of a checkpoint.

    Attributes:
        findings: All of them, the surest first.
        metrics: The metrics that they read.
        blind_spots: What they could not see, a line each.
    """

    findings: list[Finding]
    metrics: list[str]
    blind_spots: list[str]


def examine(config: Config, data: Data, checkpoint: Checkpoint) -> Examination:
    """Return what all detectors say of a checkpoint of a run, each by one reading."""
    run = run_spec(config, data)
    known = Suite.complete()(names=METRICS).build()
    supported = [metric.name for metric in known if why_unsupported(metric, run) is None]
    config = replace(config, metric=replace(config.metric, names=supported))
    metrics = config.metric.build()
    runtime = Runtime(config.device)
    with runtime.settings():
        state = TrainState.create(config, data.spec, runtime)
        set_threads(config, data, state, checkpoint.environment)
        state.load(checkpoint.tensors, checkpoint.step, checkpoint.path)
        state.seconds = checkpoint.seconds
        evaluation = view(config, data, state, runtime)
        result = compute(metrics, evaluation, final=True, on_training=of_training_data(evaluation))
        latest = {
            tag: value
            for row in RunFolder(checkpoint.run).history
            if row["step"] <= checkpoint.step
            for tag, value in row.items()
            if tag != "step" and value is not None
        }
        signs = VitalSigns(config, data, metrics, runtime)
        vitals = signs.measure(state, latest | result.metrics, result)
        vitals = replace(vitals, signs=signs.signs(state, SAMPLES))
    health = Health(signs.subject)
    health.load(checkpoint.health)
    return Examination(health.all_findings(vitals), supported, health.blind_spots())
