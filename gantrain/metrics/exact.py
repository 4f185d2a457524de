"""The divergence itself, where the data's density is known: the truth beside what D estimates."""

from __future__ import annotations

from dataclasses import dataclass

from gantrain.datasets.base import Data, SyntheticPoints
from gantrain.metrics.base import Evaluation, Metric, Planned
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

DRAWN = 10_000  # samples that show where a generator with a density is
COUNTED = 200_000  # samples of a generator without one


def unknown_density(data: Data) -> str | None:
    """Return why nothing can be integrated: the density must be known, on a line or a plane."""
    if data.density is None:
        return "the density of this data is not known"
    return None if data.spec.numel <= 2 else "points of more than two numbers are too many to integrate over"


@register("metric")
@dataclass
class Exact(Metric):
    """Divergences of the data's known density and that of the generator D plays, in nats but total variation and W1.

    By adaptive quadrature for a generator with a density; for any other by counting samples, under other tags and
    with a margin.
    """

    name: str = option("exact", "registered name")
    floored = False

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: see ``unknown_density``."""
        return unknown_density(data)

    def expected(self, run: Planned) -> list[str]:
        """Return the truth of what the game is most often about: JSD."""
        if not isinstance(run.dataset, SyntheticPoints) or run.spec.numel > 2:
            return []
        return ["divergence/js_exact" if run.model.tractable else "divergence/js_density"]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return how the densities are compared."""
        shared: dict[str, object] = {"G": "live weights", "p": "known density"}
        if density_of_generator(evaluation) is not None:
            return shared | {
                "q": "known density",
                "by": "adaptive Gauss-Legendre quadrature",
                "tolerance": TOLERANCE,
            }
        side = cell_side(density_of_data(evaluation.data), evaluation.real[0].cpu().double())
        counted = {"q": "samples counted in cells", "n_counted": COUNTED, "cell_side": side}
        return shared | counted | {"n": evaluation.n, "n_is": "held-out points that set the side of a cell"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``divergence/…_exact`` of a generator with a density, else ``divergence/…_density``."""
        log_p, log_q = density_of_data(evaluation.data), density_of_generator(evaluation)
        if log_q is None:
            side = cell_side(log_p, evaluation.real[0].cpu().double())
            found = estimates(log_p, samples(evaluation, COUNTED, "exact"), side)
            return {
                f"divergence/{name.removesuffix('_se')}_density{'_se' * name.endswith('_se')}": value
                for name, value in found.items()
            }
        drawn = samples(evaluation, DRAWN, "exact")
        found = divergences(log_p, log_q, *frame(evaluation.data, drawn))
        own = {f"divergence/exact_{name}": found.pop(name) for name in ("residual", "error") if name in found}
        return {f"divergence/{name}_exact": value for name, value in found.items()} | own
