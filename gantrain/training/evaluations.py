"""The evaluations of a run, whose samples, metrics and floors its processes share."""

from dataclasses import replace

import torch

from gantrain.config.options import Config
from gantrain.core.spec import bounded
from gantrain.datasets.base import Data
from gantrain.distributed.group import Group
from gantrain.metrics.base import Evaluation
from gantrain.metrics.js import of_training_data
from gantrain.metrics.side import Side, to_bytes
from gantrain.tracking.health.case import READ
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.evaluate import compute, evaluation_mode, supported_metrics, view
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.threads import set_threads


class Evaluations:
    """Evaluates the states of a run, in all of its processes at once.

    Attributes:
        metrics: Those of the suite that the run supports.
    """

    def __init__(self, config: Config, data: Data, runtime: Runtime):
        self.metrics = supported_metrics(config, data)
        self._config, self._data, self._runtime = config, data, runtime
        self._has_floors = False

    def __call__(self, state: TrainState) -> tuple[Evaluation, EvaluationResult]:
        """Evaluate a state; the first time with the floors that the rules of health read, the last time with all."""
        evaluation = shared_view(self._config, self._data, state, self._runtime)
        on_training = of_training_data(evaluation)
        is_last = self._config.train.is_over(state.step, state.seconds)
        read = () if self._has_floors else [m.name for m in self.metrics if READ.intersection(m.tags)]
        result = compute(self.metrics, evaluation, is_last, self._runtime.group, read, on_training)
        self._has_floors = True
        return evaluation, result


def evaluate_checkpoint(
    config: Config, data: Data, checkpoint: Checkpoint, group: Group | None = None
) -> EvaluationResult:
    """Return the metrics of a checkpoint, with floors.

    Args:
        config: Of its run, which may have another suite and device.
        data: Of the config.
        checkpoint: Of the run.
        group: The processes that share the work, with equal arguments; None for this one alone.
    """
    runtime = Runtime(config.device, group)
    with runtime.settings():
        state = TrainState.create(config, data.spec, runtime)
        set_threads(config, data, state, checkpoint.environment)
        state.load(checkpoint.tensors, checkpoint.step, checkpoint.path)
        evaluation = shared_view(config, data, state, runtime)
        return compute(supported_metrics(config, data), evaluation, final=True, group=runtime.group)


def shared_view(config: Config, data: Data, state: TrainState, runtime: Runtime) -> Evaluation:
    """Return the evaluation of a state, which has its samples already if several processes play the run."""
    evaluation = view(config, data, state, runtime)
    if runtime.group.size == 1:
        return evaluation
    runtime.group.wait()  # for the leader's save of a last step, which may take longer than tensors are waited for
    with evaluation_mode(evaluation):
        return replace(evaluation, substitute=samples(evaluation, runtime.group))


def samples(evaluation: Evaluation, group: Group) -> Side:
    """Return ``evaluation.fakes``, of which each process generates every n-th chunk and receives the others.

    The chunks are those of one process, so that every sample has the same bits.
    """
    y, size, shape = evaluation.reals.y, evaluation.chunk, evaluation.data.spec.shape
    drawn = evaluation.generate(evaluation.game.G, y, "evaluate")
    chunks = torch.arange(len(drawn)).split(size)
    dtype = torch.uint8 if drawn.is_lazy else torch.float32
    own = torch.zeros(-(-len(chunks) // group.size), size, *shape, dtype=dtype, device=evaluation.device)
    for place, rows in zip(own, chunks[group.rank :: group.size], strict=False):
        x = drawn.read(rows)
        place[: len(rows)] = to_bytes(x) if drawn.is_lazy else bounded(x)
    of_ranks = group.gather(own)
    parts = [of_ranks[i % group.size][i // group.size, : len(rows)] for i, rows in enumerate(chunks)]
    return Side.of(torch.cat(parts), y)
