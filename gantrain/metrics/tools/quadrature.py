"""Divergences of two densities that are known, by integrals over both."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.metrics.base import CHUNK, Evaluation
from gantrain.models.base import Generator

LogDensity = Callable[[Tensor], Tensor]  # points [N, d], float64 on the CPU, to nats [N]
TOLERANCE = 1e-3  # how far an integral of a density may be from 1 before its divergences are left out
ORDER = 8  # Gauss-Legendre nodes along each axis of a cell
BUDGET = 8_000_000  # points at which the densities are computed, at most
MAX_POINTS_PER_CELL = 8  # of a mode's 64


def density_of_data(data: Data) -> LogDensity:
    """Return log p. The data's density must be known."""
    assert data.density is not None  # as ``why_unsupported`` requires
    return data.density.log_prob


def density_of_generator(evaluation: Evaluation) -> LogDensity | None:
    """Return log q of the generator that D plays, in double precision, or None where it has none."""
    G = evaluation.G_live
    if not isinstance(G, Generator):
        return None
    double = copy.deepcopy(G).cpu().double()
    d = evaluation.data.spec.shape[0]
    return None if double.log_prob(torch.zeros(1, d, dtype=torch.float64)) is None else double.log_prob  # type: ignore[return-value]


def samples(evaluation: Evaluation, n: int, purpose: str) -> Tensor:
    """Return ``n`` fresh points of the live G, [n, d], float64 on the CPU, with conditions of held-out data."""
    y, parts = evaluation.condition(evaluation.real[1]), []
    for start in range(0, n, 20 * CHUNK):
        count = min(20 * CHUNK, n - start)
        z = evaluation.latents(count, f"{purpose} {start}").to(evaluation.device)
        rows = torch.arange(start, start + count, device=evaluation.device) % (1 if y is None else len(y))
        parts.append(evaluation.G_live(z, None if y is None else y[rows]).cpu().double())
    return torch.cat(parts)


# ------------------------------------------------------------------------------------------ integrals
@dataclass(frozen=True)
class Integrals:
    """Integrals by cubature.

    Attributes:
        values: An integral of each function, shape [F].
        errors: Sum over cells of how far one half the size was off, shape [F]: more than the error, most often.
        edges: Ends of the cells along a line, ascending; of no use in two dimensions.
    """

    values: Tensor
    errors: Tensor
    edges: Tensor


def cubature(
    f: Callable[[Tensor], Tensor],
    low: Tensor,
    high: Tensor,
    clouds: list[Tensor],
    tolerance: Tensor,
) -> Integrals:
    """Integrate functions over a box in one or two dimensions, in cells that are halved until they do.

    Args:
        f: Points [N, d] to the functions' values [N, F].
        low: Corner of the box, shape [d].
        high: The opposite one.
        clouds: Points that show where the functions change; a small cell holds at most 8 of each cloud, or a
            hundredth of it.
        tolerance: Of each function's integral over a cell, shape [F]: a cell is small when its halves agree so well.
    """
    d = len(low)
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(ORDER))
    grid = torch.cartesian_prod(*[(nodes + 1) / 2] * d).reshape(-1, d)
    weight = torch.cartesian_prod(*[weights / 2] * d).reshape(-1, d).prod(1)
    octants = torch.cartesian_prod(*[torch.arange(2)] * d).reshape(-1, d)
    depth = 52 // d

    def over(cells: Tensor, level: int) -> Tensor:
        size = (high - low) * 0.5**level
        corners = low + cells * size
        parts = [
            torch.einsum(
                "cnf,n->cf", f((c[:, None] + grid * size).reshape(-1, d)).unflatten(0, (len(c), -1)), weight
            )
            for c in corners.split(max(1, 200_000 // len(grid)))
        ]
        return torch.cat(parts) * size.prod()

    cells, spent = torch.zeros(1, d, dtype=torch.int64), 0
    whole = over(cells, 0)
    values, errors, ends = torch.zeros_like(tolerance), torch.zeros_like(tolerance), []
    for level in range(depth):
        children = (2 * cells[:, None] + octants).reshape(-1, d)
        spent += len(children) * len(grid)
        halves = over(children, level + 1).unflatten(0, (len(cells), -1))
        gap = (halves.sum(1) - whole).abs()
        scale = (values + halves.sum((0, 1))).abs().clamp(min=1)
        small = (gap <= tolerance * scale).all(1) & ~_crowded(cells, level, low, high, clouds)
        if level == depth - 1 or 2**d * len(cells) * len(grid) + spent > BUDGET:
            small[:] = True
        values, errors = values + halves[small].sum((0, 1)), errors + gap[small].sum(0)
        ends.append(cells[small].double() * 0.5**level)
        kept = ~small[:, None].expand(-1, 2**d).flatten()
        cells, whole = children[kept], halves.flatten(0, 1)[kept]
        if not len(cells):
            break
    edges = low + torch.cat([*ends, torch.ones(1, d)]) * (high - low)
    return Integrals(values, errors, edges[:, 0].sort().values)


def _crowded(cells: Tensor, level: int, low: Tensor, high: Tensor, clouds: list[Tensor]) -> Tensor:
    """Return which cells, shape [C, d], contain too much of a cloud, shape [C]."""
    crowded = torch.zeros(len(cells), dtype=torch.bool)
    place = 2 ** (level * torch.arange(cells.shape[1]))
    for cloud in clouds:
        inside = cloud[((cloud >= low) & (cloud < high)).all(1)]
        where = ((inside - low) / (high - low) * 2.0**level).long()
        keys, cell_keys = (where * place).sum(1).sort().values, (cells * place).sum(1)
        inside_count = torch.searchsorted(keys, cell_keys, right=True) - torch.searchsorted(keys, cell_keys)
        crowded |= inside_count > max(MAX_POINTS_PER_CELL, len(cloud) / 100)
    return crowded


def frame(data: Data, cloud: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the corners of a box that contains both densities, and clouds of points where they are.

    Args:
        data: Of known density. Its box reaches 12 standard deviations beyond each mode.
        cloud: Points of the generator, shape [n, d]. Theirs is three times as wide as they are.
    """
    density = data.density
    assert density is not None  # as ``why_unsupported`` requires
    real = data.holdout.x[:4096].double().reshape(-1, cloud.shape[1])
    clouds, boxes = [cloud[:4096]], [_thrice(cloud)]
    modes = density.modes.double()
    if len(modes):
        std = torch.as_tensor(density.std).double().expand(len(modes))[:, None]
        boxes.append(torch.stack([(modes - 12 * std).amin(0), (modes + 12 * std).amax(0)]))
        # A cloud for each mode, so that a rare or narrow one is not passed over.
        normal = torch.randn(
            64, modes.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        clouds += [mode + s * normal for mode, s in zip(modes, std, strict=True)]
    else:
        boxes.append(_thrice(real))
        clouds.append(real)
    low = torch.stack([box[0] for box in boxes]).amin(0)
    high = torch.stack([box[1] for box in boxes]).amax(0)
    return low, high, clouds


def _thrice(x: Tensor) -> Tensor:
    low, high = x.amin(0), x.amax(0)
    return torch.stack([low - (high - low), high + (high - low)])


def divergences(
    log_p: LogDensity, log_q: LogDensity, low: Tensor, high: Tensor, clouds: list[Tensor]
) -> dict[str, float]:
    """Return the divergences of two densities over a box, in nats but the last two, and what is amiss.

    Returns:
        ``kl`` KL(p, q), ``reverse_kl``, ``js``, ``total_variation``, on a line ``wasserstein`` in the data's unit;
        ``residual``, how far the worse of both densities is from the integral 1; ``error``, the largest estimate of
        an integral's error. Only ``residual`` where that is above ``TOLERANCE``; what is infinite is left out.
    """

    def terms(x: Tensor) -> Tensor:
        a, b = log_p(x), log_q(x)
        p, q = a.exp(), b.exp()
        m = torch.logaddexp(a, b) - math.log(2)

        def against(density: Tensor, log_ratio: Tensor) -> Tensor:
            return torch.where(density > 0, density * log_ratio, 0.0)

        js = 0.5 * (against(p, a - m) + against(q, b - m))
        columns = [p, q, against(p, a - b), against(q, b - a), js, 0.5 * (p - q).abs()]
        return torch.stack(columns, 1).nan_to_num(
            0.0, math.inf, -math.inf
        )  # a density that is nan has no integral

    line = len(low) == 1
    # |p - q| has kinks, and so nearly has log p midway between modes; in a plane whole curves of cells lie on them.
    fine, ratio, kink = (1e-11, 1e-11, 1e-10) if line else (1e-9, 1e-8, 1e-6)
    tolerance = torch.tensor([fine, fine, ratio, ratio, fine, kink], dtype=torch.float64)
    found = cubature(terms, low, high, clouds, tolerance)
    p, q, *values = found.values.tolist()
    residual = max(abs(p - 1), abs(q - 1))
    if not residual <= TOLERANCE:
        return {"residual": residual}
    named = dict(zip(("kl", "reverse_kl", "js", "total_variation"), values, strict=True))
    if line:
        named["wasserstein"] = between_distributions(log_p, log_q, found.edges)
    named |= {"residual": residual, "error": float(found.errors.max())}
    return {name: value for name, value in named.items() if math.isfinite(value)}


def between_distributions(log_p: LogDensity, log_q: LogDensity, edges: Tensor) -> float:
    """Return W1 on the line, the area between both distribution functions, in cells fine enough for their integrals."""
    parts = torch.linspace(0, 1, 257, dtype=torch.float64)[:-1]
    x = torch.cat([(edges[:-1, None] + edges.diff()[:, None] * parts).flatten(), edges[-1:]])
    step = x.diff()

    def difference(at: Tensor) -> Tensor:
        return torch.cat(
            [log_p(part[:, None]).exp() - log_q(part[:, None]).exp() for part in at.split(200_000)]
        )

    ends, middle = difference(x), difference(x[:-1] + step / 2)
    rise = step * (ends[:-1] + 4 * middle + ends[1:]) / 6  # Simpson's rule
    height = torch.cat([torch.zeros(1, dtype=torch.float64), rise.cumsum(0)]).abs()
    return float((step * (height[:-1] + height[1:]) / 2).sum())
