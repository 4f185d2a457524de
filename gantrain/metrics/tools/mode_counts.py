"""Samples counted by mode: how many modes occur, how uneven their histogram is, and how much both would vary."""

import math

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate

DRAWS = 200  # multinomial ones, for a standard deviation
FEW_MODES = 50  # at most so many are shrunk to equal shares; more of them show the law of their own shares
GRID, ITERATIONS = 400, 1000  # expected counts of a mode, and steps of the EM algorithm
# Of no mode and of one mode KL is log K alike, and so the worst of both.
ONE_VALUE = {0: "no sample is at a mode, which reads as one mode does", 1: "the samples are at one mode"}
RARE, ENOUGH = 3, 5  # samples that a rare mode has at most; rare modes for a symmetric error


def describe_counts(counts: Tensor) -> dict[str, float]:
    """Return ``modes``, those of counts [K] above 0, and ``mode_kl``, KL(histogram, uniform) = log K - H in nats."""
    # 0 log 0 = 0; the H of no samples is 0.
    share = counts[counts > 0].double() / max(float(counts.sum()), 1.0)
    return {
        "modes": float(len(share)),
        "mode_kl": math.log(len(counts)) + float(torch.xlogy(share, share).sum()),
    }


def mode_estimates(counts: Tensor, n: int) -> dict[str, Estimate]:
    """Return what ``describe_counts`` gives, of n samples of which counts [K] lie at modes, with caveats."""
    found = describe_counts(counts)
    rare = int(((counts > 0) & (counts <= RARE)).sum())
    caveat = f"{rare} of the modes have at most {RARE} samples" if 0 < rare < ENOUGH else ""
    return {
        "modes": Estimate(found["modes"], n=n, caveat=caveat),
        "mode_kl": Estimate(found["mode_kl"], n=n, caveat=ONE_VALUE.get(int(found["modes"]), "")),
    }


def mode_errors(counts: Tensor, n: int, seed: int) -> dict[str, float]:
    """Return standard deviations of ``modes`` and ``mode_kl`` over n samples, of which counts [K] lie at modes.

    They are those of draws from estimated shares of the modes: the counted ones are too uneven, and a mode without a
    sample would never occur.
    """
    hits = float(counts.sum())
    if hits == 0:
        return {"modes": 0.0, "mode_kl": 0.0}
    shares = _few_shares(counts) if len(counts) <= FEW_MODES else _many_shares(counts)
    cells = torch.cat([shares * hits / n, torch.tensor([1 - hits / n]).double()]).clamp(min=0)
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(cells.expand(DRAWS, -1), n, replacement=True, generator=rng)  # [draws, n]
    histograms = torch.zeros(DRAWS, len(cells)).scatter_add_(1, drawn, torch.ones(()).expand(drawn.shape))
    values = [describe_counts(row[:-1]) for row in histograms]
    return {
        tag: float(torch.tensor([value[tag] for value in values], dtype=torch.float64).std())
        for tag in values[0]
    }


def _few_shares(counts: Tensor) -> Tensor:
    """Return shares [K] of modes with samples, shrunk to equal ones by their chi-squared (James and Stein 1961)."""
    is_found = counts > 0
    found = counts[is_found].double()
    mean = found.mean()
    chi2 = float(((found - mean).square() / mean).sum())
    keep = max(0.0, 1 - (len(found) - 1) / chi2) if chi2 > 0 else 0.0
    shares = torch.zeros(len(counts), dtype=torch.float64)
    shares[is_found] = (mean + keep * (found - mean)) / found.sum()
    return shares


def _many_shares(counts: Tensor) -> Tensor:
    """Return shares [K], in some order: quantiles of the likeliest law of expected counts.

    The nonparametric maximum likelihood of a Poisson mixture on a grid (Kiefer and Wolfowitz 1956), by EM.
    """
    value, times = counts.double().unique(return_counts=True)
    top = 1.3 * float(value.max()) + 1
    rates = torch.cat([torch.zeros(1), torch.logspace(math.log10(0.02), math.log10(top), GRID)]).double()
    likelihood = (torch.xlogy(value, rates[:, None]) - rates[:, None] - torch.lgamma(value + 1)).exp()
    weights = torch.full((len(rates),), 1 / len(rates), dtype=torch.float64)
    for _ in range(ITERATIONS):
        posterior = weights[:, None] * likelihood
        weights = posterior / posterior.sum(0) @ times.double() / len(counts)
    middles = (torch.arange(len(counts)).double() + 0.5) / len(counts)
    shares = rates[torch.searchsorted(weights.cumsum(0), middles).clamp(max=len(rates) - 1)]
    return shares / shares.sum()
