"""Layers that several models share."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gantrain.core.judgement import Judgement
from gantrain.core.spec import Spec

EMBED_DIM = 16  # of the vector of a word
AUXILIARY = "auxiliary_classifier"  # the value of model.condition whose D names the class
G_INPUTS = ("concat", "projection", AUXILIARY)  # its values that make the condition an input of a plain G
MIN_SIDE = 4  # pixels of the shorter side at the stage next to z in G, to the logit in D


def sides(height: int, width: int) -> list[tuple[int, int]]:
    """Return the resolutions of the stages, smallest first; each is half the next, rounded up."""
    stages = int(math.log2(min(height, width) / MIN_SIDE))
    return [(-(-height // 2**s), -(-width // 2**s)) for s in range(stages, -1, -1)]


def why_not_halved(name: str, spec: Spec) -> str | None:
    """Return why the model of this name, whose stages halve the sides, does not fit the data, or None if it does."""
    if not spec.is_image:
        return f"{name} makes images and this data is points"
    if min(spec.shape[1:]) < 2 * MIN_SIDE:
        return f"{name} needs sides of at least {2 * MIN_SIDE} pixels, this data has {spec.shape[1:]}"
    return None


def weight_layout(spec: Spec) -> torch.memory_format:
    """Return the memory layout of both networks' weights, which changes the last bits: channels last for images.

    Measured on a CPU, whole steps of dcgan from 8x8 to 64x64 pixels, with and without R1: 0.92 to 1.04 times the speed
    of the usual layout with one thread, where R1's second derivatives lose what the rest gains; 1.12 to 1.16 times with
    two threads and no penalty.
    """
    return torch.channels_last if spec.is_image else torch.contiguous_format


class ConditionEmbedding(nn.Module):
    """Embeds conditions as [N, width]: a class as one-hot, a vector unchanged, words as the mean of their vectors.

    The order of words is ignored. A network's ``forward`` calls ``x, e = self.condition.join(x, y)``.

    Args:
        spec: Of the data.
        condition: ``model.condition``.
        joined: Its values for which the embedding becomes a part of the input.

    Attributes:
        width: Numbers in an embedding; 0 without a condition.
        joined_width: Those that ``join`` appends to an input, as features or constant channels.
        separate_width: The others, which a ``Head`` or a ``ConditionalBatchNorm`` takes.
    """

    def __init__(self, spec: Spec, condition: str, joined: tuple[str, ...] = ("concat",)):
        super().__init__()
        self.words: nn.Embedding | None = None
        # Where each channel has its own class, a label is encoded digit by digit: 3 x 10 inputs, not 1000.
        self.base = spec.channel_classes or spec.classes
        self.digits = spec.shape[0] if spec.channel_classes else 1
        is_used, rows = condition != "none", spec.condition
        self.width = (rows.width if rows else self.digits * self.base) if is_used else 0
        if is_used and rows and rows.words:
            self.words, self.width = nn.Embedding(len(rows.names) + 1, EMBED_DIM, padding_idx=0), EMBED_DIM
        self.joined_width = self.width if condition in joined else 0
        self.separate_width = self.width - self.joined_width

    def forward(self, y: Tensor | None, like: Tensor) -> Tensor:
        if not self.width or y is None:
            return like.new_zeros(like.shape[0], 0)  # not len(), which torch.export takes for a constant
        if self.words is not None:
            return self.words(y).sum(1) / (y > 0).sum(1, keepdim=True).clamp(min=1)  # 0 is padding
        if y.dim() == 2:
            return y.to(like)
        # Most significant digit first, as the channels are: [N] to [N, digits, base] to [N, digits base].
        digits = [y // self.base**place % self.base for place in reversed(range(self.digits))]
        # Compared rather than by ``one_hot``, which reads the labels' range, and so stops a step that is vectorised.
        places = torch.arange(self.base, device=y.device)
        return (torch.stack(digits, 1)[..., None] == places).flatten(1).to(like)

    def join(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return x [N, C, ...] with ``joined`` more features or channels, and the embeddings e [N, width]."""
        e = self(y, x)
        if not self.joined_width:
            return x, e
        # [N, width] to constant planes [N, width, H, W]; for points nothing changes.
        planes = e.reshape(*e.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])
        return torch.cat([x, planes], 1), e


class DCondition(ConditionEmbedding):
    """The embedding in D, which is not given a class that it names.

    Attributes:
        classes: Those that D names, 0 for none.
    """

    def __init__(self, spec: Spec, condition: str):
        is_named = condition == AUXILIARY
        super().__init__(spec, "none" if is_named else condition)
        self.classes = spec.classes if is_named else 0


def in_float32(logits: Callable[[Tensor, Tensor], Tensor], phi: Tensor, e: Tensor) -> Tensor:
    """Return ``logits(phi, e)``, in float32 where the network runs in a half precision.

    Small differences of logits decide the losses.
    """
    if not torch.is_autocast_enabled(phi.device.type):
        return logits(phi, e)
    with torch.autocast(phi.device.type, enabled=False):
        return logits(phi.float(), e.float())


class Head(nn.Module):
    """Maps D's features phi [N, d] to logits [N]: w phi + b + (V e) phi, e [N, width] the embedded condition.

    The last term is the projection of Miyato and Koyama 2018, eq. 3.

    Args:
        features: d.
        width: Numbers in e; 0 for no projection.
        minibatch_std: Append to phi the mean over features of their standard deviation in the batch.
        classes: That D names, 0 for none.
    """

    def __init__(self, features: int, width: int, minibatch_std: bool, classes: int = 0):
        super().__init__()
        self.minibatch_std = minibatch_std
        self.linear = nn.Linear(features + minibatch_std, 1)
        self.project = nn.Linear(width, features, bias=False) if width else None
        self.classify = nn.Linear(features, classes) if classes else None

    def forward(self, phi: Tensor, e: Tensor) -> Tensor:
        return in_float32(self.logits, phi, e)

    def judge(self, phi: Tensor, e: Tensor) -> Judgement:
        """Return the logits, with the features and the logits of the classes [N, K], a linear map of them, if any."""
        return Judgement(self(phi, e), None if self.classify is None else self.classify(phi), phi)

    def logits(self, phi: Tensor, e: Tensor) -> Tensor:
        """Return the logits in the precision of phi."""
        logits = self.linear(self.joined_std(phi)).squeeze(1)
        return logits if self.project is None else logits + (self.project(e) * phi).sum(1)

    def joined_std(self, phi: Tensor) -> Tensor:
        """Return phi with one more feature, equal for all samples, if D sees the deviation of its batch."""
        return (
            torch.cat([phi, std_over_batch(phi).mean().expand(len(phi), 1)], 1) if self.minibatch_std else phi
        )


def std_over_batch(phi: Tensor) -> Tensor:
    """Return the standard deviation of features phi [N, d] over the batch, [d], twice differentiable also at 0."""
    # The second derivative of a root at 0 is no number, so features that do not vary never enter it.
    varies = (phi != phi[:1]).any(0)
    ramp = torch.arange(len(phi)).to(phi)[:, None]
    return torch.where(varies, torch.where(varies, phi, ramp).std(0, unbiased=False), 0)


class LeakyReLU(nn.LeakyReLU):
    """max(x, slope x), which a gradient penalty differentiates twice at less cost than torch's own.

    Its second derivative is 0 almost everywhere. torch's layer sends those zeros back through the whole network, at
    the price of one more backward pass for each penalty; here they have no path.
    """

    def forward(self, x: Tensor) -> Tensor:
        # x times the slope at x: the kernel of the derivative is the layer itself, and linear in its first argument.
        out: Tensor = torch.ops.aten.leaky_relu_backward(x, x.detach(), self.negative_slope, False)
        return out


class Maxout(nn.Module):
    """The largest of each ``pieces`` numbers: [N, width pieces] to [N, width] (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).max(2).values
