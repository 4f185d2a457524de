"""The updates of D, of G and of a baseline."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gantrain.core.gradients import differentiate, frozen, gradient_norm
from gantrain.objectives.base import Baseline
from gantrain.training.d_loss import d_loss
from gantrain.training.play import Play
from gantrain.training.state import TrainState
from gantrain.training.unroll import unrolled_discriminator


def d_step(state: TrainState, real: Tensor, y: Tensor | None, i: int, play: Play) -> dict[str, Tensor]:
    """Differentiate D's loss on one batch; the caller applies ``update_d``.

    Args:
        state: G is left untouched.
        real: Data, shape [N, ...].
        y: Its conditions, also those of the fakes, or None.
        i: Index of the discriminator update within the step.
        play: The game.

    Returns:
        0-dim tensors by tag.
    """

    def draw(purpose: str) -> torch.Generator:
        return play.stream(state.step, f"{purpose}{i}")

    # Fakes without a graph: nothing of this reaches G.
    z = state.G.latents(len(real), draw("d")).to(play.device)
    with torch.no_grad(), play.autocast():
        fake = state.G(z, y).float()
    real = play.d_input(real, state.step, f"real{i}")
    fake = play.d_input(fake, state.step, f"fake{i}")

    # D's loss, plus the penalty where one is due.
    loss, logits = d_loss(state.D, real, fake, y, draw, play)
    # Tags hold tensors on the device: reading them here would wait for it.
    tags = {"loss/d": loss, "logits/real": logits.real.mean(), "logits/fake": logits.fake.mean()}
    if logits.mismatched is not None:
        tags["logits/mismatched"] = logits.mismatched.mean()
    penalty = play.penalty.for_step(state.step, play.horizon)
    if penalty is not None:
        tags["loss/penalty"] = cost = penalty(state.D, real, fake, y, draw("penalty"))
        loss = loss + cost
    tags["gradient/d"] = differentiate(loss, state.opt_D, "d")
    return tags


def update_d(state: TrainState, play: Play) -> None:
    """Apply D's gradient, then project its weights onto the penalty's constraint (weight clipping)."""
    state.opt_D.step()
    play.penalty.project(state.D)


def g_step(state: TrainState, real: Tensor, y: Tensor | None, j: int, play: Play) -> dict[str, Tensor]:
    """Differentiate G's loss on fresh samples; D gets no gradients, the caller updates G.

    Args:
        state: D is left untouched.
        real: Data, shape [N, ...], as many as there will be samples; used by relativistic losses and by unrolling.
        y: Conditions of the samples, or None.
        j: Index of the generator update within the step.
        play: The game.

    Returns:
        0-dim tensors by tag.
    """
    z = state.G.latents(len(real), play.stream(state.step, f"g{j}")).to(play.device)
    # D's weights need no gradients here; the loss still reaches G through D.
    with frozen(state.D):
        with play.autocast():
            fake = play.d_input(state.G(z, y).float(), state.step, f"g{j}")
        D = unrolled_discriminator(state, real, fake, y, j, play) if play.unroll else state.D
        relativistic = play.objective.g_sees_real
        if relativistic:
            real = play.d_input(real, state.step, f"g real{j}")
        with play.autocast():
            fake_logits = D(fake, y).float()
            real_logits = D(real, y).float() if relativistic else None
        loss = play.objective.g_loss(fake_logits, real_logits)
        tags = {"loss/g": loss}
        if play.compare_gradients:
            tags |= gradient_comparison(state, fake_logits)
        tags["gradient/g"] = differentiate(loss, state.opt_G, "g")
    if state.G_ema.has_batch_stats:  # a pass in train mode moves the average's own batch statistics
        with torch.no_grad(), play.autocast():
            state.G_ema(z, y)
    return tags


def gradient_comparison(state: TrainState, fake_logits: Tensor) -> dict[str, Tensor]:
    """Return the norms of G's gradient for both generator losses of the cross-entropy game, by tag."""
    weights = list(state.G.parameters())
    return {
        "gradient/g_minimax": gradient_norm(-softplus(fake_logits).mean(), weights),
        "gradient/g_non_saturating": gradient_norm(softplus(-fake_logits).mean(), weights),
    }


def baseline_step(state: TrainState, real: Tensor, y: Tensor | None, j: int, play: Play) -> dict[str, Tensor]:
    """Differentiate a baseline's loss on one batch; the caller updates G. Arguments as ``g_step``."""
    assert isinstance(play.objective, Baseline)  # a game's G is updated by ``g_step``
    z = state.G.latents(len(real), play.stream(state.step, f"g{j}")).to(play.device)
    with play.autocast():
        loss = play.objective.loss(state.G, real, y, z)
    return {"loss/g": loss, "gradient/g": differentiate(loss, state.opt_G, "g")}
