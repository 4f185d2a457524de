"""Neighbour balls of samples, found once, from which precision, recall, density and coverage of any part follow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.tools.pair_distances import closer_pairs, nearest_others, pair_distances

ELEMENTS = 2**20  # of the largest tensors, which then stay in the processor's cache
NEIGHBOURS = 10  # times k that are listed: of a random quarter, k are among them but in 2 of 1,000 balls


@dataclass(frozen=True)
class Balls:
    """Balls around samples x [N, d], and which of the other side's samples [M, d] lie in the largest of them.

    Attributes:
        nearest: The nearest other samples of x, nearest first, [N, m].
        radii: Their distances, [N, m].
        owner: Indices of x of all pairs within the m-th radius, [E].
        member: Indices of the other side, [E].
        level: How many of the radii around x are no larger than the distance of the pair, [E].
    """

    nearest: Tensor
    radii: Tensor
    owner: Tensor
    member: Tensor
    level: Tensor

    @classmethod
    def of(cls, x: Tensor, other: Tensor, k: int) -> Balls:
        """List both for balls up to the k-th neighbour in x, or in a random quarter of it; on the CPU."""
        radii, nearest = nearest_others(x, min(NEIGHBOURS * k, len(x) - 1))
        pairs = list(closer_pairs(x, other, radii[:, -1]))
        owner, member = (torch.cat(indices) for indices in zip(*pairs, strict=True))
        gap = pair_distances(x, other, owner, member)
        size = max(1, ELEMENTS // radii.shape[1])
        parts = zip(owner.split(size), gap.split(size), strict=True)
        level = torch.cat([(radii[own] <= part[:, None]).sum(1) for own, part in parts])
        tensors = nearest, radii, owner, member, level
        return cls(*(tensor.cpu() for tensor in tensors))

    def hits(self, parts: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return how many of the other side are in the ball of each sample, and in how many balls each of those is.

        Args:
            parts: Disjoint rows of both sides in each of several orders, [orders, parts, size]; those of one part only
                see each other.
            k: A ball reaches to the k-th neighbour.

        Returns:
            Both of the shape of ``parts``.
        """
        n, m = self.nearest.shape
        (orders, count, size), rows = parts.shape, parts.flatten(1)
        small = torch.uint8 if max(m, count) < 254 else torch.int32
        # What one sample is in all orders lies side by side, [n, orders]: its part, and its neighbours before the k-th.
        number = torch.arange(count, dtype=small).repeat_interleave(size).expand(orders, -1)
        part = torch.full((orders, n), count, dtype=small).scatter(1, rows, number).T.contiguous()
        seen, rank = torch.zeros_like(part), torch.zeros_like(part)
        for column in self.nearest.unbind(1):
            seen += (part[column] == part).to(small)
            rank += (seen < k).to(small)
        rank.clamp_(max=m - 1)
        of_member = torch.where(part == count, count + 1, part)  # what is in no part is in none with another
        reached = self.level <= rank.amax(1)[self.owner]
        pairs = torch.stack([self.owner, self.member, self.level])[:, reached]
        of_owners, of_members = torch.zeros(2, n, orders, dtype=torch.int32)
        for owner, member, level in pairs.split(max(1, ELEMENTS // orders), 1):
            is_inside = (part[owner] == of_member[member]) & (level[:, None].to(small) <= rank[owner])
            of_owners.index_add_(0, owner, is_inside.int())
            of_members.index_add_(0, member, is_inside.int())
        return of_owners.T.gather(1, rows).view_as(parts), of_members.T.gather(1, rows).view_as(parts)


def prdc_of_parts(real: Balls, fake: Balls, parts: Tensor, k: int) -> dict[str, Tensor]:
    """Return ``prdc`` of the same rows of both sides, [orders, parts, size], of each part alone, [orders, parts]."""
    covered, inside = real.hits(parts, k)
    _, recalled = fake.hits(parts, k)
    shares = {"precision": inside, "recall": recalled, "coverage": covered}
    found = {name: (hits > 0).double().mean(2) for name, hits in shares.items()}
    return found | {"density": inside.double().mean(2) / k}
