"""Layers that several models share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec

WORD = 16  # numbers that stand for a word


class Condition(nn.Module):
    """From conditions to numbers, [N, width]: a class's row of 0 and 1, a vector as it is, the mean of words' vectors.

    The order of words is not seen.

    Attributes:
        width: Numbers that stand for a condition; 0 where there is none.
    """

    def __init__(self, spec: Spec, seen: bool = True):
        super().__init__()
        self.words: nn.Embedding | None = None
        # A label of which each channel shows a part is written in that many digits, not as one of all their products.
        self.base = spec.channel_classes or spec.classes
        self.digits = spec.shape[0] if spec.channel_classes else 1
        self.width = self.digits * self.base if seen else 0
        if seen and spec.given:
            self.width = spec.given.width
        if seen and spec.given and spec.given.words:
            self.words, self.width = nn.Embedding(len(spec.given.names) + 1, WORD, padding_idx=0), WORD

    def forward(self, y: Tensor | None, like: Tensor) -> Tensor:
        if not self.width or y is None:
            return like.new_zeros(like.shape[0], 0)  # not len(), which an export takes for a constant
        if self.words is not None:
            return self.words(y).sum(1) / (y > 0).sum(1, keepdim=True).clamp(min=1)
        if y.dim() == 2:
            return y.to(like)
        digits = [y // self.base**place % self.base for place in reversed(range(self.digits))]
        return nn.functional.one_hot(torch.stack(digits, 1), self.base).flatten(1).to(like)


class ConditionalNorm(nn.Module):
    """Batch normalisation whose gain and offset the condition decides (Dumoulin et al. 2017; de Vries et al. 2017).

    Args:
        channels: Of the input [N, channels] or [N, channels, H, W].
        width: Numbers that stand for a condition.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.mean: Tensor
        self.var: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))
        self.affine = nn.Linear(width, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.1)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        x = nn.functional.batch_norm(x, self.mean, self.var, training=self.training)
        gain, offset = self.affine(e).reshape(x.shape[0], -1, *[1] * (x.dim() - 2)).chunk(2, 1)
        return x * (1 + gain) + offset


class Head(nn.Module):
    """From D's features phi [N, d] to logits [N]: linear, and for a condition the product with its own vector.

    The projection is that of Miyato and Koyama 2018, eq. 3.

    Args:
        features: d.
        width: Numbers that stand for a condition to project on; 0 for none.
        minibatch_std: Append the mean over features of their standard deviation in the batch.
    """

    def __init__(self, features: int, width: int, minibatch_std: bool):
        super().__init__()
        self.minibatch_std = minibatch_std
        self.linear = nn.Linear(features + minibatch_std, 1)
        self.project = nn.Linear(width, features, bias=False) if width else None

    def forward(self, phi: Tensor, e: Tensor) -> Tensor:
        spread = phi.std(0, unbiased=False).mean().expand(len(phi), 1) if self.minibatch_std else phi[:, :0]
        logits = self.linear(torch.cat([phi, spread], 1)).squeeze(1)
        return logits if self.project is None else logits + (self.project(e) * phi).sum(1)


class PixelNorm(nn.Module):
    """Divide each pixel by its root mean square over channels (Karras et al. 2018, sec. 4.2); couples no samples."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
