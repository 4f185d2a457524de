"""Unrolled GAN: G's loss is that of D after a few more updates, and is differentiated through them."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.func import functional_call

from gantrain.core.gradients import differentiable_gradient
from gantrain.training.d_loss import Discriminator, d_loss
from gantrain.training.play import Play
from gantrain.training.state import TrainState


def unrolled_discriminator(
    state: TrainState, real: Tensor, fake: Tensor, y: Tensor | None, j: int, play: Play
) -> Discriminator:
    """Return D after ``train.unroll`` more updates, all on one batch of data and samples.

    Args:
        state: D is left untouched; it must be ``frozen``.
        real: Data, shape [N, ...].
        fake: Samples as D sees them, with their graph, shape [N, ...].
        y: Conditions of both, or None.
        j: Index of the generator update within the step.
        play: Objective, noise, number and learning rate of the unrolled updates.
    """
    # D's noise in these updates is independent of that in its real ones.
    real = play.d_input(real, state.step, f"real unroll{j}")
    lr = state.opt_D.param_groups[0]["lr"] if play.unroll_lr is None else play.unroll_lr

    def loss_of(D: Discriminator) -> Tensor:
        return d_loss(D, real, fake, y, lambda p: play.stream(state.step, f"{p} unroll{j}"), play)[0]

    return unroll(state.D, loss_of, play.unroll, lr)


def unroll(D: nn.Module, loss_of: Callable[[Discriminator], Tensor], k: int, lr: float) -> Discriminator:
    """Return D after ``k`` steps of plain gradient descent (Metz et al. 2017, eq. 8 to 10).

    Its output is differentiable through all of these steps, so a loss of it is the surrogate f_k of the paper: the
    gradient with respect to the samples has the usual part, for a fixed D, and the part through D's updates. With
    k = 0 it is D. The steps are plain gradient descent for any optimizer of D: moments are left out.

    Args:
        D: Unchanged bit for bit: weights, gradients, buffers and flags. Spectral norm keeps its singular vectors
            through the steps when D is ``frozen``.
        loss_of: The loss that the steps descend, 0-dim, of a discriminator called as D is. It is evaluated at each
            step; the paper uses the same batch at every step.
        k: Number of steps, at least 0.
        lr: Learning rate of these steps, at least 0.

    Returns:
        ``unrolled(x, y) -> logits``, shapes as D's.
    """

    def unrolled(x: Tensor, y: Tensor | None) -> Tensor:
        return functional_call(D, weights, (x, y))

    # D's weights as leaves of a separate graph: D itself is never changed.
    weights = {name: weight.detach().requires_grad_(True) for name, weight in D.named_parameters()}
    # w <- w - lr dL/dw, each step with a graph, so that the samples' effect on D is differentiated too.
    for _ in range(k):
        slopes = differentiable_gradient(loss_of(unrolled), list(weights.values()))
        weights = {n: w - lr * slope for (n, w), slope in zip(weights.items(), slopes, strict=True)}
    return unrolled
