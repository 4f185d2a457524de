"""The training loop: Algorithm 1 of Goodfellow et al. 2014."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.gradients import frozen
from gantrain.core.random import stream
from gantrain.objectives.base import Logits
from gantrain.training.batches import Batches
from gantrain.training.device import Runtime
from gantrain.training.state import TrainState
from gantrain.training.updates import baseline_step, d_step, g_step, update_d

Report = Callable[[dict[str, Tensor]], None]


def train(
    state: TrainState,
    batches: Batches,
    config: Config,
    runtime: Runtime,
    report: Report,
    housekeeping: Callable[[TrainState], None],
    held: tuple[Tensor, Tensor | None] | None = None,
) -> None:
    """Play the game of Goodfellow et al. 2014, Algorithm 1: ``d_steps`` discriminator updates, then one of G.

    Every discriminator update has fresh data and fresh latents. With ``update=simultaneous`` G's gradient is taken
    before the last of D's updates is made, so both players answer the same opponent. A baseline has no D: its steps
    are descents of G alone.

    Args:
        state: Changed in place, until the budget is used up: ``train.steps``, ``images`` or ``seconds``.
        batches: Batch by number.
        config: The run.
        runtime: Device and precision.
        report: Receives 0-dim tensors by tag.
        housekeeping: Called once after each step; keeps the time, logs, samples, evaluates and saves.
        held: Held-out data and their conditions, which ``d_gain`` reads.

    Raises:
        Diverged: Before an update that is not finite.
    """
    has_game, simultaneous = config.objective.has_game, config.train.update == "simultaneous"
    descend_g = g_step if has_game else baseline_step
    while not config.train.over(state.step, state.seconds):
        state.set_rates(config.optimizer)
        if has_game:
            real, y = inner_loop(state, batches, config, runtime, report, held)
        else:
            real, y = batches(state.step)
        for j in range(config.train.g_steps):
            report(descend_g(state, real, y, j, config, runtime))
            if simultaneous:
                update_d(state, config)
            state.opt_G.step()
        state.update_ema(config.train.ema)
        state.step += 1
        housekeeping(state)


def inner_loop(
    state: TrainState,
    batches: Batches,
    config: Config,
    runtime: Runtime,
    report: Report,
    held: tuple[Tensor, Tensor | None] | None,
) -> tuple[Tensor, Tensor | None]:
    """Update D ``d_steps`` times, or fewer where one gains less than ``d_gain``; return the last batch.

    With ``update=simultaneous`` the last update is left to the caller.
    """
    k, gain = config.train.d_steps, config.train.d_gain
    before = held_out_loss(state, held, config, runtime) if held and gain is not None else 0.0
    for i in range(k):
        real, y = batches(state.d_updates)
        report(d_step(state, real, y, i, config, runtime))
        state.d_updates += 1
        if not (config.train.update == "simultaneous" and i == k - 1):
            update_d(state, config)
        if held and gain is not None:
            after = held_out_loss(state, held, config, runtime)
            if before - after < gain:
                break
            before = after
    if gain is not None:
        report({"schedule/d_steps": torch.tensor(float(i + 1))})
    return real, y


@torch.no_grad()
def held_out_loss(
    state: TrainState, held: tuple[Tensor, Tensor | None], config: Config, runtime: Runtime
) -> float:
    """Return D's loss on held-out data and fakes, without noise; within a step always the same ones."""
    real, y = held
    z = state.G.latents(len(real), stream(config.seed, state.step, "held out")).to(runtime.device)
    with frozen(state.D), runtime.autocast():
        fake = state.G(z, y).float()
        logits = Logits(real=state.D(real, y).float(), fake=state.D(fake, y).float())
    return float(config.objective.d_loss(logits))
