"""The training loop, as the paper prints it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gantrain.config import Config
from gantrain.objectives.base import Logits
from gantrain.runtime import Batches, Runtime, stream
from gantrain.state import TrainState
from gantrain.step import differentiate, frozen, wrong_conditions

Report = Callable[[dict[str, Tensor]], None]


def train(
    state: TrainState,
    batches: Batches,
    config: Config,
    runtime: Runtime,
    report: Report,
    housekeeping: Callable[[TrainState], None],
) -> None:
    """Play the game of Goodfellow et al. 2014, Algorithm 1: ``d_steps`` discriminator updates, then one of G.

    Every discriminator update has fresh data and fresh latents. With ``update=simultaneous`` G's gradient is taken
    before the last of D's updates is made.

    Args:
        state: Changed in place, up to ``train.steps``.
        batches: Batch by number.
        config: The run.
        runtime: Device and precision.
        report: Receives 0-dim tensors by tag.
        housekeeping: Called once after each step; logs, samples, evaluates and saves.

    Raises:
        Diverged: Before an update that is not finite.
    """
    k = config.train.d_steps
    simultaneous = config.train.update == "simultaneous"
    while state.step < config.train.steps:
        state.set_rates(config.optimizer)
        for i in range(k):
            real, y = batches(state.step * k + i)
            report(d_step(state, real, y, i, config, runtime))
            if not (simultaneous and i == k - 1):
                state.opt_D.step()
        report(g_step(state, y, len(real), config, runtime))
        if simultaneous:
            state.opt_D.step()
        state.opt_G.step()
        state.update_ema(config.train.ema)
        state.step += 1
        housekeeping(state)


def d_step(
    state: TrainState, real: Tensor, y: Tensor | None, i: int, config: Config, runtime: Runtime
) -> dict[str, Tensor]:
    """Differentiate D's loss on one batch; the caller makes the update.

    Args:
        state: G is left untouched.
        real: Data, shape [N, ...].
        y: Its labels [N], which the fakes are asked for too, or None.
        i: Which of the step's discriminator updates this is.
        config: Objective and penalty.
        runtime: Device and precision.
    """
    objective, penalty = config.objective, config.penalty
    z = latents(state, len(real), f"d{i}", config, runtime)
    with torch.no_grad(), runtime.autocast():
        fake = state.G(z, y)
    wrong = None
    if objective.mismatch_weight > 0 and y is not None:
        wrong = wrong_conditions(y, config.spec.classes, stream(config.seed, state.step, f"wrong{i}"))
    with runtime.autocast():
        logits = Logits(
            real=state.D(real, y).float(),
            fake=state.D(fake, y).float(),
            mismatched=None if wrong is None else state.D(real, wrong).float(),
        )
    loss = objective.d_loss(logits)
    tags = {"loss/d": loss, "logits/real": logits.real.mean(), "logits/fake": logits.fake.mean()}
    if logits.mismatched is not None:
        tags["logits/mismatched"] = logits.mismatched.mean()
    if penalty.active:
        tags["loss/penalty"] = cost = penalty(state.D, real, fake.float(), y)
        loss = loss + cost
    tags["gradient/d"] = differentiate(loss, state.opt_D, "d")
    return tags


def g_step(state: TrainState, y: Tensor | None, n: int, config: Config, runtime: Runtime) -> dict[str, Tensor]:
    """Differentiate G's loss on ``n`` fresh samples asked for by ``y``; D gets no gradients, the caller updates G."""
    z = latents(state, n, "g", config, runtime)
    with frozen(state.D):
        with runtime.autocast():
            fake = state.D(state.G(z, y), y).float()
        loss = config.objective.g_loss(fake)
        norm = differentiate(loss, state.opt_G, "g")
    return {"loss/g": loss, "gradient/g": norm}


def latents(state: TrainState, n: int, purpose: str, config: Config, runtime: Runtime) -> Tensor:
    """Draw the latents [n, z_dim] of one update: a function of the seed, the step and the purpose."""
    return config.model.latents(n, stream(config.seed, state.step, purpose)).to(runtime.device)
