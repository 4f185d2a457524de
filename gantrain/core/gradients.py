"""Gradients: the backward pass of eager play, norms, and derivatives that can be differentiated again."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor

from gantrain.core.judgement import Judgement
from gantrain.errors import Diverged

NETWORKS = ("d", "g")

Output = TypeVar("Output", Tensor, Judgement)
Weights = dict[str, Tensor]


class Derivatives(ABC):
    """Derivatives that can be differentiated again, by the means of eager or of compiled play."""

    @staticmethod
    @abstractmethod
    def by_input(f: Callable[[Tensor], Output], x: Tensor) -> tuple[Output, Tensor]:
        """Return f(x), logits [N], and the gradient of their sum with respect to ``x``, shaped as it."""

    @staticmethod
    @abstractmethod
    def by_weights(loss_of: Callable[[Weights], Tensor], weights: Weights) -> Weights:
        """Return the gradient of a 0-dim loss by each weight; 0 for one that it does not use."""


class Autograd(Derivatives):
    """``torch.autograd``: the faster one while played eagerly; code that is compiled cannot use it twice."""

    @staticmethod
    def by_input(f: Callable[[Tensor], Output], x: Tensor) -> tuple[Output, Tensor]:
        x = x if x.requires_grad else x.detach().requires_grad_(True)
        value = f(x)
        (slope,) = torch.autograd.grad(logit_of(value).sum(), x, create_graph=True)
        return value, slope

    @staticmethod
    def by_weights(loss_of: Callable[[Weights], Tensor], weights: Weights) -> Weights:
        slopes = torch.autograd.grad(
            loss_of(weights), list(weights.values()), create_graph=True, materialize_grads=True
        )
        return dict(zip(weights, slopes, strict=True))


class Functional(Derivatives):
    """``torch.func``: the one that can be compiled, twice differentiated or not."""

    @staticmethod
    def by_input(f: Callable[[Tensor], Output], x: Tensor) -> tuple[Output, Tensor]:
        def total(x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            value = f(x)
            # Only tensors may leave.
            parts = value.present if isinstance(value, Judgement) else {"": value}
            return logit_of(value).sum(), parts

        slope, parts = torch.func.grad(total, has_aux=True)(x)
        return cast(Output, parts[""] if "" in parts else Judgement(**parts)), slope

    @staticmethod
    def by_weights(loss_of: Callable[[Weights], Tensor], weights: Weights) -> Weights:
        slopes: Weights = torch.func.grad(loss_of)(weights)
        return slopes


def logit_of(output: Tensor | Judgement) -> Tensor:
    """Return the logits [N] of what D says."""
    return output.logit if isinstance(output, Judgement) else output


def differentiate(loss: Tensor, weights: Sequence[Tensor], what: str) -> Tensor:
    """Put the gradient of ``loss`` into the weights' ``.grad``, and refuse one that is not finite.

    Args:
        loss: 0-dim, float32.
        weights: Leaves; nothing else receives a gradient, and nothing is updated.
        what: What is trained, for the message: ``d``, ``g``, or a metric's own network.

    Returns:
        The gradient's L2 norm over all weights, 0-dim.

    Raises:
        Diverged: Before anything is updated, when the loss or the gradient is not finite.
    """
    clear_gradients(weights)
    add_gradients(loss, weights)
    norm = gradients_norm(weights)
    # One number, one transfer from the device: a sum is NaN or infinite when any term is.
    if not math.isfinite((norm + loss.detach()).item()):
        raise divergence(what, loss.item(), norm.item())
    return norm


def clear_gradients(weights: Sequence[Tensor]) -> None:
    """Drop the weights' gradients."""
    for weight in weights:
        weight.grad = None


def add_gradients(
    of: Tensor | Sequence[Tensor], weights: Sequence[Tensor], slopes: Sequence[Tensor] | None = None
) -> None:
    """Add the gradient of a loss to the weights' ``.grad``; no other weight costs a multiplication.

    Args:
        of: The loss, 0-dim, or tensors that it depends on.
        weights: Leaves.
        slopes: The gradient of the loss by each of those tensors.
    """
    torch.autograd.backward(of, slopes, inputs=list(weights))
    for weight in weights:
        if weight.grad is None:  # the loss does not use it
            weight.grad = torch.zeros_like(weight)


def gradients_norm(weights: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm of the weights' gradients, 0-dim."""
    return total_norm([weight.grad for weight in weights if weight.grad is not None])


def divergence(what: str, loss: float, norm: float) -> Diverged:
    """Return the error of an update that is not finite: which number it was, and what to do."""
    # A finite loss can have an infinite gradient.
    cause = "gradient" if math.isfinite(loss) else "loss"
    remedy = f"lower optimizer.{what}_lr, add a penalty (penalty=r1), or resume from the last checkpoint"
    return Diverged(
        f"loss/{what}",
        f"the {cause} is not finite (loss {loss:g}, gradient norm {norm:g}), so no update was made",
        remedy if what in NETWORKS else "leave the metric that trains it out of metric.names",
    )


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm of tensors on one device, taken as one vector, 0-dim.

    The sum of ``torch.nn.utils.get_total_norm`` without its sorting by device, which costs a small step 2 %.
    """
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))


def gradient_norm(loss: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm of a loss's gradient, 0-dim; ``.grad`` and the graph are left unchanged."""
    slopes = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return total_norm([slope for slope in slopes if slope is not None])


class Optimizer(Protocol):
    """What ``descend`` needs of an optimizer."""

    weights: list[Tensor]

    def step(self) -> None:
        """Update the weights from their ``.grad``."""


def descend(loss: Tensor, optimizer: Optimizer, what: str) -> Tensor:
    """Differentiate and update at once; return the gradient norm. Raises Diverged as ``differentiate``."""
    norm = differentiate(loss, optimizer.weights, what)
    optimizer.step()
    return norm
