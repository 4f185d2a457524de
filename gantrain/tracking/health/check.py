"""The checks of a run's health: which rules there are, in which order, and what is reported when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gantrain.tracking.health import data, game, players, samples
from gantrain.tracking.health.case import Case
from gantrain.tracking.health.finding import Finding, valid_remedies
from gantrain.tracking.health.vitals import Subject, Vitals

PATIENCE = 2  # evaluations in a row that must show a fault that is not certain
FEW = 500  # held-out samples below which the error of a share deserves a word
Rule = Callable[[Case], Finding | None]

# What the data allow; any number of these can hold at once.
DATA: tuple[Rule, ...] = (data.few_held_out, data.wrong_labels, data.unequal_classes)
# Why a game fails, the surest first; only the first is reported, since it explains the others.
CAUSES: tuple[Rule, ...] = (
    players.frozen_player,
    game.random_labels,
    game.drowned_data,
    players.rate_too_high,
    players.rate_too_low,
    game.few_training_samples,
    game.memorised_data,
    game.vanished_gradient,
    game.perfect_d,
    game.worse_than_chance,
    game.d_at_chance,
)
# What is wrong with samples, where no cause is known; the first.
SYMPTOMS: tuple[Rule, ...] = (
    samples.copies,
    samples.missing_modes,
    samples.collapse,
    samples.nothing_learnt,
    samples.ignored_condition,
)
RULES = DATA + CAUSES + SYMPTOMS


@dataclass
class Health:
    """Checks each evaluation, and reports a fault once for as long as it lasts.

    Attributes:
        subject: The run.
        standing: The reported faults that still last, by name, the surest first.
        step: That of the last check; -1 before the first.
        checks: How many there were.
        most_modes: The most modes that any of them found.
        counts: Checks in a row that found a fault, by its name.
        first_step: How far the first step moved the weights of ``g`` and ``d``, in their norms.
    """

    subject: Subject
    standing: dict[str, Finding] = field(default_factory=dict)
    step: int = -1
    checks: int = 0
    most_modes: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    first_step: Mapping[str, float] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    def check(self, vitals: Vitals) -> list[Finding]:
        """Return the faults that were not reported at the last check."""
        self.most_modes = max(self.most_modes, vitals.estimates.get("diversity/modes", 0.0))
        case = self.case(vitals)
        self.step, self.checks = vitals.step, self.checks + 1
        found = {rule: finding for rule in RULES if (finding := rule(case))}
        self.counts = {f.name: self.counts.get(f.name, 0) + 1 for f in found.values()}
        # A fault must last for several evaluations, unless there is one only.
        is_only = self.checks == 1 and vitals.step >= vitals.steps
        patience = 1 if is_only else PATIENCE
        lasting = {r: f for r, f in found.items() if f.is_certain or self.counts[f.name] >= patience}
        cause = [lasting[rule] for rule in CAUSES if rule in lasting][:1]
        # A cause that is not sure yet silences the symptoms that it may explain.
        explained = any(rule in found for rule in CAUSES)
        symptom = [] if explained else [lasting[rule] for rule in SYMPTOMS if rule in lasting][:1]
        limits = [lasting[rule] for rule in DATA if rule in lasting]
        self.standing = {
            finding.name: replace(finding, remedies=valid_remedies(self.subject.config, finding.remedies))
            for finding in limits + cause + symptom
        }
        new = [finding for name, finding in self.standing.items() if name not in self._reported]
        self._reported = set(self.standing)
        return new

    def case(self, vitals: Vitals) -> Case:
        """Return what the rules read of an evaluation."""
        return Case(self.subject, vitals, self.most_modes, self.first_step)

    def blind_spots(self) -> list[str]:
        """Return what these checks could not see, and why, a line each."""
        config, metrics, n = self.subject.config, self.subject.metrics, self.subject.n
        if not metrics:
            return ["samples and D: no metrics are computed; metric=fast has some"]
        lines = []
        if not config.train.evaluate_every:
            lines.append("everything before the end: train.evaluate_every=0")
        if not config.objective.has_game:
            lines.append("D: this objective trains none")
        elif "js" not in metrics:
            lines.append("D on held-out data: metric js is not computed; metric=fast has it")
        if not {"prdc", "modes", "class_modes"}.intersection(metrics):
            lines.append("the variety of samples: metric prdc is not computed; metric=fast has it")
        if n < FEW:
            least = 1.96 * (0.5 / n) ** 0.5  # of two shares near one half
            lines.append(
                f"differences below {least:.2f} in a share of samples: n={n}, k={min(config.metric.k, n - 1)}"
            )
        return lines

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, as plain data."""
        return {
            "step": self.step,
            "checks": self.checks,
            "most_modes": float(self.most_modes),
            "counts": self.counts,
            "first_step": dict(self.first_step),
            "reported": sorted(self._reported),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a checkpoint; one of an earlier version has none, and the checks begin anew."""
        self.step, self.checks = int(state.get("step", -1)), int(state.get("checks", 0))
        self.most_modes = float(state.get("most_modes", 0.0))
        self.counts = {str(name): int(count) for name, count in state.get("counts", {}).items()}
        self.first_step = {str(name): float(size) for name, size in state.get("first_step", {}).items()}
        self._reported = {str(name) for name in state.get("reported", ())}
