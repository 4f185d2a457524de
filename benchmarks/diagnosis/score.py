"""From recorded runs to the record of the detectors: hits among runs with a fault, false alarms among healthy ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.diagnosis.cases import FAULTS
from gantrain.tracking.health.check import Health
from gantrain.tracking.health.finding import Finding
from gantrain.tracking.health.vitals import Subject, Vitals


@dataclass(frozen=True)
class Verdict:
    """What the detectors say of one run.

    Attributes:
        fault: What was injected; empty for a healthy run.
        data: The kind of data.
        words: Of the case.
        seed: Of the run.
        found: The findings, in the order in which they were reported.
    """

    fault: str
    data: str
    words: str
    seed: int
    found: tuple[Finding, ...]

    @property
    def is_right(self) -> bool:
        """Whether the fault is named first; of a healthy run, whether none is."""
        if not self.fault:
            return not any(finding.is_fault for finding in self.found)
        return bool(self.found) and self.found[0].name in FAULTS[self.fault].names


def verdict(row: dict[str, Any], subject: Subject, seen: Sequence[Vitals]) -> Verdict:
    """Return what the detectors say of a recorded run; a run that diverged names the rate that its error blames."""
    health, found = Health(subject), []
    health.first_step = row["first_step"]
    for vitals in seen:
        if not row["fault"] or 5 * vitals.step <= vitals.steps:
            found += health.check(vitals)
    for player in "GD":
        if f"optimizer.{player.lower()}_lr" in row["error"]:
            found.append(Finding(f"{player}'s rate too high", row["error"]))
    return Verdict(row["fault"], row["data"], row["words"], row["seed"], tuple(found))


def table(verdicts: Iterable[Verdict]) -> str:
    """Return a markdown table: of each fault the hits by kind of data, and the false alarms of its names elsewhere."""
    verdicts = list(verdicts)
    healthy = [one for one in verdicts if not one.fault]
    data = sorted({one.data for one in verdicts if one.fault})
    lines = [
        "| fault | named | " + " | ".join(data) + " | all | false alarms |",
        "|---" * (len(data) + 4) + "|",
    ]
    rows = {fault: [one for one in verdicts if one.fault == fault] for fault in FAULTS}
    for fault, runs in rows.items():
        cells = [_share([one for one in runs if one.data == kind]) for kind in data]
        names = FAULTS[fault].names
        alarms = sum(any(f.is_fault and f.name in names for f in one.found) for one in healthy)
        lines.append(
            f"| {fault} | {' or '.join(names)} | {' | '.join(cells)} | {_share(runs)} | {alarms} of {len(healthy)} |"
        )
    faulty = [one for one in verdicts if one.fault]
    cells = [_share([one for one in faulty if one.data == kind]) for kind in data]
    wrong = sum(not one.is_right for one in healthy)
    lines.append(f"| **all** | | {' | '.join(cells)} | {_share(faulty)} | {wrong} of {len(healthy)} |")
    return "\n".join(lines)


def _share(runs: Sequence[Verdict]) -> str:
    return f"{sum(one.is_right for one in runs)} of {len(runs)}" if runs else ""


def mistakes(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a line for each run that the detectors are wrong about."""
    return [
        f"{one.fault or 'healthy ' + one.words}, {one.data}, seed {one.seed}: "
        f"{', '.join(finding.name for finding in one.found) or 'nothing'}"
        for one in verdicts
        if not one.is_right
    ]
