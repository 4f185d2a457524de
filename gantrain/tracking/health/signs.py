"""Signs that a few hundred samples show of a run's health, cheap enough to be read early and often.

Each is a number that the scale of the data does not change: what samples have, in units of what real data have.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 5  # k of the radius around a real sample, as in metric.k
LEAST_SIDE = 8  # pixels, of images whose spectrum says something


def signs_of_samples(fake: Tensor, real: Tensor) -> dict[str, float]:
    """Return how samples of G [N, ...] compare with real ones [M, ...], by name.

    ``spread``: the root of their total variance. ``nearest``: their median distance to the nearest other sample.
    ``distance``: their median distance to the nearest real sample. ``offset``: the distance of means, in the root of
    the data's total variance. ``reach``: the share of real samples that have one of G's within the distance to their
    fifth neighbour (coverage, Naeem et al. 2020). ``peak``: see ``peak_share``.
    """
    a, b = (x.flatten(1).float() for x in (fake, real))
    spread_of_real = float(b.var(0, correction=0).sum().sqrt())
    if min(len(a), len(b)) <= NEIGHBOURS or spread_of_real == 0 or not bool(a.isfinite().all()):
        return {}
    near_real, near_fake = (_others(x) for x in (b, a))
    across = torch.cdist(a, b)
    unit = max(float(near_real[:, 0].median()), 1e-6 * spread_of_real)
    found = {
        "spread": float(a.var(0, correction=0).sum().sqrt()) / spread_of_real,
        "nearest": float(near_fake[:, 0].median()) / unit,
        "distance": float(across.min(1).values.median()) / unit,
        "offset": float((a.mean(0) - b.mean(0)).norm()) / spread_of_real,
        "reach": float((across.min(0).values <= near_real[:, NEIGHBOURS - 1]).float().mean()),
    }
    if fake.dim() == 4 and min(fake.shape[2:]) >= LEAST_SIDE:
        found |= {"peak": peak_share(fake), "real_peak": peak_share(real)}
    return found


def _others(x: Tensor) -> Tensor:
    """Return the distances of each sample [N, d] to its nearest others, ascending, [N, NEIGHBOURS]."""
    return torch.cdist(x, x).fill_diagonal_(torch.inf).topk(NEIGHBOURS, 1, largest=False).values


def peak_share(x: Tensor) -> float:
    """Return the share in [0, 1] of images [N, C, H, W] that alternates from pixel to pixel, of their variance.

    It is the power of the spectrum at half a period a pixel, along either side and both: the pattern of a transposed
    convolution whose kernel overlaps unevenly (Odena, Dumoulin and Olah 2016).
    """
    x = x[..., : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2].float()
    x = x - x.mean((2, 3), keepdim=True)
    rows = torch.tensor([1.0, -1.0], device=x.device).repeat(x.shape[2] // 2)[:, None]
    columns = torch.tensor([1.0, -1.0], device=x.device).repeat(x.shape[3] // 2)
    power = x.square().mean((2, 3)).mean()
    found = sum((x * wave).mean((2, 3)).square().mean() for wave in (rows, columns, rows * columns))
    return float(found / power) if power > 0 else 0.0


def signs_of_average(average: Tensor, live: Tensor, real: Tensor) -> dict[str, float]:
    """Return ``average_gap``: how far the averaged G's samples are from the live one's, in data's variety.

    Args:
        average: Samples [N, ...] of the averaged G.
        live: Those of the live G for the same latents.
        real: Data, whose root of the total variance is the unit.
    """
    unit = float(real.flatten(1).float().var(0, correction=0).sum().sqrt())
    gap = float((average - live).flatten(1).float().norm(dim=1).median())
    return {"average_gap": gap / unit} if unit > 0 else {}


def share_nearer(x: Tensor, first: Tensor, second: Tensor) -> float:
    """Return the share in [0, 1] of samples x [N, ...] that are nearer to one of ``first`` than of ``second``."""
    to_first, to_second = (torch.cdist(x.flatten(1), y.flatten(1)).min(1).values for y in (first, second))
    return float((to_first < to_second).float().mean())


def signs_of_logits(train: Tensor, held_out: Tensor, fake: Tensor) -> dict[str, float]:
    """Return means and deviations of D's logits [N] on three kinds of samples, by name."""
    found: dict[str, float] = {}
    for name, logits in (("train", train), ("held_out", held_out), ("fake", fake)):
        if len(logits) > 1:
            found |= {
                f"logit_{name}": float(logits.mean()),
                f"logit_{name}_std": float(logits.std(correction=0)),
            }
    return found


def effect(right: Tensor, wrong: Tensor) -> float:
    """Return how much D's logits [N] change with a wrong condition, as a share of their own deviation."""
    deviation = float(right.std(correction=0))
    change = float((right - wrong).square().mean().sqrt())
    return change / deviation if deviation > 0 else 0.0


def signs_of_data(x: Tensor, y: Tensor | None) -> dict[str, float]:
    """Return what training samples [N, ...] show of themselves, by name.

    ``low``, ``high``: their range. ``largest_std``, ``smallest_std``: of their coordinates, those that are constant
    left out. ``repeats``: the share that equal an earlier one. ``distinct``: how many different ones there are, as
    far as the pairs of equal ones tell. ``values``: how many different numbers a coordinate of points has at most, in
    different samples; below 1 for categories. ``label_agreement``: the share whose nearest other one has the same
    label [N]; ``label_chance``: that of labels without meaning.
    """
    flat = x.flatten(1)
    std = flat.std(0, correction=0)
    std = std[std > 0]
    found = {"low": float(flat.min()), "high": float(flat.max())}
    if len(std):
        found |= {"largest_std": float(std.max()), "smallest_std": float(std.min())}
    counts: dict[bytes, int] = {}
    for row in flat.cpu().numpy():
        counts[row.tobytes()] = counts.get(row.tobytes(), 0) + 1
    n, pairs = len(flat), sum(count * (count - 1) / 2 for count in counts.values())
    found["repeats"] = 1 - len(counts) / n
    found["values"] = max(len(column.unique()) for column in flat.T) / len(counts) if x.dim() == 2 else 1.0
    if pairs:  # two of K equally frequent samples are equal with probability 1/K
        found["distinct"] = n * (n - 1) / 2 / pairs
    if y is not None and len(std) and n > 1:
        nearest = torch.cdist(flat, flat).fill_diagonal_(torch.inf).argmin(1)
        shares = torch.bincount(y).float() / n
        found["label_agreement"] = float((y[nearest] == y).float().mean())
        found["label_chance"] = float(shares.square().sum())
    return found
