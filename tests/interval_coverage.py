"""How often the interval of each metric holds the truth: ``python tests/interval_coverage.py 200`` prints a table.

With a third word, a PNG, it plots the same.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from coverage import HONEST, Coverage, coverage
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, GaussianModes, Split
from gantrain.metrics.base import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.registry import build

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
ANGLES = torch.arange(8) * math.pi / 4
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
NEAR_MODE = 1 - math.exp(-4.5)  # of a Gaussian in a plane, within 3 standard deviations


def gaussians(*shape: int, shift: float = 0.0, scale: float = 1.0) -> Draw:
    """Return draws of N(0, 1) and of N(shift, scale^2) in each coordinate."""

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        real, fake = (torch.randn(n, *shape, generator=generator) for _ in range(2))
        return real, shift + scale * fake

    return draw


def ring(modes: int) -> Draw:
    """Return draws of a ring of eight modes, and of the first of them."""

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        of_all, of_some = (GaussianModes(RING[:count], 0.02) for count in (8, modes))
        return of_all.sample(n, generator)[0], of_some.sample(n, generator)[0]

    return draw


@dataclass(frozen=True)
class Case:
    """A metric on a pair of laws.

    Attributes:
        metric: Its name.
        draw: The laws.
        n: Samples on each side.
        labels: Classes of the samples, equal ones on both sides.
        truths: What is known by tag; of the others it is the mean of all readings, for this n.
        density: Of the data, where it is known.
    """

    metric: str
    draw: Draw
    n: int = 300
    labels: int = 0
    truths: Mapping[str, float] = field(default_factory=dict)
    density: GaussianModes | None = None

    def readings(self, repetitions: int) -> dict[str, list[Estimate]]:
        """Return the readings of each tag, with their intervals."""
        metric, generator = build("metric", {"name": self.metric}), torch.Generator().manual_seed(0)
        train = Split(self.draw(1000, generator)[0])
        found: dict[str, list[Estimate]] = {}
        for _ in range(repetitions):
            real, fake = self.draw(self.n, generator)
            y = torch.randint(self.labels, (self.n,), generator=generator) if self.labels else None
            spec = Spec(tuple(real.shape[1:]), classes=self.labels)
            data = Data(spec, train, Split(real, y), self.density)
            sides = {"reference": (real, y), "substitute": (fake, y)}
            scene = Evaluation(
                data, Suite(n=self.n), torch.device("cpu"), 0, conditional=y is not None, **sides
            )
            with torch.inference_mode():
                values, errors = metric(scene), metric.errors(scene)
            for tag, value in values.items():
                known = Estimate.of(value)
                found.setdefault(tag, []).append(known.with_error(errors.get(tag, known.error)))
        return found

    def coverages(self, repetitions: int) -> dict[str, Coverage]:
        """Return how often each tag's interval holds the truth."""
        return {
            tag: of_readings(found, self.truths.get(tag)) for tag, found in self.readings(repetitions).items()
        }


def of_readings(found: Sequence[Estimate], truth: float | None = None) -> Coverage:
    """Return the coverage of a truth, or of the mean of the readings, which is it within a tenth of an error."""
    each = iter(found)
    return coverage(lambda _: next(each), sum(found) / len(found) if truth is None else truth, len(found))


def is_honest(found: Coverage, repetitions: int) -> bool:
    """Return whether a share of 0.92 to 0.98 is within two standard deviations of the one in so many repetitions."""
    low, high = (
        bound + side * 2 * (bound * (1 - bound) / repetitions) ** 0.5
        for side, bound in zip((-1, 1), HONEST, strict=True)
    )
    return found.caveat > 0.5 or low <= found.holds <= high


def frechet_of(d: int, n: int = 300, shift: float = 0.0, scale: float = 1.0) -> Case:
    """Return a case of the Frechet distance, whose value at infinite n is known: d (shift^2 + (scale - 1)^2)."""
    truth = d * (shift**2 + (scale - 1) ** 2)
    return Case(
        "frechet", gaussians(d, shift=shift, scale=scale), n, truths={"divergence/frechet_infinite": truth}
    )


EQUAL_KERNEL = {"divergence/kernel": 0.0}
CASES = {
    "frechet, d=2, equal": frechet_of(2),
    "frechet, d=2, shift 0.2": frechet_of(2, shift=0.2),
    "frechet, d=8, equal": frechet_of(8),
    "frechet, d=8, shift 0.1": frechet_of(8, shift=0.1),
    "frechet, d=8, scale 1.3": frechet_of(8, scale=1.3),
    "frechet, d=64, equal": frechet_of(64, 640),
    "frechet, d=64, shift 0.05": frechet_of(64, 640, shift=0.05),
    "kernel, d=2, equal": Case("kernel", gaussians(2), truths=EQUAL_KERNEL),
    "kernel, d=2, scale 1.2": Case("kernel", gaussians(2, scale=1.2)),
    "kernel, d=8, shift 0.2": Case("kernel", gaussians(8, shift=0.2)),
    "kernel, d=64, equal": Case("kernel", gaussians(64), truths=EQUAL_KERNEL),
    "kernel, d=64, shift 0.1": Case("kernel", gaussians(64, shift=0.1)),
    "prdc, d=2, equal": Case("prdc", gaussians(2)),
    "prdc, d=2, scale 0.6": Case("prdc", gaussians(2, scale=0.6)),
    "prdc, d=2, scale 1.5": Case("prdc", gaussians(2, scale=1.5)),
    "prdc, d=2, shift 3": Case("prdc", gaussians(2, shift=3.0)),
    "prdc, d=8, equal": Case("prdc", gaussians(8)),
    "prdc, d=8, shift 0.5": Case("prdc", gaussians(8, shift=0.5)),
    "prdc, d=64, equal": Case("prdc", gaussians(64)),
    "prdc, d=64, scale 0.8": Case("prdc", gaussians(64, scale=0.8)),
    "prdc, ring, 7 of 8": Case("prdc", ring(7)),
    "modes, ring, 8 of 8": Case(
        "modes", ring(8), truths={"fidelity/high_quality": NEAR_MODE}, density=GaussianModes(RING, 0.02)
    ),
    "modes, ring, 7 of 8": Case(
        "modes",
        ring(7),
        truths={"fidelity/high_quality": NEAR_MODE, "diversity/modes": 7.0},
        density=GaussianModes(RING, 0.02),
    ),
    "nearest, d=2": Case("nearest", gaussians(2, shift=0.5)),
    "nearest, d=64": Case("nearest", gaussians(64, scale=0.9)),
    "sharpness, 6x6": Case("sharpness", gaussians(1, 6, 6, scale=0.8)),
    "per_condition, d=3": Case("per_condition", gaussians(3, scale=0.7), labels=5),
    "intra_frechet, d=2": Case("intra_frechet", gaussians(2, shift=0.5), labels=3),
    "spread, d=2": Case("spread", gaussians(2, scale=0.7), density=GaussianModes(torch.zeros(1, 2), 1.0)),
    "wasserstein, d=3": Case("wasserstein", gaussians(3, shift=0.5), 100),
}


def table(found: Mapping[tuple[str, str], Coverage]) -> str:
    """Return the Markdown of coverages by case and tag."""
    lines = ["| metric, data | tag | the interval holds | above, below | caveat |", "|---|---|---|---|---|"]
    for (case, tag), one in found.items():
        sides = f"{one.above:.3f}, {one.below:.3f}"
        lines.append(f"| {case} | {tag} | {one.holds:.3f} | {sides} | {one.caveat:.2f} |")
    return "\n".join(lines)


def picture(found: Mapping[tuple[str, str], Coverage], repetitions: int, path: Path) -> None:
    """Write a plot of coverages, each with two standard deviations of such a share."""
    from gantrain.core.figures import panels, render

    names = [f"{tag.split('/')[1]}: {case.partition(', ')[2]}" for case, tag in found]
    figure, (axis,) = panels(width=7.0, height=0.9 + 0.19 * len(names))
    axis.axvspan(0.93, 0.97, color="#2f9e6e", alpha=0.2, label="0.93 to 0.97")
    for y, one in enumerate(found.values()):
        noise = 2 * (0.95 * 0.05 / repetitions) ** 0.5
        colour = "#999999" if one.caveat > 0.5 else "#3478c8"
        axis.errorbar([one.holds], [y], xerr=noise, fmt="o", color=colour, markersize=4, linewidth=1)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(ylim=(len(names) - 0.4, -0.6), xlim=(0.7, 1.04))
    axis.set_xlabel(f"share of {repetitions} intervals that hold the truth; grey: with a caveat", fontsize=9)
    axis.grid(alpha=0.25, axis="x")
    axis.legend(loc="lower left", fontsize=8)
    render(figure).save(path, optimize=True)


if __name__ == "__main__":
    count = int(sys.argv[1])
    results = {}
    for name, case in CASES.items():
        for tag, one in case.coverages(count).items():
            results[name, tag] = one
            print(f"{name:28} {tag:30} {one.holds:.3f} {one.caveat:.2f}", file=sys.stderr, flush=True)
    print(table(results))
    if sys.argv[2:]:
        picture(results, count, Path(sys.argv[2]))
