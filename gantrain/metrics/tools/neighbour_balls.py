"""Neighbour balls of samples, found once, from which precision, recall, density and coverage of any part follow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.tools.pair_distances import ROWS, is_closer, nearest_others, pair_distances

NEIGHBOURS = 10  # times k that are listed: of a random quarter, k are among them but in 2 of 1,000 balls


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
        radii, nearest = nearest_others(x, min(NEIGHBOURS * k, len(x) - 1))
        found = []
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            owner, member = is_closer(x[rows], other, radii[rows, -1]).nonzero(as_tuple=True)
            found.append((owner + start, member))
        owner, member = (torch.cat(indices) for indices in zip(*found, strict=True))
        tensors = nearest, radii, owner, member, pair_distances(x, other, owner, member)
        return cls(*(tensor.cpu() for tensor in tensors))

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
