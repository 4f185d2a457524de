"""How right the thermometer is on known densities: python -m benchmarks.thermometer [n] [repeats of an A/A pair].

35 pairs of mixtures of Gaussians of 1 to 64 dimensions: a line for each with the truth, the bound, its interval, and
whether it counts as known; then false alarms on pairs of one law. At n = 10,000 a pair takes about 30 CPU-seconds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import numpy as np
import torch

from gantrain.datasets.base import GaussianModes
from gantrain.verdicts.thermometer.divergence import CLOSE, divergence_of_points

DIMENSIONS = (1, 2, 4, 8, 16, 32, 64)
TRUTH_POINTS = 200_000


def pairs() -> Iterator[tuple[str, GaussianModes, GaussianModes]]:
    """Yield a name and two densities."""
    for d in DIMENSIONS:
        zero, shifted = torch.zeros(1, d), torch.full((1, d), 1 / math.sqrt(d))
        yield f"same {d}", GaussianModes(zero, 1.0), GaussianModes(zero, 1.0)
        yield f"shift {d}", GaussianModes(zero, 1.0), GaussianModes(shifted, 1.0)
        yield f"scale {d}", GaussianModes(zero, 1.0), GaussianModes(zero, 1 + 0.5 / math.sqrt(d))
        modes = 3 * torch.randn(8, d, generator=torch.Generator().manual_seed(d)) / math.sqrt(d) ** 0.5
        yield f"7 of 8 modes {d}", GaussianModes(modes, 0.5), GaussianModes(modes[:7], 0.5)
        weights = torch.arange(1.0, 9.0)
        yield f"weights {d}", GaussianModes(modes, 0.5), GaussianModes(modes, 0.5, weights)


def true_jsd(p: GaussianModes, q: GaussianModes) -> float:
    """Return the JSD in nats, by the mean over 200,000 draws of each."""
    draws, found = torch.Generator().manual_seed(1), math.log(2)
    for own, other in ((p, q), (q, p)):
        x = own.sample(TRUTH_POINTS, draws)[0].double()
        found -= 0.5 * float(torch.nn.functional.softplus(other.log_prob(x) - own.log_prob(x)).mean())
    return found


def draw(density: GaussianModes, n: int, seed: int) -> np.ndarray:
    """Return n points of a density, [n, d]."""
    return np.asarray(density.sample(n, torch.Generator().manual_seed(seed))[0].numpy())


def main(n: int, repeats: int) -> None:
    """Print a line for each pair, and the shares of right and wrong ones."""
    known = wrong = inside = count = 0
    for i, (name, p, q) in enumerate(pairs()):
        truth, found = true_jsd(p, q), divergence_of_points(draw(p, n, 2 * i), draw(q, n, 2 * i + 1))
        low, high = found.jsd.low or 0.0, found.jsd.high or 0.0
        is_wrong = found.is_close and abs(found.jsd - truth) > CLOSE
        count, known, wrong = count + 1, known + found.is_close, wrong + is_wrong
        inside += low - 1e-3 <= truth <= high + 1e-3
        said = ("known" if found.is_close else "cannot tell") + " WRONG" * is_wrong
        print(f"{name:16} {truth:.4f}  {float(found.jsd):.4f} [{low:.4f}, {high:.4f}] {said}", flush=True)
    print(f"{count} pairs, {known} known to {CLOSE}, of these {wrong} wrong; truth in the interval: {inside}")
    one = GaussianModes(torch.zeros(1, 2), 1.0)
    alarms = sum(
        divergence_of_points(draw(one, n, 1000 + 2 * i), draw(one, n, 1001 + 2 * i)).is_different
        for i in range(repeats)
    )
    print(f"{alarms} false alarms in {repeats} pairs of one law")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*([*numbers, *[10_000, 200][len(numbers) :]]))
