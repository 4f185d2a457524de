"""The trajectory of a game of two scalars, the parameters of G and D."""

import math
from dataclasses import dataclass

from PIL.Image import Image
from torch import nn

from gantrain.core.figures import panels, render
from gantrain.metrics.base import Evaluation, History, Metric, RunSpec
from gantrain.models.base import Player
from gantrain.registry import option, register


def single_scalar(player: nn.Module) -> tuple[str, float] | None:
    """Return name and value of a network's only parameter, or None for a network of more."""
    scalars = player.scalars() if isinstance(player, Player) else {}
    return (
        next(((name, float(value)) for name, value in scalars.items()), None) if len(scalars) == 1 else None
    )


@register("metric")
@dataclass
class Trajectory(Metric):
    """Distance of (theta, psi) from the equilibrium (0, 0) and their trajectory, for networks of one parameter each.

    The Dirac-GAN of Mescheder, Geiger and Nowozin 2018, sec. 2. The trajectory is that of the logged scalars, so
    ``train.log_every=1`` plots every step.
    """

    name: str = option("trajectory", "registered name")
    has_floor = False
    needs_d = True
    is_demonstration = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        return None if run.spec.shape == (1,) else "only networks of one parameter each have a trajectory"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return {"G": "live weights", "D": "playing"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``generator/radius``, the distance of (theta, psi) from (0, 0); nothing for other networks."""
        theta, psi = single_scalar(evaluation.game.G_live), single_scalar(evaluation.game.D)
        return {} if theta is None or psi is None else {"generator/radius": math.hypot(theta[1], psi[1])}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``trajectory``: psi against theta with start and end marked, and the radius at each step."""
        theta, psi = single_scalar(evaluation.game.G_live), single_scalar(evaluation.game.D)
        if theta is None or psi is None:
            return {}
        tags = f"generator/{theta[0]}", f"discriminator/{psi[0]}"
        rows = [row for row in history if all(tag in row for tag in tags)]
        if not rows:
            return {}
        steps = [row["step"] for row in rows]
        x, y = ([row[tag] for row in rows] for tag in tags)
        radius = [math.hypot(*at) for at in zip(x, y, strict=True)]

        # Left: the path in the plane of both parameters.
        figure, (plane, over) = panels(2, width=5, height=4.6)
        plane.plot(x, y, color="lightgrey", lw=0.8, zorder=1)
        dots = plane.scatter(x, y, c=steps, s=7, cmap="viridis", zorder=2)
        figure.colorbar(dots, ax=plane, label="step")
        plane.plot(0, 0, "+", color="black", ms=14, mew=1.5, label="equilibrium (0, 0)")
        for at, mark, colour, word in ((0, "o", "tab:blue", "start"), (-1, "X", "tab:red", "end")):
            label = f"{word}, step {steps[at]:.0f}: ({x[at]:.4g}, {y[at]:.4g})"
            plane.plot(x[at], y[at], mark, color=colour, ms=9, mec="white", label=label)
        reach = 1.12 * max(map(abs, [*x, *y]))
        plane.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        plane.set(xlabel=f"{theta[0]} (G)", ylabel=f"{psi[0]} (D)", title="each dot is a step")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)

        # Right: the radius; a range of less than two decades has no ticks on a log scale.
        over.plot(steps, radius, color="tab:purple")
        over.set(yscale="log", xlabel="step", ylabel="distance from the equilibrium")
        over.set(title=f"after {steps[-1]:.0f} steps: {radius[-1]:.4g}")
        if max(radius) < 100 * min(radius):
            over.set_yscale("linear")
            over.set_ylim(0, 1.1 * max(radius))
        figure.suptitle(evaluation.suite.title or evaluation.game.objective.name)
        return {"trajectory": render(figure)}
