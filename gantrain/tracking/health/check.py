"""The checks of a run's health: which detectors there are, in which order, and what is reported when."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gantrain.tracking.health import data, game, noise, players, samples, settings
from gantrain.tracking.health.case import Case
from gantrain.tracking.health.detector import Detector
from gantrain.tracking.health.finding import Finding, valid_remedies
from gantrain.tracking.health.vitals import Subject, Vitals

log = logging.getLogger("gantrain")

FEW = 500  # held-out samples below which the error of a share deserves a word

# What the data allow; any number of these can hold at once.
DATA: tuple[Detector, ...] = (
    data.few_held_out,
    data.out_of_range,
    data.half_range,
    data.unequal_scale,
    data.repeats,
    data.one_class,
    data.wrong_labels,
    data.unequal_classes,
)
# Why a game fails, the surest first; only the first is reported, since it explains the others.
CAUSES: tuple[Detector, ...] = (
    players.frozen_player,
    settings.early_end_of_rates,
    settings.batch_too_small,
    settings.beta1_too_high,
    noise.random_labels,
    noise.drowned_data,
    players.rate_too_high,
    players.rate_too_low,
    settings.average_too_slow,
    game.penalty_too_strong,
    game.few_training_samples,
    game.blind_to_condition,
    samples.leaking_augmentation,
    samples.recognised_augmentation,
    samples.checkerboard,
    samples.few_kinds,
    game.recognised_data,
    game.memorised_data,
    game.vanished_gradient,
    game.perfect_d,
    game.worse_than_chance,
    game.d_at_chance,
)
# What is wrong with samples, where no cause is known; the first.
SYMPTOMS: tuple[Detector, ...] = (
    samples.copies,
    samples.missing_modes,
    samples.collapse,
    samples.nothing_learnt,
    samples.missing_classes,
    samples.ignored_condition,
)
# What the config asks for, which explains numbers and is no fault; any number of these.
NOTES: tuple[Detector, ...] = (settings.average_off,)
DETECTORS = DATA + CAUSES + SYMPTOMS + NOTES


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
    _of_metrics: dict[Detector, Finding] = field(default_factory=dict)  # at the last evaluation

    def check(self, vitals: Vitals) -> list[Finding]:
        """Return the faults that were not reported at the last check."""
        self.most_modes = max(self.most_modes, vitals.estimates.get("diversity/modes", 0.0))
        case = self.case(vitals)
        self.step, self.checks = vitals.step, self.checks + 1
        if vitals.is_evaluation:
            self._of_metrics = self._findings(case, reads_metrics=True)
        found = self._of_metrics | self._findings(case, reads_metrics=False)
        # What reads metrics is as it was at the last evaluation.
        fresh = [f.name for d, f in found.items() if vitals.is_evaluation or not d.reads_metrics]
        old = [f.name for f in found.values() if f.name not in fresh]
        before = self.counts
        self.counts = {name: before.get(name, 0) + 1 for name in fresh} | {
            name: before.get(name, 0) for name in old
        }
        # A fault must last for several checks, unless there is one only.
        is_only = self.checks == 1 and vitals.step >= vitals.steps
        lasting = {
            detect: finding
            for detect, finding in found.items()
            if is_only or finding.is_certain or self.counts[finding.name] >= finding.patience
        }
        cause = [lasting[one] for one in CAUSES if one in lasting][:1]
        # A cause that is not sure yet silences the symptoms that it may explain.
        explained = any(one in found for one in CAUSES)
        symptom = [] if explained else [lasting[one] for one in SYMPTOMS if one in lasting][:1]
        limits, notes = ([lasting[one] for one in group if one in lasting] for group in (DATA, NOTES))
        self.standing = {
            finding.name: replace(finding, remedies=valid_remedies(self.subject.config, finding.remedies))
            for finding in limits + cause + symptom + notes
        }
        new = [finding for name, finding in self.standing.items() if name not in self._reported]
        self._reported = set(self.standing)
        return new

    def report(self, vitals: Vitals) -> None:
        """Log the faults that were not reported at the last check."""
        for finding in self.check(vitals):
            level = logging.WARNING if finding.is_fault else logging.INFO
            log.log(level, "step %d: %s", vitals.step, finding)

    def all_findings(self, vitals: Vitals) -> list[Finding]:
        """Return what every detector finds in one reading, also what another finding may explain; counts nothing."""
        self.most_modes = max(self.most_modes, vitals.estimates.get("diversity/modes", 0.0))
        case = self.case(vitals)
        found = [finding for detect in DETECTORS if (finding := detect(case))]
        return [replace(f, remedies=valid_remedies(self.subject.config, f.remedies)) for f in found]

    def _findings(self, case: Case, reads_metrics: bool) -> dict[Detector, Finding]:
        return {
            detect: finding
            for detect in DETECTORS
            if detect.reads_metrics is reads_metrics and (finding := detect(case))
        }

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
