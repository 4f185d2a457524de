"""Divergences of two known densities by adaptive cubature."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation
from gantrain.metrics.side import CHUNK
from gantrain.models.base import Generator

LogDensity = Callable[[Tensor], Tensor]  # points [N, d], float64 on the CPU, to nats [N]
TOLERANCE = 1e-3  # largest error of a density's integral of 1 at which its divergences are reported
ORDER = 8  # Gauss-Legendre nodes along each axis of a cell
BUDGET = 8_000_000  # points at which the densities are computed, at most
MAX_POINTS_PER_CELL = 8  # of the 64 of a mode


def density_of_data(data: Data) -> LogDensity:
    """Return log p. The data's density must be known."""
    assert data.density is not None  # as ``why_unsupported`` requires
    return data.density.log_prob


def density_of_generator(evaluation: Evaluation) -> LogDensity | None:
    """Return log q of the live generator, in double precision, or None if it has no density."""
    G = evaluation.game.G_live
    if not isinstance(G, Generator):
        return None
    double = copy.deepcopy(G).cpu().double()
    d = evaluation.data.spec.shape[0]
    return None if double.log_prob(torch.zeros(1, d, dtype=torch.float64)) is None else double.log_prob  # type: ignore[return-value]


def samples(evaluation: Evaluation, n: int, purpose: str) -> Tensor:
    """Return ``n`` fresh samples of the live G, [n, d], float64 on the CPU, with conditions of held-out data."""
    y, parts = evaluation.condition(evaluation.reals.y), []
    for start in range(0, n, 20 * CHUNK):
        count = min(20 * CHUNK, n - start)
        z = evaluation.game.latents(count, f"{purpose} {start}").to(evaluation.device)
        rows = torch.arange(start, start + count, device=evaluation.device) % (1 if y is None else len(y))
        parts.append(evaluation.game.G_live(z, None if y is None else y[rows]).cpu().double())
    return torch.cat(parts)


@dataclass(frozen=True)
class Integrals:
    """Integrals by cubature.

    Attributes:
        values: Integral of each function, shape [F].
        errors: Estimated errors, shape [F]: sum over cells of the change when they are halved, mostly too large.
        edges: Edges of the cells in one dimension, ascending; meaningless in two.
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
    """Integrate functions over a box in one or two dimensions, in cells that are halved along each axis as needed.

    Args:
        f: Points [N, d] to the functions' values [N, F].
        low: Corner of the box, shape [d].
        high: The opposite corner.
        clouds: Points where the functions change; a final cell has at most 8 of each cloud, or a hundredth of it.
        tolerance: Largest change of each function's integral over a final cell when it is halved, shape [F].
    """
    # Tensor-product Gauss-Legendre nodes and weights on the unit box: grid [8^d, d], weight [8^d].
    d = len(low)
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(ORDER))
    grid = torch.cartesian_prod(*[(nodes + 1) / 2] * d).reshape(-1, d)
    weight = torch.cartesian_prod(*[weights / 2] * d).reshape(-1, d).prod(1)
    octants = torch.cartesian_prod(*[torch.arange(2)] * d).reshape(-1, d)
    depth = 52 // d

    def integrate(cells: Tensor, level: int) -> Tensor:
        """Return the integrals over cells, indices [C, d] of boxes 2^-level wide, as [C, F]."""
        size = (high - low) * 0.5**level
        parts = []
        for corners in (low + cells * size).split(max(1, 200_000 // len(grid))):
            values = f((corners[:, None] + grid * size).reshape(-1, d)).unflatten(0, (len(corners), -1))
            parts.append(torch.einsum("cnf,n->cf", values, weight))
        return torch.cat(parts) * size.prod()

    # Halve every cell; those whose halves agree with the whole are final, the others are halved again.
    cells, spent = torch.zeros(1, d, dtype=torch.int64), 0
    whole = integrate(cells, 0)
    values, errors, ends = torch.zeros_like(tolerance), torch.zeros_like(tolerance), []
    for level in range(depth):
        children = (2 * cells[:, None] + octants).reshape(-1, d)
        spent += len(children) * len(grid)
        halves = integrate(children, level + 1).unflatten(0, (len(cells), -1))
        gap = (halves.sum(1) - whole).abs()
        scale = (values + halves.sum((0, 1))).abs().clamp(min=1)
        final = (gap <= tolerance * scale).all(1) & ~_is_crowded(cells, level, low, high, clouds)
        if level == depth - 1 or 2**d * len(cells) * len(grid) + spent > BUDGET:
            final[:] = True
        values, errors = values + halves[final].sum((0, 1)), errors + gap[final].sum(0)
        ends.append(cells[final].double() * 0.5**level)
        is_open = ~final[:, None].expand(-1, 2**d).flatten()
        cells, whole = children[is_open], halves.flatten(0, 1)[is_open]
        if not len(cells):
            break
    edges = low + torch.cat([*ends, torch.ones(1, d)]) * (high - low)
    return Integrals(values, errors, edges[:, 0].sort().values)


def _is_crowded(cells: Tensor, level: int, low: Tensor, high: Tensor, clouds: list[Tensor]) -> Tensor:
    """Return for cells [C, d] whether they contain too much of a cloud, shape [C]."""
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
    """Return the corners of a box that contains both densities, and clouds of points where they have mass.

    It reaches 12 standard deviations beyond each mode of the data, and three times the width of the generator's
    samples ``cloud`` [n, d].
    """
    density = data.density
    assert density is not None  # as ``why_unsupported`` requires
    real = data.holdout.x[:4096].double().reshape(-1, cloud.shape[1])
    clouds, boxes = [cloud[:4096]], [_thrice(cloud)]
    modes = density.modes.double()
    if len(modes):
        std = torch.as_tensor(density.std).double().expand(len(modes))[:, None]
        boxes.append(torch.stack([(modes - 12 * std).amin(0), (modes + 12 * std).amax(0)]))
        # A cloud for each mode, so that a rare or narrow one is resolved.
        draws = torch.Generator().manual_seed(0)
        normal = torch.randn(64, modes.shape[1], dtype=torch.float64, generator=draws)
        clouds += [mode + s * normal for mode, s in zip(modes, std, strict=True)]
    else:
        boxes.append(_thrice(real))
        clouds.append(real)
    low = torch.stack([box[0] for box in boxes]).amin(0)
    high = torch.stack([box[1] for box in boxes]).amax(0)
    return low, high, clouds


def _thrice(x: Tensor) -> Tensor:
    """Return the corners of a box three times as wide as that of points [n, d], shape [2, d]."""
    low, high = x.amin(0), x.amax(0)
    return torch.stack([low - (high - low), high + (high - low)])


def divergences(
    log_p: LogDensity, log_q: LogDensity, low: Tensor, high: Tensor, clouds: list[Tensor]
) -> dict[str, float]:
    """Return the divergences of two densities over a box, and their errors.

    Returns:
        ``kl`` KL(p, q), ``reverse_kl``, ``js`` in nats, ``total_variation``, in one dimension ``wasserstein`` in the
        data's unit; ``residual``, the larger error of both densities' integral of 1; ``error``, the largest estimated
        error of an integral. Only ``residual`` if that is above ``TOLERANCE``; infinite values are left out.
    """

    def terms(x: Tensor) -> Tensor:
        a, b = log_p(x), log_q(x)
        p, q = a.exp(), b.exp()
        m = torch.logaddexp(a, b) - math.log(2)

        def against(density: Tensor, log_ratio: Tensor) -> Tensor:  # 0 log 0 = 0
            return torch.where(density > 0, density * log_ratio, 0.0)

        js = 0.5 * (against(p, a - m) + against(q, b - m))
        columns = [p, q, against(p, a - b), against(q, b - a), js, 0.5 * (p - q).abs()]
        return torch.stack(columns, 1).nan_to_num(
            0.0, math.inf, -math.inf
        )  # [N, 6]; a nan density counts as 0

    line = len(low) == 1
    # |p - q| has kinks, and log p nearly has some between modes; in two dimensions they are whole curves of cells.
    fine, ratio, kink = (1e-11, 1e-11, 1e-10) if line else (1e-9, 1e-8, 1e-6)
    tolerance = torch.tensor([fine, fine, ratio, ratio, fine, kink], dtype=torch.float64)
    integrals = cubature(terms, low, high, clouds, tolerance)
    p, q, *rest = integrals.values.tolist()
    residual = max(abs(p - 1), abs(q - 1))
    if not residual <= TOLERANCE:
        return {"residual": residual}
    values = dict(zip(("kl", "reverse_kl", "js", "total_variation"), rest, strict=True))
    if line:
        values["wasserstein"] = between_distributions(log_p, log_q, integrals.edges)
    values |= {"residual": residual, "error": float(integrals.errors.max())}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def between_distributions(log_p: LogDensity, log_q: LogDensity, edges: Tensor) -> float:
    """Return W1 in one dimension, int |F_p(x) - F_q(x)| dx, on the edges of cells that resolve both densities."""
    parts = torch.linspace(0, 1, 257, dtype=torch.float64)[:-1]
    x = torch.cat([(edges[:-1, None] + edges.diff()[:, None] * parts).flatten(), edges[-1:]])
    step = x.diff()

    def difference(at: Tensor) -> Tensor:
        parts = at[:, None].split(200_000)
        return torch.cat([log_p(part).exp() - log_q(part).exp() for part in parts])

    ends, middle = difference(x), difference(x[:-1] + step / 2)
    rise = step * (ends[:-1] + 4 * middle + ends[1:]) / 6  # of F_p - F_q in each step, by Simpson's rule
    height = torch.cat([torch.zeros(1, dtype=torch.float64), rise.cumsum(0)]).abs()
    return float((step * (height[:-1] + height[1:]) / 2).sum())
