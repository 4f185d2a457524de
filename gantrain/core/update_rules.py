"""Update rules of gradient descent as pure functions of tensors; Adam in place too, for networks played eagerly."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Of each weight by name, in the order of the weights; ``step``, the number of updates, is one for all of them.
Moments = dict[str, list[Tensor]]
EPS = 1e-8  # of Adam and RMSprop, as torch's default


def zeros(weights: Sequence[Tensor], *names: str) -> Moments:
    """Return moments of 0, each laid out in memory as its weight."""
    return {name: [torch.zeros_like(weight) for weight in weights] for name in names}


def count(weights: Sequence[Tensor]) -> Moments:
    """Return the number of updates before the first one, 0-dim float32 as torch's optimizers keep it."""
    return {"step": [torch.zeros((), device=weights[0].device if weights else None)]}


def adam(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Moments,
    lr: float | Tensor,
    beta1: float,
    beta2: float,
) -> tuple[list[Tensor], Moments]:
    """Return the weights and moments after one update of Adam (Kingma and Ba 2015, alg. 1)."""
    step = moments["step"][0] + 1
    means, squares, after = [], [], []
    for weight, slope, mean, square in zip(
        weights, gradients, moments["exp_avg"], moments["exp_avg_sq"], strict=True
    ):
        means.append(mean + (1 - beta1) * (slope - mean))
        squares.append(beta2 * square + (1 - beta2) * slope * slope)
        # Both are divided by what a mean that started at 0 lacks.
        root = squares[-1].sqrt() / (1 - beta2**step).sqrt() + EPS
        after.append(weight - lr / (1 - beta1**step) * means[-1] / root)
    return after, {"step": [step], "exp_avg": means, "exp_avg_sq": squares}


@torch.no_grad()
def adam_in_place(
    weights: list[Tensor],
    gradients: list[Tensor],
    moments: Moments,
    lr: float,
    beta1: float,
    beta2: float,
    refused: Tensor | None = None,
) -> None:
    """Update weights and moments by ``adam``, in one kernel; ``refused``, 0-dim, leaves them unchanged where it is 1.

    The kernel is that of ``torch.optim.Adam(fused=True)``, whose first use would import torch's compiler: 2 seconds.
    """
    if not weights:
        return
    (step,) = moments["step"]
    step += 1
    torch._fused_adam_(
        weights,
        gradients,
        moments["exp_avg"],
        moments["exp_avg_sq"],
        [],
        [step] * len(weights),
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=EPS,
        amsgrad=False,
        maximize=False,
        grad_scale=None,
        found_inf=refused,
    )
    if refused is not None:
        step -= refused


def rmsprop(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Moments,
    lr: float | Tensor,
    alpha: float,
) -> tuple[list[Tensor], Moments]:
    """Return the weights and moments after one update of RMSprop (Tieleman and Hinton 2012, lecture 6.5)."""
    pairs = zip(moments["square_avg"], gradients, strict=True)
    squares = [alpha * square + (1 - alpha) * slope * slope for square, slope in pairs]
    after = [
        weight - lr * slope / (square.sqrt() + EPS)
        for weight, slope, square in zip(weights, gradients, squares, strict=True)
    ]
    return after, {"step": [moments["step"][0] + 1], "square_avg": squares}


def sgd(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Moments,
    lr: float | Tensor,
    momentum: float,
) -> tuple[list[Tensor], Moments]:
    """Return the weights and moments after one step of gradient descent with heavy-ball momentum (Polyak 1964)."""
    if momentum:
        buffers = zip(moments["momentum_buffer"], gradients, strict=True)
        gradients = [momentum * buffer + slope for buffer, slope in buffers]
        moments = {"momentum_buffer": list(gradients)}
    return [weight - lr * slope for weight, slope in zip(weights, gradients, strict=True)], moments


class Adam:
    """Adam on a fixed list of weights, updated in place from their ``.grad``: for the networks that metrics train."""

    def __init__(self, weights: Sequence[Tensor], lr: float, beta1: float = 0.9, beta2: float = 0.999):
        self.weights, self.lr, self._betas = list(weights), lr, (beta1, beta2)
        self._moments = count(self.weights) | zeros(self.weights, "exp_avg", "exp_avg_sq")

    def step(self) -> None:
        """Update every weight once. Every weight must have a gradient."""
        slopes = [weight.grad for weight in self.weights if weight.grad is not None]
        adam_in_place(self.weights, slopes, self._moments, self.lr, *self._betas)
