"""Write the tables of docs/diagnosis.md and draw docs/images/diagnosis.svg, by ``python docs/diagnosis.py``.

The tables of detectors come from the package, those of hits and alarms from benchmarks/diagnosis/records.jsonl.xz.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.diagnosis.record import read_file
from benchmarks.diagnosis.score import Verdict, table, verdict
from gantrain.tracking.health.check import CAUSES, DATA, NOTES, SYMPTOMS
from gantrain.tracking.health.detector import Detector
from gantrain.tracking.health.game import EFFECT, MEMORY
from gantrain.tracking.health.samples import GAPS, PEAK, SPREAD

DOCS = Path(__file__).parent
PAGE, PICTURE = DOCS / "diagnosis.md", DOCS / "images" / "diagnosis.svg"
RECORDS = DOCS.parent / "benchmarks" / "diagnosis" / "records.jsonl.xz"
GROUPS = {"data": DATA, "causes": CAUSES, "symptoms": SYMPTOMS, "notes": NOTES}
# Signs with a threshold: how each is read of a check, and which fault it finds.
SIGNS = {
    "gap between samples, for their spread": ("partial collapse", GAPS),
    "share that alternates from pixel to pixel": ("checkerboard", PEAK),
    "training data above held-out data, by D": ("overfitted D", MEMORY),
    "effect of a wrong condition on D": ("wrong pairs accepted", EFFECT),
}


FIFTH = 0.2  # of a run
FLOOR = 1e-3  # of what is drawn, where the axis is logarithmic


def detector_table(detectors: Sequence[Detector]) -> str:
    """Return a markdown table of detectors in order of priority."""
    rows = ["| fault | normal | likely cause |", "|---|---|---|"]
    rows += [f"| {(one.find.__doc__ or '').rstrip('.')} | {one.normal} | {one.cause} |" for one in detectors]
    return "\n".join(rows)


@cache
def recorded() -> list[tuple[Verdict, list[tuple[float, dict[str, float]]]]]:
    """Return what the detectors say of each recorded run, with the share of the run and the signs of its checks."""
    return [
        (verdict(row, subject, seen), [(one.step / one.steps, dict(one.signs)) for one in seen])
        for row, subject, seen in read_file(RECORDS)
    ]


def page(text: str) -> str:
    """Return the page with its tables made anew."""
    blocks = {name: detector_table(group) for name, group in GROUPS.items()}
    verdicts = [one for one, _ in recorded()]
    for name, half in (("even", 0), ("odd", 1)):
        blocks[name] = table([one for one in verdicts if one.seed % 2 == half])
    for name, block in blocks.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m, b=block: m[1] + b + m[2], text, flags=re.S
        )
    return text


def reading(name: str, signs: dict[str, float]) -> float | None:
    """Return a sign by its name in the picture, or None where it is not known."""
    keys = {"share": "peak", "training": "auc_train", "effect": "condition_effect"}
    if name.startswith("gap"):
        spread = signs.get("spread", 0.0)
        return signs["nearest"] / spread if spread >= SPREAD else 0.0 if signs else None
    return signs.get(keys[name.split(" ", 1)[0]])


def draw() -> Figure:
    """Return the picture: each sign in runs with its fault and in healthy ones, in the first fifth."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    for axes, (name, (fault, threshold)) in zip(figure.subplots(2, 2).flat, SIGNS.items(), strict=True):
        for label, colour, size in (("", "#888888", 8), (fault, "#b00020", 12)):
            points = [
                (100 * share + (0.4 if label else -0.4), max(value, FLOOR))
                for one, seen in recorded()
                if one.fault == label
                for share, signs in seen
                if share <= FIFTH and (value := reading(name, signs)) is not None
            ]
            xs, ys = zip(*points, strict=True) if points else ((), ())
            axes.scatter(xs, ys, s=size, c=colour, alpha=0.6, label=label or "healthy", linewidths=0)
        axes.axhline(threshold, color="black", linewidth=0.8, linestyle="--")
        axes.set(title=name, yscale="linear" if fault == "overfitted D" else "log")
        axes.set_xticks([5, 10, 15, 20], ["5 %", "10 %", "15 %", "20 %"])
        axes.title.set_fontsize(10)
        axes.legend(fontsize=8, loc="best")
    figure.supxlabel("of the run", fontsize=10)
    return figure


def main() -> None:
    """Write the page's tables and the picture."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw().savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
