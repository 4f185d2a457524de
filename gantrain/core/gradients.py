"""One optimizer update, and the norms of gradients: the only backward pass in the program."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from gantrain.errors import Diverged

NETWORKS = ("d", "g")


def differentiate(loss: Tensor, optimizer: torch.optim.Optimizer, what: str) -> Tensor:
    """Compute the gradient of ``loss`` for the optimizer's parameters, and refuse one that is not finite.

    Args:
        loss: 0-dim, float32.
        optimizer: Its parameters receive ``.grad``; nothing is updated.
        what: What is trained, for the message: ``d``, ``g``, or a metric's own network.

    Returns:
        The gradient's L2 norm over all parameters, 0-dim.

    Raises:
        Diverged: Before anything is updated, when the loss or the gradient is not finite.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    # One number, one transfer from the device: a sum is NaN or infinite when any term is.
    norm = total_norm([p.grad for p in weights_of(optimizer) if p.grad is not None])
    if not math.isfinite((norm + loss.detach()).item()):
        # Which of the two it was: a finite loss can have an infinite gradient.
        cause = "gradient" if torch.isfinite(loss.detach()) else "loss"
        remedy = f"lower optimizer.{what}_lr, add a penalty (penalty=r1), or resume from the last checkpoint"
        raise Diverged(
            f"loss/{what}",
            f"the {cause} is not finite (loss {loss.item():g}, gradient norm {norm.item():g}), so no update was made",
            remedy if what in NETWORKS else "leave the metric that trains it out of metric.names",
        )
    return norm


def weights_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters that an optimizer updates, in its order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def total_norm(tensors: list[Tensor]) -> Tensor:
    """Return the L2 norm of tensors on one device, taken as one vector, 0-dim.

    The sum of ``torch.nn.utils.get_total_norm`` without its sorting by device, which costs a small step 2 %.
    """
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))


def gradient_norm(loss: Tensor, weights: list[nn.Parameter]) -> Tensor:
    """Return the L2 norm of a loss's gradient, 0-dim; ``.grad`` and the graph are left unchanged."""
    slopes = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return total_norm([slope for slope in slopes if slope is not None])


def differentiable_gradient(loss: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """Return a loss's gradient by each weight, itself differentiable; 0 for a weight that the loss does not use."""
    return torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, what: str) -> Tensor:
    """Differentiate and update at once; return the gradient norm. Raises Diverged as ``differentiate``."""
    norm = differentiate(loss, optimizer, what)
    optimizer.step()
    return norm


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside the block ``network`` gets no weight gradients and updates no spectral norm; gradients pass through."""
    trainable = [p for p in network.parameters() if p.requires_grad]  # others stay frozen
    # Spectral norm updates its singular vectors at each forward pass in train mode.
    spectral = [m for m in network.modules() if isinstance(m, ParametrizationList) and m.training]
    for p in trainable:
        p.requires_grad_(False)
    for m in spectral:
        m.eval()
    try:
        yield
    finally:
        for p in trainable:
            p.requires_grad_(True)
        for m in spectral:
            m.train()
