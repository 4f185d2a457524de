"""One evaluation of one run as the rules read it: numbers with their errors, against what real data show."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gantrain.config.options import Config
from gantrain.core.estimate import Estimate
from gantrain.tracking.health.vitals import Subject, Vitals

ENOUGH = 50  # held-out samples below which a share of them says nothing
QUALITY = ("fidelity/high_quality", "fidelity/precision", "diversity/coverage")
READ = {
    *QUALITY,
    "diversity/recall",
    "diversity/modes",
    "fidelity/gan_test",
}  # tags compared with real data


@dataclass(frozen=True)
class Case:
    """What the rules read.

    Attributes:
        subject: The run.
        vitals: The evaluation.
        most_modes: The most modes that any evaluation so far found.
        first_step: How far the first step moved the weights of ``g`` and ``d``, in their norms.
    """

    subject: Subject
    vitals: Vitals
    most_modes: float = 0.0
    first_step: Mapping[str, float] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The run's config."""
        return self.subject.config

    @property
    def is_late(self) -> bool:
        """Whether half of the run is over: before that, poor samples are no fault."""
        return 2 * self.vitals.step >= self.vitals.steps

    @property
    def has_enough(self) -> bool:
        """Whether there are so many held-out samples that shares of them mean something."""
        return self.subject.n >= ENOUGH

    def share(self, tag: str) -> float:
        """Return a metric in units of what real data show; 1 where it is not known."""
        value, floor = self.vitals.estimates.get(tag), self.vitals.floors.get(tag)
        if value is None or floor is None or floor <= 0 or not self.has_enough:
            return 1.0
        return float(value) / float(floor)

    def against_real(self, tag: str) -> str:
        """Return a metric with the value that real data have, for a sentence."""
        return f"{tag} {self.vitals.estimates[tag]:.2f} where real data have {self.vitals.floors[tag]:.2f}"

    @cached_property
    def poor(self) -> str:
        """The metric that shows best that samples are far from the data, late in the run; empty if none does."""
        worst = min(QUALITY, key=self.share)
        return self.against_real(worst) if self.is_late and self.share(worst) < 0.5 else ""

    @property
    def is_far(self) -> str:
        """As ``poor``, for samples that are so far from the data that any D should see it."""
        return self.poor if min(self.share(tag) for tag in QUALITY) < 0.25 else ""

    @property
    def divergence(self) -> tuple[str, Estimate] | None:
        """The tag and value of what D estimates on held-out data, if it is computed and has an error."""
        for tag in self.vitals.on_training:
            value = self.vitals.estimates.get(tag)
            if tag.startswith("divergence/") and value is not None and value.error is not None:
                return tag, value
        return None

    @property
    def accuracy(self) -> Estimate | None:
        """D's accuracy on held-out data and samples, with an error."""
        value = self.vitals.estimates.get("logits/accuracy")
        if value is None or not self.has_enough:
            return None
        n = self.subject.n / self.config.model.packing
        error = value.error or (max(0.25, n * value * (1 - value)) / (2 * n * max(1, n))) ** 0.5
        return value.with_error(error)

    @property
    def separation(self) -> float:
        """The probability that D's logit on held-out data is above that on a sample, or its accuracy; 0.5 unknown."""
        return self.vitals.signs.get("auc_fake", float(self.accuracy or 0.5))

    def default_rate(self, player: str) -> float:
        """Return the default learning rate of ``g`` or ``d`` with the run's optimizer."""
        rates = {f.name: f.default for f in dataclasses.fields(self.config.optimizer)}
        rate = rates[f"{player}_lr"]
        config = self.config
        return config.model.learning_rate(config.spec) if rate is None else float(rate)  # type: ignore[arg-type]

    def rate(self, player: str) -> float:
        """Return the learning rate of ``g`` or ``d`` at the start of the run."""
        return float(getattr(self.config.optimizer, f"{player}_lr"))

    def first_update(self, player: str) -> float:
        """Return by how much one update at the full rate moves the weights of ``g`` or ``d``, in their norm."""
        train = self.config.train
        updates = train.d_steps if player == "d" else train.g_steps
        return self.first_step.get(player, 0.0) * max(1, self.config.optimizer.warmup) / updates

    def budget(self, factor: float) -> str:
        """Return the override word of a run that is ``factor`` times as long."""
        key = self.config.train.budget
        return f"train.{key}={max(1, round(factor * getattr(self.config.train, key)))}"

    @property
    def players(self) -> tuple[str, ...]:
        """The networks that are trained, as keys of ``Vitals.moved``."""
        return ("d", "g") if self.config.objective.has_game else ("g",)
