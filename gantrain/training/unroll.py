"""Unrolled GAN: G's loss is that of D after a few more updates, and is differentiated through them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from gantrain.core.gradients import Derivatives, Weights
from gantrain.core.update_rules import Moments
from gantrain.optimizers.base import OptimizerOptions

TINY = 1e-16  # of a gradient


def unroll(
    weights: Weights,
    loss_of: Callable[[Weights], Tensor],
    k: int,
    lr: float | Tensor,
    derivatives: type[Derivatives],
    rule: OptimizerOptions | None = None,
    moments: Moments | None = None,
) -> Weights:
    """Return D's weights after ``k`` more updates (Metz et al. 2017, eq. 8 to 10).

    They are differentiable through all of these steps, so a loss of a D with them is the surrogate f_k of the paper:
    the gradient with respect to the samples has the usual part, for a fixed D, and the part through D's updates. With
    k = 0 they are ``weights``.

    Args:
        weights: Of D, by name; unchanged.
        loss_of: The loss that the steps descend, 0-dim, of D with the given weights. It is evaluated at each step;
            the paper uses the same batch at every step.
        k: Number of steps, at least 0.
        lr: Learning rate of these steps, at least 0.
        derivatives: Those of eager or of compiled play.
        rule: Which makes the steps, as in the authors' code; None for plain gradient descent.
        moments: Those of the rule before the first step; unchanged.
    """
    # w <- w - lr dL/dw, each step with a graph, so that the samples' effect on D is differentiated too.
    for _ in range(k):
        slopes = derivatives.by_weights(loss_of, weights)
        if rule is None or moments is None:
            weights = {name: weight - lr * slopes[name] for name, weight in weights.items()}
            continue
        # The root of a mean square has no derivative at 0, where a weight is without effect.
        gradients = [slopes[name] + TINY for name in weights]
        after, moments = rule.update(list(weights.values()), gradients, moments, lr)
        weights = dict(zip(weights, after, strict=True))
    return weights
