"""What a penalty is: a cost on D's gradients or weights, added to its loss."""

from __future__ import annotations

from torch import Tensor, nn


class Penalty:
    """A cost on D for one discriminator update.

    Attributes:
        needs_input_gradient: True when it differentiates D by its input; D must then treat samples one by one.
    """

    active: bool = True

    def __call__(self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None) -> Tensor:
        """Return the cost, 0-dim float32.

        Args:
            D: The discriminator, ``D(x, y)`` to logits [N].
            real: Data, shape [N, ...].
            fake: Samples without a graph, shape [N, ...].
            y: Conditions of both, or None.
        """
        raise NotImplementedError
