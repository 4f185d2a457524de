"""The trajectory of a game with two numbers: G's against D's, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from gantrain.core.figures import panels, render
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.models.base import Player
from gantrain.registry import option, register

if TYPE_CHECKING:
    from PIL.Image import Image


def single_scalar(player: nn.Module) -> tuple[str, float] | None:
    """Return name and value of a network's only parameter, or None for a network of more."""
    found = player.scalars() if isinstance(player, Player) else {}
    return next(((name, float(value)) for name, value in found.items()), None) if len(found) == 1 else None


@register("metric")
@dataclass
class Trajectory(Metric):
    """How far both players are from the equilibrium at (0, 0), and the way they went, for players of one number each.

    The way is that of the logged scalars, so ``train.log_every=1`` shows every step of it.
    """

    name: str = option("trajectory", "registered name")
    has_floor = False
    needs_d = True
    is_demonstration = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        return None if run.spec.shape == (1,) else "players of one number each make points of one number"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return {"G": "live weights", "D": "playing"}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``generator/radius``, the distance of (theta, psi) from (0, 0); nothing for other players."""
        theta, psi = single_scalar(evaluation.G_live), single_scalar(evaluation.D)
        return {} if theta is None or psi is None else {"generator/radius": math.hypot(theta[1], psi[1])}

    def figures(self, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
        """Return ``trajectory``: D's number against G's with start and end marked, and the radius at each step."""
        theta, psi = single_scalar(evaluation.G_live), single_scalar(evaluation.D)
        if theta is None or psi is None:
            return {}
        tags = f"generator/{theta[0]}", f"discriminator/{psi[0]}"
        rows = [row for row in history if all(tag in row for tag in tags)]
        if not rows:
            return {}
        steps = [row["step"] for row in rows]
        x, y = ([row[tag] for row in rows] for tag in tags)
        radius = [math.hypot(*at) for at in zip(x, y, strict=True)]
        figure, (plane, over) = panels(2, width=5, height=4.6)
        plane.plot(x, y, color="lightgrey", lw=0.8, zorder=1)
        dots = plane.scatter(x, y, c=steps, s=7, cmap="viridis", zorder=2)
        figure.colorbar(dots, ax=plane, label="step")
        plane.plot(0, 0, "+", color="black", ms=14, mew=1.5, label="equilibrium (0, 0)")
        for at, mark, colour, word in ((0, "o", "tab:blue", "start"), (-1, "X", "tab:red", "end")):
            place = f"{word}, step {steps[at]:.0f}: ({_short(x[at])}, {_short(y[at])})"
            plane.plot(x[at], y[at], mark, color=colour, ms=9, mec="white", label=place)
        reach = 1.12 * max(map(abs, [*x, *y]))
        plane.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        plane.set(xlabel=f"{theta[0]} (G)", ylabel=f"{psi[0]} (D)", title="each dot is a step")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
        over.plot(steps, radius, color="tab:purple")
        over.set(yscale="log", xlabel="step", ylabel="distance from the equilibrium")
        over.set(title=f"after {steps[-1]:.0f} steps: {_short(radius[-1])}")
        if max(radius) < 100 * min(
            radius
        ):  # less than a decade or two has no ticks of its own on such a scale
            over.set_yscale("linear")
            over.set_ylim(0, 1.1 * max(radius))
        figure.suptitle(evaluation.suite.title or evaluation.objective.name)
        return {"trajectory": render(figure)}


def _short(value: float) -> str:
    return f"{value:.4g}"
