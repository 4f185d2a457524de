"""A network on all own parts of a batch at once, whose batch norm normalises by the statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm

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
        options = kwargs or {}
        one = next(locksteps([*args, *options.values()]))
        results = [
            function(*of_part(args, i), **{key: of_part(value, i) for key, value in options.items()})
            for i in range(len(one.tensors))
        ]
        return joined(results, one.parts)


def locksteps(value: Any) -> Iterator[Lockstep]:
    """Yield those among the arguments of an operation."""
    if isinstance(value, Lockstep):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from locksteps(item)


def of_part(value: Any, i: int) -> Any:
    """Return the arguments of an operation as own part ``i`` has them."""
    if isinstance(value, Lockstep):
        return value.tensors[i]
    return type(value)([of_part(item, i) for item in value]) if type(value) in (tuple, list) else value


def joined(results: Sequence[Any], parts: Parts) -> Any:
    """Return the results of all own parts as one; what is no tensor, as a shape, is the same for all."""
    first = results[0]
    if isinstance(first, Tensor):
        return Lockstep.of(results, parts)
    if isinstance(first, tuple | list):
        return type(first)([joined(items, parts) for items in zip(*results, strict=True)])
    return first


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
    var, mean, *tensors = WholeNorm.apply(x.parts, eps, *(tensor.float() for tensor in x.tensors))
    if running_mean is not None and running_var is not None:
        size = x.parts.count * x.numel() // x.shape[1]  # numbers of a channel
        with torch.no_grad():
            running_mean.lerp_(mean.flatten(), momentum)
            running_var.lerp_(var.flatten() * (size / (size - 1)), momentum)
    out: Tensor = Lockstep.of(tensors, x.parts)
    if weight is not None:
        out = out * weight.reshape(mean.shape)
    if bias is not None:
        out = out + bias.reshape(mean.shape)
    return out.to(x.dtype)


class WholeNorm(torch.autograd.Function):
    """Normalise each own part by the moments of the whole batch (Ioffe and Szegedy 2015, alg. 1), differentiable once.

    With v_p and m_p of part p: the mean m is that of the m_p, and the variance the mean of v_p + (m_p - m)^2.
    """

    @staticmethod
    def forward(ctx: Any, parts: Parts, eps: float, *own: Tensor) -> tuple[Tensor, ...]:
        dims = [0, *range(2, own[0].dim())]
        # In two passes, which on a CPU take a tenth of the time of var_mean.
        own_means = [x.mean(dims, keepdim=True) for x in own]
        own_variances = [
            (x - m).square().mean(dims, keepdim=True) for x, m in zip(own, own_means, strict=True)
        ]
        moments = map(torch.stack, zip(own_variances, own_means, strict=True))
        variances, means = parts.gather(list(moments)).unbind(1)
        mean = tree_sum(means) / parts.count
        var = tree_sum(variances + (means - mean).square()) / parts.count
        scale = (var + eps).rsqrt()
        normalised = [torch.addcmul(-mean * scale, x, scale) for x in own]
        ctx.parts, ctx.dims = parts, dims
        ctx.save_for_backward(scale, *normalised)
        ctx.mark_non_differentiable(var, mean)
        return var, mean, *normalised

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _var: Tensor, _mean: Tensor, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        scale, *normalised = ctx.saved_tensors
        pairs = list(zip(slopes, normalised, strict=True))
        # Variance and mean depend on all samples: with means over the whole batch, dx = scale (g - E g - y E gy).
        own = [torch.stack([g.mean(ctx.dims, True), (g * y).mean(ctx.dims, True)]) for g, y in pairs]
        by_mean, by_var = tree_sum(ctx.parts.gather(own)) / ctx.parts.count
        return None, None, *(scale * (g - by_mean - y * by_var) for g, y in pairs)
