"""Advice on a run that goes wrong: the symptom, what it means, and the key to change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gantrain.objectives.base import Objective

PATIENCE = 2  # evaluations in a row that must show a fault before it is reported

Scalars = Mapping[str, float]


@dataclass
class Health:
    """Checks the scalars of each evaluation, and reports a fault once for as long as it lasts.

    Attributes:
        objective: For its loss at chance.
        modes: Number of modes of the data; 0 when it is unknown.
        steps: Length of the run: some symptoms are no fault early on.
        standing: The reported faults that still last, by name.
    """

    objective: Objective
    modes: int
    steps: int
    standing: dict[str, str] = field(default_factory=dict)
    _count: dict[str, int] = field(default_factory=dict)
    _most_modes: float = 0.0

    def check(self, step: int, scalars: Scalars) -> list[str]:
        """Return new faults, one line each, from the latest value of every tag after ``step`` finished steps."""
        self._most_modes = max(self._most_modes, scalars.get("diversity/modes", 0.0))
        new = []
        for name, rule in RULES.items():
            line = rule(self, step, scalars)
            # A symptom must last for several evaluations; one that is over may be reported again.
            self._count[name] = self._count.get(name, 0) + 1 if line else 0
            if line is None:
                self.standing.pop(name, None)
            elif self._count[name] >= PATIENCE:
                if name not in self.standing:
                    new.append(line)
                self.standing[name] = line
        return new

    def d_at_chance(self, step: int, scalars: Scalars) -> str | None:
        """D is at chance although metrics show that G is poor."""
        loss, chance = scalars.get("loss/d"), self.objective.chance
        # At chance D may also be right: G has reached the data. Only poor samples make it a fault.
        poor = [
            f"{tag} {scalars[tag]:.2f}"
            for tag in ("fidelity/high_quality", "fidelity/precision", "diversity/coverage")
            if scalars.get(tag, 1.0) < 0.5
        ]
        if loss is None or not poor or not chance or abs(loss - chance) > 0.01 * chance:
            return None
        return (
            f"D is at chance (loss/d {loss:.3f} of {chance:.3f}) although {poor[0]}: "
            "raise train.d_steps, optimizer.d_lr or model.width"
        )

    def d_perfect(self, step: int, scalars: Scalars) -> str | None:
        """D separates held-out data from samples: the supports look disjoint."""
        accuracy = scalars.get("logits/accuracy", 0.0)
        if accuracy <= 0.99:
            return None
        # Goodfellow et al. 2014, Theorem 1: the game's value is at its maximum, and G's gradient near 0.
        flat = ", where JSD is log 2 whatever G does" if self.objective.classifies else ""
        return (
            f"D is perfect (held-out accuracy {accuracy:.3f}): data and samples look disjoint{flat}; "
            "use noise=instance, penalty=r1, or lower optimizer.d_lr"
        )

    def vanishing_gradient(self, step: int, scalars: Scalars) -> str | None:
        """A confident D gives G no gradient."""
        # The minimax loss saturates where D rejects samples with confidence (Goodfellow et al. 2014, sec. 3).
        slope = scalars.get("gradient/g")
        if slope is None or slope > 1e-3 or scalars.get("logits/accuracy", 0.0) < 0.9:
            return None
        return (
            f"G's gradient has vanished (gradient/g {slope:.1e}) because D is confident: "
            "use objective=non_saturating, noise=instance or objective=wasserstein"
        )

    def missing_modes(self, step: int, scalars: Scalars) -> str | None:
        """Modes of the data get lost, or are still missing late in the run."""
        modes = scalars.get("diversity/modes")
        if modes is None or not self.modes:
            return None
        # Few modes are normal at first; a fault is a loss, or too few in the second half of the run.
        lost, late = self._most_modes - modes, 2 * step >= self.steps
        if lost < max(1, 0.1 * self.modes) and not (late and modes < 0.9 * self.modes):
            return None
        return (
            f"modes are missing (diversity/modes {modes:g} of {self.modes}): use model.packing=2, "
            "model.minibatch_std=true, penalty=r1 or objective=relativistic"
        )

    def d_overfits(self, step: int, scalars: Scalars) -> str | None:
        """D has memorised its training data."""
        # In logits, whose scale only a classifying D has: 3 are odds of 20 to 1.
        train, holdout = scalars.get("logits/real"), scalars.get("logits/holdout")
        if train is None or holdout is None or not self.objective.classifies or train - holdout < 3:
            return None
        return (
            f"D overfits (mean logit {train:.1f} on training data, {holdout:.1f} on held-out data): "
            "use penalty=r1, a smaller model.width, more data, or fewer train.steps"
        )

    def g_copies(self, step: int, scalars: Scalars) -> str | None:
        """Samples are copies of training data."""
        # In units of the distance of held-out data to the training data.
        distance = scalars.get("fidelity/nearest_distance", 1.0)
        if distance >= 0.5:
            return None
        return (
            f"G copies training data (fidelity/nearest_distance {distance:.2f} of a held-out sample's): "
            "look at samples/nearest; use more data, a smaller model.width, or fewer train.steps"
        )


RULES: dict[str, Callable[[Health, int, Scalars], str | None]] = {
    "D at chance": Health.d_at_chance,
    "D perfect": Health.d_perfect,
    "generator gradient vanished": Health.vanishing_gradient,
    "modes lost": Health.missing_modes,
    "D overfits": Health.d_overfits,
    "G copies training data": Health.g_copies,
}
