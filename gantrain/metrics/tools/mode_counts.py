"""Samples counted by mode: how many modes occur, how uneven their histogram is, and how much both would vary."""

import math

import numpy as np
import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.tools.intervals import SquaredSpread

DRAWS = 200  # multinomial ones, for a standard deviation
FEW_MODES = 50  # at most so many are shrunk to equal shares; more of them show the law of their own shares
MAX_SKEWNESS = 0.5  # of mode_kl, for a symmetric error
BIAS_SHARE = 0.1  # of an error that the bias of ``mode_kl``, of the first order in 1/n, may be off
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
    return {
        "modes": Estimate(found["modes"], n=n),
        "mode_kl": Estimate(found["mode_kl"], n=n, caveat=ONE_VALUE.get(int(found["modes"]), "")),
    }


def mode_errors(counts: Tensor, n: int, seed: int) -> dict[str, Estimate]:
    """Return standard deviations of ``modes`` and ``mode_kl`` over n samples, of which counts [K] lie at modes.

    They are those of draws from estimated shares of the modes: the counted ones are too uneven, and a mode without a
    sample would never occur.
    """
    hits = float(counts.sum())
    if hits == 0:
        return {"modes": Estimate(0.0), "mode_kl": Estimate(0.0)}
    is_few = len(counts) <= FEW_MODES
    shares = _few_shares(counts) if is_few else _many_shares(counts)
    cells = np.append(shares.numpy() * hits / n, max(0.0, 1 - hits / n))
    drawn = np.random.default_rng(seed).multinomial(n, cells / cells.sum(), size=DRAWS)
    found = [describe_counts(torch.from_numpy(row)) for row in drawn[:, :-1]]
    values = {tag: torch.tensor([each[tag] for each in found], dtype=torch.float64) for tag in found[0]}
    errors = {tag: Estimate(float(value.std())) for tag, value in values.items()}
    if int(_is_rare(counts).sum()) < ENOUGH:
        errors["modes"] = Estimate(errors["modes"], interval=_interval_of_modes(counts, seed))
    if is_few and _is_nearly_equal(counts):
        errors["mode_kl"] = _error_near_equality(counts)
    return errors


def _is_rare(counts: Tensor) -> Tensor:
    return (counts > 0) & (counts <= RARE)


def _interval_of_modes(counts: Tensor, seed: int) -> tuple[float, float]:
    """Return the interval of the expected number of modes where a few rare ones decide it.

    A rare mode's expected count is Jeffreys' posterior of its count, and it is found unless a Poisson variable is 0.
    All modes without a sample together have at most three expected ones, by the rule of three.
    """
    rare, found = counts[_is_rare(counts)].double().numpy(), int((counts > 0).sum())
    rates = np.random.default_rng(seed).gamma(rare + 0.5, size=(10 * DRAWS, len(rare)))
    low, high = np.quantile(found - np.exp(-rates).sum(1), (0.025, 0.975))
    unseen = len(counts) - found
    return float(low), float(high) + (unseen * -math.expm1(-3 / unseen) if unseen else 0.0)


def _error_near_equality(counts: Tensor) -> Estimate:
    """Return the error of ``mode_kl`` where 2 n KL of the modes with samples is nearly chi-squared (Wilks 1938)."""
    found = counts[counts > 0].double()
    hits, freedom = float(found.sum()), len(found) - 1
    logs, shares = (found / hits).log(), found / hits
    quadratic = freedom / (2 * hits**2)
    variance = float((shares * logs.square()).sum() - (shares * logs).sum() ** 2)
    # Where all modes are equal this variance is chance, and twice the quadratic part on average.
    spread = SquaredSpread(max(variance / hits - 2 * quadratic, 0.0), quadratic, 1 / (2 * hits))
    value, bias = (
        describe_counts(counts)["mode_kl"],
        math.log(len(counts) / len(found)) + freedom / (2 * hits),
    )
    return spread.error_of(value, bias, BIAS_SHARE * quadratic**0.5)


def _chi_squared(found: Tensor) -> tuple[float, int]:
    """Return Pearson's statistic of equal shares of counts [K], which is nearly 2 n KL, and its degrees of freedom."""
    mean = found.mean()
    return float(((found - mean).square() / mean).sum()), len(found) - 1


def _is_nearly_equal(counts: Tensor) -> bool:
    """Whether modes with samples differ by so little that ``mode_kl`` is skewed, as a noncentral chi-squared is."""
    chi2, freedom = _chi_squared(counts[counts > 0].double())
    excess = max(0.0, chi2 - freedom)
    skewness = 8 * (freedom + 3 * excess) / max(2 * freedom + 4 * excess, 1e-9) ** 1.5
    return excess < freedom or skewness > MAX_SKEWNESS


def _few_shares(counts: Tensor) -> Tensor:
    """Return shares [K] of modes with samples, shrunk to equal ones by half of what chance adds to chi-squared.

    All of it (James and Stein 1961) would be right on average, but too small an error where chi-squared happens to be
    small, as the value itself then is; half of it keeps the error in proportion to the square root of chi-squared.
    """
    is_found = counts > 0
    found = counts[is_found].double()
    mean = found.mean()
    chi2, freedom = _chi_squared(found)
    keep = max(0.0, 1 - freedom / (2 * chi2)) ** 0.5 if chi2 > 0 else 0.0
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
