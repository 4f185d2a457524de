"""The updates of D, of G and of a baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gantrain.config.options import Config
from gantrain.core.gradients import differentiate, frozen, gradient_norm
from gantrain.core.random import stream
from gantrain.objectives.base import Baseline, Logits, Targets
from gantrain.training.device import Runtime
from gantrain.training.state import TrainState
from gantrain.training.unroll import Judge, unrolled

Draw = Callable[[str], torch.Generator]


def update_d(state: TrainState, config: Config) -> None:
    """Make D's update from the gradient it has, and put its weights back where the penalty wants them."""
    state.opt_D.step()
    config.penalty.project(state.D)


def d_step(
    state: TrainState, real: Tensor, y: Tensor | None, i: int, config: Config, runtime: Runtime
) -> dict[str, Tensor]:
    """Differentiate D's loss on one batch; the caller makes the update.

    Args:
        state: G's weights are left untouched.
        real: Data, shape [N, ...].
        y: Its labels [N], which the fakes are asked for too, or None.
        i: Which of the step's discriminator updates this is.
        config: Objective, penalty and noise.
        runtime: Device and precision.
    """
    noise = config.noise

    def draw(purpose: str) -> torch.Generator:
        return stream(config.seed, state.step, f"{purpose}{i}")

    z = state.G.latents(len(real), draw("d")).to(runtime.device)
    with torch.no_grad(), runtime.autocast():
        fake = state.G(z, y).float()
    real = noise.perturb(real, state.step, lambda: draw("noise real"))
    fake = noise.perturb(fake, state.step, lambda: draw("noise fake"))
    loss, logits = d_loss(state.D, real, fake, y, draw, config, runtime)
    tags = {"loss/d": loss, "logits/real": logits.real.mean(), "logits/fake": logits.fake.mean()}
    if logits.mismatched is not None:
        tags["logits/mismatched"] = logits.mismatched.mean()
    penalty = config.penalty.at(state.step, config.optimizer.horizon)
    if penalty is not None:
        tags["loss/penalty"] = cost = penalty(state.D, real, fake, y, draw("penalty"))
        loss = loss + cost
    tags["gradient/d"] = differentiate(loss, state.opt_D, "d")
    return tags


def d_loss(
    D: Judge, real: Tensor, fake: Tensor, y: Tensor | None, draw: Draw, config: Config, runtime: Runtime
) -> tuple[Tensor, Logits]:
    """Return what D minimises but for its penalty, 0-dim, and its logits.

    Args:
        D: The discriminator, or what it would become.
        real: Data as D sees it, shape [N, ...].
        fake: Samples as D sees them, shape [N, ...].
        y: Conditions of both, or None.
        draw: Source of wrong conditions and of labels' noise, by purpose.
        config: Objective and noise.
        runtime: Device and precision.
    """
    objective, noise = config.objective, config.noise
    wrong = None
    if objective.mismatch_weight > 0 and y is not None:
        wrong = wrong_conditions(y, config.spec.classes, draw("wrong"))
    with runtime.autocast():
        logits = Logits(
            real=D(real, y).float(),
            fake=D(fake, y).float(),
            mismatched=None if wrong is None else D(real, wrong).float(),
        )
    if not noise.on_labels:
        return objective.d_loss(logits), logits
    labels = [noise.targets(kind, len(real), draw(f"label {kind}")).to(real) for kind in (True, False)]
    return objective.d_loss(logits, Targets(*labels)), logits


def g_step(
    state: TrainState, real: Tensor, y: Tensor | None, j: int, config: Config, runtime: Runtime
) -> dict[str, Tensor]:
    """Differentiate G's loss on fresh samples; D gets no gradients, the caller updates G.

    Args:
        state: D is left untouched.
        real: Data, shape [N, ...], as many as there will be samples; seen by games whose G is judged beside them.
        y: Labels [N] that the samples are asked for, or None.
        j: Which of the step's generator updates this is.
        config: Objective, noise and model.
        runtime: Device and precision.
    """
    objective, noise = config.objective, config.noise
    z = state.G.latents(len(real), stream(config.seed, state.step, f"g{j}")).to(runtime.device)
    with frozen(state.D):
        with runtime.autocast():
            fake = state.G(z, y).float()
            fake = noise.perturb(fake, state.step, lambda: stream(config.seed, state.step, f"noise g{j}"))
        D: Judge = foreseen(state, real, fake, y, j, config, runtime) if config.train.unroll else state.D
        if objective.g_sees_real:  # G is judged beside data as D knows them
            real = noise.perturb(
                real, state.step, lambda: stream(config.seed, state.step, f"noise g real{j}")
            )
        with runtime.autocast():
            judged = D(fake, y).float()
            beside = D(real, y).float() if objective.g_sees_real else None
        loss = objective.g_loss(judged, beside)
        tags = {"loss/g": loss}
        if config.train.compare_gradients:
            weights = list(state.G.parameters())
            tags["gradient/g_minimax"] = gradient_norm(-softplus(judged).mean(), weights)
            tags["gradient/g_non_saturating"] = gradient_norm(softplus(-judged).mean(), weights)
        tags["gradient/g"] = differentiate(loss, state.opt_G, "g")
    if state.G_ema.has_batch_stats:
        with torch.no_grad(), runtime.autocast():
            state.G_ema(z, y)  # moves its own batch statistics
    return tags


def foreseen(
    state: TrainState, real: Tensor, fake: Tensor, y: Tensor | None, j: int, config: Config, runtime: Runtime
) -> Judge:
    """Return D as ``train.unroll`` more updates would make it, all on this batch of data and these samples.

    Args:
        state: D is left untouched; it is to be ``frozen``.
        real: Data, shape [N, ...].
        fake: Samples with their graph and noise, shape [N, ...].
        y: Conditions of both, or None.
        j: Which of the step's generator updates this is.
        config: Objective, noise and rate.
        runtime: Device and precision.
    """
    options = config.train

    def draw(purpose: str) -> torch.Generator:
        return stream(config.seed, state.step, f"{purpose} unroll{j}")

    real = config.noise.perturb(real, state.step, lambda: draw("noise real"))
    rate = state.opt_D.param_groups[0]["lr"] if options.unroll_lr is None else options.unroll_lr
    return unrolled(
        state.D, lambda D: d_loss(D, real, fake, y, draw, config, runtime)[0], options.unroll, rate
    )


def baseline_step(
    state: TrainState, real: Tensor, y: Tensor | None, j: int, config: Config, runtime: Runtime
) -> dict[str, Tensor]:
    """Differentiate a baseline's loss on one batch; the caller updates G. Arguments as ``g_step``."""
    objective = config.objective
    assert isinstance(objective, Baseline)  # a game's G is moved by ``g_step``
    latents = state.G.latents(len(real), stream(config.seed, state.step, f"g{j}")).to(runtime.device)
    with runtime.autocast():
        loss = objective.loss(state.G, real, y, latents)
    return {"loss/g": loss, "gradient/g": differentiate(loss, state.opt_G, "g")}


def wrong_conditions(y: Tensor, classes: int, generator: torch.Generator) -> Tensor | None:
    """Return for each condition another one, uniform over the others: never the right one by accident.

    Args:
        y: Right classes, shape [N], int64; or conditions of more numbers, shape [N, K].
        classes: How many classes there are, at least 2; for conditions of more numbers the others are those that
            differ in this batch.
        generator: On the CPU.

    Returns:
        Shaped as ``y``; None for a batch in which all conditions of more numbers are the same.
    """
    if y.dim() == 1:
        return (y + torch.randint(1, classes, y.shape, generator=generator).to(y.device)) % classes
    kinds, which = torch.unique(y.cpu(), dim=0, return_inverse=True)
    if len(kinds) == 1:
        return None
    return kinds[(which + torch.randint(1, len(kinds), which.shape, generator=generator)) % len(kinds)].to(
        y.device
    )
