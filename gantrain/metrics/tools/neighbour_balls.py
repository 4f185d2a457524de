"""Neighbour balls of samples, found once, from which precision, recall, density and coverage of any part follow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = 1000  # rows of the distance matrix in memory at a time
NEIGHBOURS = 10  # times k that are listed: of a random quarter, k are among them but in 2 of 1,000 balls


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return Euclidean distances [N, M] in float64, exact where a sample meets its copy."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class Balls:
    """Balls around samples x [N, d], and which of the other side's samples [M, d] lie in the largest of them.

    Attributes:
        nearest: The nearest other samples of x, nearest first, [N, m].
        radii: Their distances, [N, m].
        owner: Indices of x of all pairs within the m-th radius, [E].
        member: Indices of the other side, [E].
        gap: Distances of these pairs, [E].
    """

    nearest: Tensor
    radii: Tensor
    owner: Tensor
    member: Tensor
    gap: Tensor

    @classmethod
    def of(cls, x: Tensor, other: Tensor, k: int) -> Balls:
        """List both for balls up to the k-th neighbour in x, or in a random quarter of it; on the CPU."""
        m, found = min(NEIGHBOURS * k, len(x) - 1), []
        for start in range(0, len(x), ROWS):
            rows = x[start : start + ROWS]
            own = distances(rows, x)
            own.diagonal(start).fill_(torch.inf)
            radii, nearest = own.topk(m, largest=False)
            gaps = distances(rows, other)
            owner, member = (gaps < radii[:, -1:]).nonzero(as_tuple=True)
            found.append((nearest, radii, owner + start, member, gaps[owner, member]))
        return cls(*(torch.cat(parts).cpu() for parts in zip(*found, strict=True)))

    def hits(self, parts: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return how many of the other side are in the ball of each sample, and in how many balls each of those is.

        Args:
            parts: Disjoint rows of both sides, [parts, size]; those of one part only see each other.
            k: A ball reaches to the k-th neighbour.

        Returns:
            Both of shape [parts, size].
        """
        n, m = self.nearest.shape
        part = torch.full((n,), -1).index_put((parts,), torch.arange(len(parts))[:, None])
        rank = ((part[self.nearest] == part[:, None]).cumsum(1) < k).sum(1).clamp(max=m - 1)
        radius = self.radii.gather(1, rank[:, None])[:, 0]
        owned = part[self.owner]
        is_inside = (owned >= 0) & (owned == part[self.member]) & (self.gap < radius[self.owner])
        of_owners, of_members = (
            index[is_inside].bincount(minlength=n)[parts] for index in (self.owner, self.member)
        )
        return of_owners, of_members


def prdc_of_parts(real: Balls, fake: Balls, parts: Tensor, k: int) -> dict[str, Tensor]:
    """Return ``prdc`` of the same rows of both sides, [parts, size], each part alone: [parts] by name."""
    covered, inside = real.hits(parts, k)
    _, recalled = fake.hits(parts, k)
    shares = {"precision": inside, "recall": recalled, "coverage": covered}
    found = {name: (hits > 0).double().mean(1) for name, hits in shares.items()}
    return found | {"density": inside.double().mean(1) / k}
