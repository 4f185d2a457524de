"""The true divergence, where the data's density is known, to compare D's estimate with."""

import math
from dataclasses import dataclass

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.histogram import cell_side, estimates
from gantrain.metrics.tools.quadrature import (
    TOLERANCE,
    density_of_data,
    density_of_generator,
    divergences,
    frame,
    samples,
)
from gantrain.registry import option, register

FRAME_SAMPLES = 10_000  # samples that bound the box of integration, for a generator with a density
CELL_SAMPLES = 200_000  # samples in the histogram of a generator without a density


def why_not_integrable(run: RunSpec) -> str | None:
    """Return why no integral over the data's density is computed: it must be known, on a line or a plane."""
    if run.density is None:
        return "the density of this data is not known"
    return None if run.spec.numel <= 2 else "points of more than two numbers are too many to integrate over"


def side_of_cells(evaluation: Evaluation) -> float:
    """Return the side of the histogram's cells, in the data's unit."""
    return cell_side(density_of_data(evaluation.data), evaluation.real[0].cpu().double())


def histogram_protocol(evaluation: Evaluation) -> dict[str, object]:
    """Return how q is estimated for a generator without a density."""
    side = side_of_cells(evaluation)
    return {"q": "samples counted in cells", "n_counted": CELL_SAMPLES, "cell_side": side}


@register("metric")
@dataclass
class Exact(Metric):
    """Divergences of the data's known density and that of the generator D plays, in nats but total variation and W1.

    By adaptive quadrature for a generator with a density; for any other by counting samples, under other tags
    (``divergence/…_density``, not ``…_exact``) and with a margin, which is no standard error.
    """

    name: str = option("exact", "registered name")
    has_floor = False
    needs_game = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        return why_not_integrable(run)

    def expected_tags(self, run: RunSpec) -> list[str]:
        return ["divergence/js_exact" if run.tractable else "divergence/js_density"]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        shared: dict[str, object] = {"G": "live weights", "p": "known density"}
        if density_of_generator(evaluation) is not None:
            method = {"by": "adaptive Gauss-Legendre quadrature", "tolerance": TOLERANCE}
            return shared | {"q": "known density"} | method
        held_out = {"n": evaluation.n, "n_is": "held-out points that set the side of a cell"}
        return shared | histogram_protocol(evaluation) | held_out

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        log_p, log_q = density_of_data(evaluation.data), density_of_generator(evaluation)
        if log_q is None:
            counted = estimates(log_p, samples(evaluation, CELL_SAMPLES, "exact"), side_of_cells(evaluation))
            found: dict[str, float] = {}
            for name in ("js", "total_variation"):
                value, margin = counted[name], counted[f"{name}_margin"]
                found[f"divergence/{name}_density"] = _within(value, margin)
                found[f"divergence/{name}_density_margin"] = margin
            return found
        # Integrals over a box around both densities; their errors get separate tags.
        cloud = samples(evaluation, FRAME_SAMPLES, "exact")
        values = divergences(log_p, log_q, *frame(evaluation.data, cloud))
        own = ("residual", "error")
        errors = {f"divergence/exact_{key}": values.pop(key) for key in own if key in values}
        margin = errors.get("divergence/exact_error", math.nan)
        for name in values.keys() - {"wasserstein"}:
            values[name] = _within(values[name], margin)
        return {f"divergence/{name}_exact": value for name, value in values.items()} | errors


def _within(value: float, margin: float) -> Estimate:
    """Return a number whose margin is that of a computation, and no error over samples."""
    return Estimate(value, interval=(value - margin, value + margin) if math.isfinite(margin) else None)
