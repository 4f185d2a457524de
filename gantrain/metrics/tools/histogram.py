"""Divergences of a known density and samples: histogram estimates with an error bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.tools.quadrature import LogDensity

CELLS = 500  # that would contain the data if their density were uniform; the side of a cell follows
PRIOR = 500  # pseudo-samples spread as the data are, so that an empty cell is not an impossible one
MIN_COUNT = 1e-3  # expected data in a cell, see ``Cells.ratio``; about a millionth of the data lies below it
MAX_CELL = 2**30  # cells from 0 along an axis; points farther away are clamped to it


def cell_side(log_p: LogDensity, real: Tensor) -> float:
    """Return the side of a cell, in the data's unit, from points of p, shape [N, d], float64.

    1 / E_p p(x) is the volume of a uniform distribution of the same E_p p(x).
    """
    return float((CELLS * log_p(real).exp().mean()) ** (-1 / real.shape[1]))


@dataclass(frozen=True)
class Cells:
    """Samples counted in cells of one size.

    Attributes:
        side: Of a cell, in the data's unit.
        keys: Of the cells that contain samples, ascending, shape [C].
        p: Mass of the known density in each, shape [C].
        counts: Samples in each, of either half of them, shape [2, C].
    """

    side: float
    keys: Tensor
    p: Tensor
    counts: Tensor

    @classmethod
    def of(cls, log_p: LogDensity, fake: Tensor, side: float) -> Cells:
        """Count samples, shape [n, d], float64, in cells of a side."""
        n, d = fake.shape
        places = _cell_indices(fake, side)
        keys, which = _keys(places).unique(return_inverse=True)
        first = torch.empty(len(keys), d, dtype=torch.int64).index_copy_(0, which, places)
        halves = which.split((n + 1) // 2)
        counts = torch.stack([torch.bincount(half, minlength=len(keys)) for half in halves])
        return cls(side, keys, cls.mass(log_p, first, side), counts.double())

    @staticmethod
    def mass(log_p: LogDensity, places: Tensor, side: float) -> Tensor:
        """Return the density's mass in cells, shape [C, d] to [C], by two Gauss-Legendre nodes along each axis."""
        d = places.shape[1]
        at = 0.5 + torch.tensor([-0.5, 0.5], dtype=torch.float64) / math.sqrt(3)
        nodes = torch.cartesian_prod(*[at] * d).reshape(-1, d)
        parts = [
            log_p(((part[:, None] + nodes) * side).reshape(-1, d)).exp().unflatten(0, (len(part), -1)).mean(1)
            for part in places.split(50_000)
        ]
        return torch.cat(parts) * side**d

    @property
    def rest(self) -> float:
        """Mass of the known density where there are no samples."""
        return max(0.0, 1 - float(self.p.sum()))

    def ratio(self, p: Tensor, counts: Tensor, n: float) -> Tensor:
        """Return p / q in cells, shape [C], with q = (counts + PRIOR p) / (n + PRIOR), smoothed towards p.

        Where p expects fewer than ``MIN_COUNT`` of n samples, the ratio is ``MIN_COUNT``: samples there are fakes.
        """
        return torch.where(p * n < MIN_COUNT, MIN_COUNT, p * (n + PRIOR) / (counts + PRIOR * p))

    def best(self, log_p: LogDensity, x: Tensor) -> Tensor:
        """Return p / (p + q) in the cells of points, shape [N, d] to [N]."""
        places = _cell_indices(x, self.side)
        p, keys = self.mass(log_p, places, self.side), _keys(places)
        at = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        counts = torch.where(self.keys[at] == keys, self.counts.sum(0)[at], 0.0)
        return 1 / (1 + 1 / self.ratio(p, counts, float(self.counts.sum())))

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return for ``js`` and ``total_variation`` of the cells an interval's middle and half its width.

        The upper end is the divergence of the counts, which is convex and so too high on average. The lower end is the
        bound of a discriminator fitted to one half of the samples and evaluated on the other. Two standard errors are
        added on both sides.
        """
        # Upper end: JSD = (KL(p, m) + KL(q, m)) / 2 and TV = sum |p - q| / 2, with ``rest`` where only p has mass.
        p, q = self.p, self.counts.sum(0) / self.counts.sum()
        mean = (p + q) / 2
        upper = {
            "js": 0.5 * float(torch.xlogy(p, p / mean).nansum() + torch.xlogy(q, q / mean).nansum())
            + 0.5 * self.rest * math.log(2),
            "total_variation": 0.5 * (float((p - q).abs().sum()) + self.rest),
        }
        # Lower end, with D = ratio / (1 + ratio) of one half and expectations on the other:
        # JSD >= log 2 + (E_p log D + E_q log(1 - D)) / 2 and TV >= P(D > 1/2) - Q(D > 1/2).
        lower, spread = dict.fromkeys(upper, 0.0), dict.fromkeys(upper, 0.0)
        for half, other in ((0, 1), (1, 0)):
            fitted, share = self.counts[half], self.counts[other] / self.counts[other].sum()
            ratio = self.ratio(p, fitted, float(fitted.sum()))
            unseen = math.log1p(PRIOR / (float(fitted.sum()) + PRIOR))
            real = -float((p * torch.log1p(1 / ratio)).nansum()) - self.rest * unseen
            terms = {
                "js": (math.log(2) + 0.5 * real, -0.5 * torch.log1p(ratio)),
                "total_variation": (float(p[ratio > 1].sum()) + self.rest, -(ratio > 1).double()),
            }
            for name, (of_real, of_fake) in terms.items():
                mean_fake = float((share * of_fake).sum())
                lower[name] += 0.5 * (of_real + mean_fake)
                spread[name] += 0.5 * float((share * of_fake.square()).sum() - mean_fake**2)
        n = float(self.counts.sum())
        return {
            name: (
                (upper[name] + lower[name]) / 2,
                abs(upper[name] - lower[name]) / 2 + 2 * math.sqrt(max(spread[name], 0.0) / n),
            )
            for name in upper
        }


def estimates(log_p: LogDensity, fake: Tensor, side: float) -> dict[str, float]:
    """Return ``js`` and ``total_variation`` of a known density and samples [n, d], and ``…_margin`` of each.

    The margin is half an interval, see ``Cells.intervals``, plus the change if cells are twice as wide: differences
    within a cell do not count, so the estimate is low by about a third of that.
    """
    fine, coarse = (Cells.of(log_p, fake, factor * side).intervals() for factor in (1, 2))
    values: dict[str, float] = {}
    for name, (middle, margin) in fine.items():
        values |= {name: middle, f"{name}_margin": margin + abs(middle - coarse[name][0])}
    return values


def _cell_indices(x: Tensor, side: float) -> Tensor:
    return (x / side).floor().nan_to_num().clamp(-MAX_CELL, MAX_CELL).long()


def _keys(places: Tensor) -> Tensor:
    """Return one number for each cell, shape [C, d] to [C], d at most 2."""
    return places[:, 0] if places.shape[1] == 1 else places[:, 0] * (4 * MAX_CELL) + places[:, 1]
