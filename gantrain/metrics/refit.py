"""The divergence by a fresh discriminator: a common scale for every objective and model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.js import JS, quantities
from gantrain.metrics.tools.fresh_discriminator import (
    BATCH,
    MAX_FOURIER_DIMS,
    MIN_SQUARE_DIMS,
    OCTAVES,
    RATE,
    WIDTH,
    Fit,
    bound,
    fit,
    standard_error,
)
from gantrain.objectives.base import Logits
from gantrain.registry import option, register

JACKKNIFE_GROUPS = 50
MAX_BIAS = 0.5  # in standard errors: ±1.96 of them then still contain the truth in 92 %


@dataclass(frozen=True)
class Fits:
    """The fit with all training data and the whole budget, and one with a quarter of both: a learning curve."""

    whole: Fit
    quarter: Fit

    @classmethod
    def of(cls, evaluation: Evaluation) -> Fits:
        """Fit both."""
        with torch.inference_mode(False), torch.enable_grad():
            return cls(fit(evaluation), fit(evaluation, part=4))

    @property
    def caveat(self) -> str:
        """Why the bound is loose; "" if nothing shows that it is.

        Four times as much would gain about what the last factor of four gained, or less. And the divergence is about
        half way to what D achieves on the data that it was fitted to.
        """
        value, known, earlier = map(bound, (self.whole.held_out, self.whole.fitted, self.quarter.held_out))
        error = standard_error(self.whole.held_out)
        if known - value > 2 * math.hypot(error, standard_error(self.whole.fitted)):
            return f"a loose bound, this D reads {known:.3f} on its training data, which are too few for it"
        if value - earlier > MAX_BIAS * error:
            return (
                f"a loose bound, {earlier:.3f} with a quarter of the training data and of metric.refit_steps"
            )
        return ""


def own_logits(evaluation: Evaluation) -> Logits | None:
    """Return the logits of the game's own D; None if it estimates no JSD of single samples."""
    # A baseline has no D; the divergence of packs and batches is another quantity.
    if not evaluation.game.objective.has_game or evaluation.game.couples_samples:
        return None
    return evaluation.once(JS.logits) if "js" in quantities(evaluation.game.objective) else None


@register("metric")
@dataclass
class Refit(Metric):
    """JSD by a D trained from scratch against the frozen live G: one network and budget for every objective.

    A lower bound, as ``divergence/js`` is, but by a D that is independent of the game: of its penalty, noise, packing
    and update ratio. For a conditional model it is of pairs of sample and condition.
    """

    name: str = option("refit", "registered name")
    has_floor = False
    needs_game = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.data is not None and run.data.within is not None:
            return "no data are held out, on which to read a D that is fitted to the others"
        return None

    def expected_tags(self, run: RunSpec) -> list[str]:
        has_gap = "divergence/js" in JS().expected_tags(run)
        return ["divergence/js_refit", *["divergence/js_gap"] * has_gap]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        spec = evaluation.data.spec
        squares = "squares, " if spec.numel >= MIN_SQUARE_DIMS else ""
        first = f"{squares}{OCTAVES} octaves of sines, " if spec.numel <= MAX_FOURIER_DIMS else squares
        if spec.is_image:
            first = "2 convolutions (32 and 64 channels), "
        paired = evaluation.conditional and spec.is_labelled
        return {
            "D": f"fresh, {first}3 layers of {WIDTH}, leaky ReLU",
            "sees": "sample and condition" if paired else "sample",
            "training": f"cross-entropy, Adam, rate {RATE:g} falling to 0 by a cosine",
            "steps": evaluation.suite.refit_steps,
            "batch": BATCH,
            "G": "live weights",
            "split": "fit on train; two halves of holdout, the D that is best on one is read on the other",
            "n_fit": len(evaluation.data.train),
            "n": evaluation.n,
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        fits = evaluation.once(Fits.of)
        terms = fits.whole.held_out
        value = Estimate(bound(terms), standard_error(terms), evaluation.n, is_lower_bound=True)
        if fits.caveat:  # the divergence is above what this D reads
            value = Estimate(value, value.error, value.n, True, fits.caveat, (value.low, None))
        own = own_logits(evaluation)
        if own is None:
            return {"divergence/js_refit": value}
        gap = Estimate(
            value - evaluation.game.objective.estimate(own)["js"], n=evaluation.n, is_lower_bound=True
        )
        return {"divergence/js_refit": value, "divergence/js_gap": gap}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        own = own_logits(evaluation)
        if own is None:
            return {}
        terms, estimate = evaluation.once(Fits.of).whole.held_out, evaluation.game.objective.estimate

        def gap(kept: Tensor) -> float:
            mismatched = None if own.mismatched is None else own.mismatched[kept]
            return bound(terms[:, kept]) - estimate(Logits(own.real[kept], own.fake[kept], mismatched))["js"]

        # Both numbers are of the same samples, so their errors do not add: jackknife over groups of samples.
        indices = torch.arange(evaluation.n, device=terms.device)
        groups = min(JACKKNIFE_GROUPS, evaluation.n)
        gaps = torch.tensor([gap(indices[indices % groups != group]) for group in range(groups)])
        return {"divergence/js_gap": math.sqrt((groups - 1) * float(gaps.double().var(unbiased=False)))}
