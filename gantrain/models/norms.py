"""Normalisation of layers and of weights: batch norm, by the condition or not, pixel norm, spectral norm."""

from __future__ import annotations

from types import UnionType

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from gantrain.core.spectral_norm import add_spectral_norm

D_NORMS = ("none", "batch", "layer")


class BatchNorm(nn.Module):
    """Batch normalisation with a gain and an offset for each channel (Ioffe and Szegedy 2015, alg. 1).

    Args:
        channels: Of the input [N, channels] or [N, channels, H, W].
        has_running: Whether eval mode normalises by running means of the statistics. Without them each batch is
            normalised by itself in both modes, as D's must be: its data and its samples have different statistics.
        is_affine: Whether there are gain and offset.
    """

    mean: Tensor | None
    var: Tensor | None

    def __init__(self, channels: int, has_running: bool = True, is_affine: bool = True):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels) if has_running else None)
        self.register_buffer("var", torch.ones(channels) if has_running else None)
        self.weight = nn.Parameter(torch.ones(channels)) if is_affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if is_affine else None

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        by_batch = self.training or self.mean is None
        return batch_norm(x, self.mean, self.var, self.weight, self.bias, training=by_batch)


class ConditionalBatchNorm(BatchNorm):
    """Batch normalisation whose gain and offset depend on the condition (Dumoulin et al. 2017; de Vries et al. 2017).

    Args:
        channels: Of the input [N, channels] or [N, channels, H, W].
        width: Numbers in the embedding of a condition.
    """

    def __init__(self, channels: int, width: int):
        super().__init__(channels, is_affine=False)
        self.affine = nn.Linear(width, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.1)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        x = super().forward(x)
        # [N, 2 C] to gain and offset [N, C, 1, 1], or [N, C] for vectors
        gain, offset = self.affine(e).reshape(x.shape[0], -1, *[1] * (x.dim() - 2)).chunk(2, 1)
        return x * (1 + gain) + offset


class PixelNorm(nn.Module):
    """Divide each pixel by its root mean square over channels (Karras et al. 2018, sec. 4.2); couples no samples."""

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class NoNorm(nn.Identity):
    """The absence of a normalisation."""

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        return x


def g_norm(kind: str, channels: int, width: int) -> nn.Module:
    """Return a normalisation of G's layers, called with features [N, channels, ...] and embedded conditions [N, width].

    Args:
        kind: ``none``, ``pixel``, ``batch`` or ``conditional_batch``.
        channels: Of the features.
        width: Numbers in the embedding of a condition.
    """
    if kind == "conditional_batch":
        return ConditionalBatchNorm(channels, width)
    return {"none": NoNorm, "pixel": PixelNorm}[kind]() if kind != "batch" else BatchNorm(channels)


def d_norm(kind: str, channels: int) -> nn.Module:
    """Return one of ``D_NORMS`` for features [N, channels] or [N, channels, H, W] of D.

    Layer norm is over a sample's channels and pixels, with a gain and an offset for each channel: it couples no
    samples, and so takes the place of batch norm beside a gradient penalty (Gulrajani et al. 2017, sec. 4).
    """
    if kind == "none":
        return nn.Identity()
    return nn.GroupNorm(1, channels) if kind == "layer" else BatchNorm(channels, has_running=False)


KINDS = BatchNorm | nn.modules.batchnorm._BatchNorm  # this package's and torch's


def has_batch_norm(network: nn.Module) -> bool:
    """Return whether a network has batch norm, with running statistics or without."""
    return any(isinstance(module, KINDS) for module in network.modules())


class RunningMean(nn.Module):
    """The running mean of vectors [N, size] over the batches that it observes.

    Args:
        size: Numbers in a vector.
        decay: Of the mean, a batch.
    """

    def __init__(self, size: int, decay: float):
        super().__init__()
        self.decay = decay
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(size))

    def observe(self, x: Tensor) -> None:
        """Move the mean by a batch, while training."""
        if self.training:
            self.mean.lerp_(x.detach().mean(0).to(self.mean), 1 - self.decay)


def batch_statistics(network: nn.Module) -> dict[str, Tensor]:
    """Return the running statistics of a network's batch norms by name."""
    return _buffers_of(network, KINDS)


def running_statistics(network: nn.Module) -> dict[str, Tensor]:
    """Return all that batches move while they pass a network, of its batch norms and its running means, by name."""
    return _buffers_of(network, KINDS | RunningMean)


def _buffers_of(network: nn.Module, kinds: UnionType) -> dict[str, Tensor]:
    return {
        f"{prefix}.{name}" if prefix else name: buffer
        for prefix, module in network.named_modules()
        if isinstance(module, kinds)
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.is_floating_point()  # not torch's count of batches
    }


def add_spectral_norms(network: nn.Module) -> None:
    """Normalise the weights of linear layers and convolutions, except those that make a batch norm's gain."""
    norms = [m for m in network.modules() if isinstance(m, ConditionalBatchNorm)]
    gains = {id(layer) for norm in norms for layer in norm.modules()}
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d) and id(layer) not in gains:
            add_spectral_norm(layer)
