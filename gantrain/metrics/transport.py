"""How far G moves its latents, beside the least that any map to the data would."""

from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.figures import panels, render
from gantrain.core.sampling_error import estimate_from_means
from gantrain.metrics.base import Evaluation, History, Metric, RunSpec
from gantrain.metrics.evaluation import in_double
from gantrain.metrics.tools.errors import from_groups
from gantrain.metrics.wasserstein import MAX_EXACT, exact
from gantrain.registry import option, register

ARROWS = 200  # of the figure


@register("metric")
@dataclass
class Transport(Metric):
    """E |G(z) - z|^2, and the least mean square of a pairing of latents with held-out data, on at most 1,000 of each.

    ``transport/excess`` is the share by which the first exceeds the least of these latents with these samples: 0
    exactly for a G that is an optimal map to its own samples, for any number of them. ``transport/exact`` of N points
    is above that of the distributions, the more so the more dimensions there are.
    """

    name: str = option("transport", "registered name")
    tags = ("transport/cost", "transport/exact", "transport/excess")
    needs_game = True
    has_floor = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        return None if run.z_dim == run.spec.numel else "z is not as wide as the data"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {"distance": "squared L2", "n": min(MAX_EXACT, evaluation.n)}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        z, x, real = evaluation.once(pairs)
        squares = (x - z).square().sum(1)
        cost, least = float(squares.mean()), exact(z, x, power=2)
        return {
            "transport/cost": estimate_from_means(cost, squares),
            "transport/exact": Estimate(exact(z, real, power=2), n=len(z)),
            "transport/excess": Estimate(cost / least - 1 if least else 0.0, n=len(z)),
        }

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        z, _, real = evaluation.once(pairs)

        def costs(groups: Tensor) -> dict[str, Tensor]:
            values = [exact(z[rows], real[rows], power=2) for rows in groups]
            return {"transport/exact": torch.tensor(values, dtype=torch.float64)}

        return from_groups(costs, len(z), evaluation.seed)

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        if evaluation.data.spec.shape != (2,):
            return {}
        z, x, real = (points[:ARROWS].cpu() for points in evaluation.once(pairs))
        figure, axes = panels(2, is_fitted=False)
        for ax, title, ends in (
            (axes[0], "the map of G", x),
            (axes[1], "the best pairing with data", real[best_pairing(z, real)]),
        ):
            (x0, y0), (dx, dy) = z.T.numpy(), (ends - z).T.numpy()
            ax.quiver(x0, y0, dx, dy, angles="xy", scale_units="xy", scale=1, width=0.002, color="#8899aa")
            ax.plot(x0, y0, ".", color="#1f77b4", markersize=3, label="z")
            ax.plot(
                *ends.T.numpy(), ".", color="#d9a400", markersize=4, label="samples" if ends is x else "data"
            )
            cost = float((ends - z).square().sum(1).mean())
            ax.set(aspect="equal", title=f"{title}: mean square {cost:.3f}")
            ax.legend(loc="upper right", fontsize=8)
        return {"transport": render(figure)}


def best_pairing(a: Tensor, b: Tensor) -> Tensor:
    """Return the index of the partner in b [N, d] of each point of a [N, d], of the least sum of squared distances."""
    from scipy.optimize import linear_sum_assignment

    return torch.from_numpy(linear_sum_assignment(torch.cdist(a, b).square().numpy())[1])


def pairs(evaluation: Evaluation) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents z, the samples of them, and as many held-out data, each [n, d] in float64."""
    rows = torch.arange(min(MAX_EXACT, evaluation.n))
    samples = evaluation.generate(evaluation.game.G, evaluation.reals.y, "transport")
    x, real = (in_double(side.take(rows)).flatten(1) for side in (samples, evaluation.reals))
    z = in_double(evaluation.game.latents(evaluation.n, "transport")[rows].to(x.device))
    return z[:, : x.shape[1]], x, real
