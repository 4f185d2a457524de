"""A network on all own parts of a batch at once, whose batch norm normalises by the statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from gantrain.distributed.shards import Parts, tree_sum


class Lockstep(Tensor):
    """The tensors of all own parts of a batch in the place of one: an operation on it is the same one on each of them.

    So every part has the bits that it has alone, in whichever process. Only ``torch.nn.functional.batch_norm`` looks
    across, at the parts of all processes, which call it at the same time.
    """

    tensors: list[Tensor]
    parts: Parts

    @staticmethod
    def of(tensors: Sequence[Tensor], parts: Parts) -> Lockstep:
        """Return the tensors, equal in shape, of the own parts in order."""
        made = tensors[0].as_subclass(Lockstep)
        made.tensors, made.parts = list(tensors), parts
        return made

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is batch_norm and (kwargs or {}).get("training"):
            return whole_batch_norm(*args, **(kwargs or {}))
        leaves, tree = tree_flatten((args, kwargs or {}))
        parts, count = next((x.parts, len(x.tensors)) for x in leaves if isinstance(x, Lockstep))

        def result(i: int) -> Any:
            own_args, own_kwargs = tree_unflatten(
                [x.tensors[i] if isinstance(x, Lockstep) else x for x in leaves], tree
            )
            return function(*own_args, **own_kwargs)

        def joined(*results: Any) -> Any:
            return Lockstep.of(results, parts) if isinstance(results[0], Tensor) else results[0]

        return tree_map(joined, *map(result, range(count)))


def in_lockstep(
    network: Callable[[Tensor, Tensor | None], Tensor],
    inputs: Sequence[tuple[Tensor, Tensor | None]],
    parts: Parts,
) -> list[Tensor]:
    """Return the network's outputs on each own part; its running statistics move once, by those of the whole batch."""
    xs, ys = zip(*inputs, strict=True)
    output = network(Lockstep.of(xs, parts), None if ys[0] is None else Lockstep.of(ys, parts))
    assert isinstance(output, Lockstep)
    return output.tensors


def whole_batch_norm(
    x: Lockstep,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return ``torch.nn.functional.batch_norm`` of the whole batch while training, of which x has the own parts."""
    dims = [0, *range(2, x.dim())]
    along_channels = [1, -1, *[1] * (x.dim() - 2)]
    own = torch.stack(torch.var_mean(x.float(), dims, correction=0))  # [2, C]
    assert isinstance(own, Lockstep)
    whole = Lockstep.of(WholeMoments.apply(x.parts, *own.tensors), x.parts)
    var, mean = whole.unbind()
    if running_mean is not None and running_var is not None:
        size = x.parts.count * x.numel() // x.shape[1]  # numbers of a channel
        with torch.no_grad():
            running_mean.lerp_(whole.tensors[0][1], momentum)
            running_var.lerp_(whole.tensors[0][0] * (size / (size - 1)), momentum)
    out = (x - mean.reshape(along_channels)) * (var + eps).rsqrt().reshape(along_channels)
    if weight is not None:
        out = out * weight.reshape(along_channels)
    if bias is not None:
        out = out + bias.reshape(along_channels)
    return out.to(x.dtype)


class WholeMoments(torch.autograd.Function):
    """Variance and mean of a whole batch, [2, C], from those of its equal parts, once for each own part.

    With v_p and m_p of part p: the mean m is that of the m_p, and the variance the mean of v_p + (m_p - m)^2.
    """

    @staticmethod
    def forward(ctx: Any, parts: Parts, *own: Tensor) -> tuple[Tensor, ...]:
        variances, means = parts.gather(own).unbind(1)
        mean = tree_sum(means) / parts.count
        var = tree_sum(variances + (means - mean).square()) / parts.count
        ctx.parts, ctx.offsets = parts, [m - mean for _, m in own]
        return tuple(torch.stack([var, mean]) for _ in own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        # Each part's loss depends on the moments; the offsets from the mean have the mean 0, so m adds nothing by them.
        by_var, by_mean = tree_sum(ctx.parts.gather(slopes)) / ctx.parts.count
        return None, *(torch.stack([by_var, by_mean + 2 * by_var * offset]) for offset in ctx.offsets)
