"""Unrolled GAN: G is judged by the D that would come of a few more updates, and sees how it bends them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.func import functional_call

from gantrain.core.gradients import differentiable_gradient

Judge = Callable[[Tensor, Tensor | None], Tensor]


def unrolled(D: nn.Module, loss_of: Callable[[Judge], Tensor], k: int, rate: float) -> Judge:
    """Return D as it is after ``k`` steps of plain gradient descent (Metz et al. 2017, eq. 8 to 10).

    What it says is differentiable through all of these steps, so a loss read from it is the surrogate f_k of the
    paper: its gradient by the samples has the usual part, for a D that stands still, and the part by which the
    samples move D. With k = 0 it is D. The steps are plain ones whatever rule D is trained by: moments are left out.

    Args:
        D: Left bit for bit as it is: weights, gradients, buffers and flags. Spectral norm keeps its singular vectors
            through the steps when D is ``frozen``.
        loss_of: What the steps descend, 0-dim, of a discriminator that is called as D is. Each step asks it anew;
            the paper shows every step the same batch.
        k: Steps, at least 0.
        rate: Learning rate of these steps, at least 0.

    Returns:
        ``judge(x, y) -> logits``, shapes as D's.
    """

    def judge(x: Tensor, y: Tensor | None) -> Tensor:
        return functional_call(D, weights, (x, y))

    weights = {name: weight.detach().requires_grad_(True) for name, weight in D.named_parameters()}
    for _ in range(k):
        slopes = differentiable_gradient(loss_of(judge), list(weights.values()))
        weights = {n: w - rate * slope for (n, w), slope in zip(weights.items(), slopes, strict=True)}
    return judge
