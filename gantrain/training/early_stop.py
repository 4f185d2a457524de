"""Fewer updates of D in a step, once its held-out loss no longer falls: ``train.d_gain``."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.datasets.base import Data
from gantrain.objectives.base import Logits
from gantrain.training.batches import visible_split
from gantrain.training.draws import Draw, Inputs
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

HELD_OUT_SAMPLES = 1024  # at most, to evaluate D's loss once

Batch = tuple[Tensor, Tensor | None]


def held_out_batch(data: Data, config: Config, runtime: Runtime) -> Batch:
    """Return the held-out samples and conditions that ``train.d_gain`` evaluates D on: whole packs, at most 1,024."""
    count = min(HELD_OUT_SAMPLES, len(data.holdout)) // config.model.packing * config.model.packing
    return visible_split(data.holdout, config).take(torch.arange(count), runtime.device)


def update_until_no_gain(
    of_d: Iterator[Inputs],
    state: TrainState,
    min_gain: float,
    held_out: Batch,
    play: Play,
    report: Callable[[dict[str, Tensor]], None],
) -> Iterator[Inputs]:
    """Yield the inputs of D's updates in a step, until one update lowers the held-out loss by less than ``min_gain``.

    Args:
        of_d: The inputs of all updates, at least one.
        state: The caller updates D between one yield and the next.
        min_gain: In the unit of D's loss.
        held_out: As ``held_out_batch``.
        play: Objective, seed and precision.
        report: Receives the number of updates, ``schedule/d_steps``.
    """
    # Evaluated before the first update, so that its gain counts too.
    before, count = held_out_loss(state, held_out, play), 0
    for inputs in of_d:
        yield inputs
        count += 1
        after = held_out_loss(state, held_out, play)
        if before - after < min_gain:
            break
        before = after
    report({"schedule/d_steps": torch.tensor(float(count))})


@torch.no_grad()
def held_out_loss(state: TrainState, held_out: Batch, play: Play) -> float:
    """Return D's loss on held-out data and fakes, without noise; the latents are the same throughout a step."""
    real, y = held_out
    # Keyed by the step alone, so that successive losses differ only by D.
    z = Draw(play, state.G, state.D, state.step).held_out(len(real))
    with play.autocast():
        fake = state.G(z, y).float()
        logits = Logits(real=state.D(real, y).float(), fake=state.D(fake, y).float())
    return float(play.objective.d_loss(logits))
