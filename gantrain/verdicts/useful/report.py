"""The comparison as a table and as a picture."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from gantrain.core.figures import panels, render
from gantrain.core.text import align_columns
from gantrain.verdicts.useful.arms import REAL
from gantrain.verdicts.useful.compare import Case
from gantrain.verdicts.useful.gains import Interval
from gantrain.verdicts.useful.verdict import points


def table(cases: Sequence[Case]) -> str:
    """Return the arms of each comparison in lines: accuracy, the cut class's recall, and the gain over real data."""
    return "\n\n".join(_part(case) for case in cases)


def _part(case: Case) -> str:
    recall = [] if case.rare is None else [f"recall of class {case.rare}"]
    rows = [[title(case), "accuracy (95 %)", *recall, "points against real (95 %)"]]
    for arm in case.hits:
        measured = [case.accuracy(arm)] + ([] if case.rare is None else [case.recall(arm, case.rare)])
        rows.append([arm, *map(_share, measured), "" if arm == REAL.name else _gain(case.gain(arm))])
    return align_columns(rows)


def title(case: Case) -> str:
    """Return what real samples a comparison has."""
    if case.rare is None:
        return f"all {sum(case.counts):,} training samples"
    return f"{case.counts[case.rare]:,} of {case.before:,} samples of class {case.rare}"


def _share(interval: Interval) -> str:
    value, low, high = (100 * share for share in interval)
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _gain(interval: Interval) -> str:
    return f"{points(interval.value)} ({points(interval.low)} to {points(interval.high)})"


def picture(cases: Sequence[Case]) -> Image.Image:
    """Return the gains of the arms over real data alone, each with its 95 % interval, in one panel a comparison."""
    figure, axes = panels(len(cases), 5.2, 2.6)
    for axis, case in zip(axes, cases, strict=True):
        _draw(axis, case)
    return render(figure)


def _draw(axis: Any, case: Case) -> None:
    arms = [arm for arm in case.hits if arm != REAL.name]
    axis.axvline(0, color="#888888", linewidth=1)
    for place, arm in enumerate(reversed(arms)):
        gain = case.gain(arm)
        axis.plot([100 * gain.low, 100 * gain.high], [place, place], color="#1f77b4", linewidth=2)
        axis.plot([100 * gain.value], [place], "o", color="#1f77b4")
    axis.set_yticks(range(len(arms)), list(reversed(arms)))
    axis.set_ylim(-0.6, len(arms) - 0.4)
    what = "accuracy" if case.rare is None else f"recall of class {case.rare}"
    axis.set(title=title(case), xlabel=f"gain in {what}, points (95 %)")
