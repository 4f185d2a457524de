"""Unrolled GAN: G's loss is that of D after a few more updates, and is differentiated through them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from gantrain.core.gradients import Derivatives, Weights


def unroll(
    weights: Weights,
    loss_of: Callable[[Weights], Tensor],
    k: int,
    lr: float | Tensor,
    derivatives: type[Derivatives],
) -> Weights:
    """Return D's weights after ``k`` steps of plain gradient descent (Metz et al. 2017, eq. 8 to 10).

    They are differentiable through all of these steps, so a loss of a D with them is the surrogate f_k of the paper:
    the gradient with respect to the samples has the usual part, for a fixed D, and the part through D's updates. With
    k = 0 they are ``weights``. The steps are plain gradient descent for any optimizer of D: moments are left out.

    Args:
        weights: Of D, by name; unchanged.
        loss_of: The loss that the steps descend, 0-dim, of D with the given weights. It is evaluated at each step;
            the paper uses the same batch at every step.
        k: Number of steps, at least 0.
        lr: Learning rate of these steps, at least 0.
        derivatives: Those of eager or of compiled play.
    """
    # w <- w - lr dL/dw, each step with a graph, so that the samples' effect on D is differentiated too.
    for _ in range(k):
        slopes = derivatives.by_weights(loss_of, weights)
        weights = {name: weight - lr * slopes[name] for name, weight in weights.items()}
    return weights
