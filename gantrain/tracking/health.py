"""Short advice while a run goes wrong: what was read, what it means, and the key to turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gantrain.objectives.base import Objective

PATIENCE = 2  # readings in a row for which a fault must show before a word is said

Scalars = Mapping[str, float]


@dataclass
class Health:
    """Looks at each evaluation's numbers and says what is wrong, once for as long as it lasts.

    Attributes:
        objective: The game, which knows its own chance level.
        modes: How many modes the data have; 0 where that is not known.
        steps: Length of the run: some faults are none at its beginning.
    """

    objective: Objective
    modes: int
    steps: int
    standing: dict[str, str] = field(default_factory=dict)
    _count: dict[str, int] = field(default_factory=dict)
    _most_modes: float = 0.0

    def check(self, step: int, read: Scalars) -> list[str]:
        """Return the lines that are new, each a fault with its number and the key to turn.

        Args:
            step: Finished steps.
            read: The latest value of every tag.
        """
        self._most_modes = max(self._most_modes, read.get("diversity/modes", 0.0))
        new = []
        for name, rule in RULES.items():
            line = rule(self, step, read)
            self._count[name] = self._count.get(name, 0) + 1 if line else 0
            if line is None:
                self.standing.pop(name, None)
            elif self._count[name] >= PATIENCE:
                if name not in self.standing:
                    new.append(line)
                self.standing[name] = line
        return new

    def d_at_chance(self, step: int, read: Scalars) -> str | None:
        """Say that D knows nothing of a G that other metrics find bad."""
        loss, chance = read.get("loss/d"), self.objective.chance
        poor = [
            f"{tag} {read[tag]:.2f}"
            for tag in ("fidelity/high_quality", "fidelity/precision", "diversity/coverage")
            if read.get(tag, 1.0) < 0.5
        ]
        if loss is None or not poor or not chance or abs(loss - chance) > 0.01 * chance:
            return None
        return (
            f"D is at chance (loss/d {loss:.3f} of {chance:.3f}) although {poor[0]}: "
            "raise train.d_steps, optimizer.d_lr or model.width"
        )

    def d_perfect(self, step: int, read: Scalars) -> str | None:
        """Say that D separates what it has not seen: the supports look disjoint."""
        accuracy = read.get("logits/accuracy", 0.0)
        if accuracy <= 0.99:
            return None
        flat = ", where JSD is log 2 whatever G does" if self.objective.classifies else ""
        return (
            f"D is perfect (held-out accuracy {accuracy:.3f}): data and samples look disjoint{flat}; "
            "use noise=instance, penalty=r1, or lower optimizer.d_lr"
        )

    def g_vanished(self, step: int, read: Scalars) -> str | None:
        """Say that a D that is sure gives G no gradient."""
        slope = read.get("gradient/g")
        if slope is None or slope > 1e-3 or read.get("logits/accuracy", 0.0) < 0.9:
            return None
        return (
            f"G's gradient has vanished (gradient/g {slope:.1e}) before a D that is sure: "
            "use objective=non_saturating, noise=instance or objective=wasserstein"
        )

    def modes_lost(self, step: int, read: Scalars) -> str | None:
        """Say that modes once found are gone, or were never found."""
        found = read.get("diversity/modes")
        if found is None or not self.modes:
            return None
        lost, late = self._most_modes - found, 2 * step >= self.steps
        if lost < max(1, 0.1 * self.modes) and not (late and found < 0.9 * self.modes):
            return None
        return (
            f"modes are missing (diversity/modes {found:g} of {self.modes}): use model.packing=2, "
            "model.minibatch_std=true, penalty=r1 or objective=relativistic"
        )

    def d_overfits(self, step: int, read: Scalars) -> str | None:
        """Say that D knows its training data by heart."""
        seen, unseen = read.get("logits/real"), read.get("logits/holdout")
        if seen is None or unseen is None or not self.objective.classifies or seen - unseen < 3:
            return None
        return (
            f"D overfits (mean logit {seen:.1f} on training data, {unseen:.1f} on held-out data): "
            "use penalty=r1, a smaller model.width, more data, or fewer train.steps"
        )

    def g_copies(self, step: int, read: Scalars) -> str | None:
        """Say that samples are training data."""
        distance = read.get("fidelity/nearest_distance", 1.0)
        if distance >= 0.5:
            return None
        return (
            f"G copies training data (fidelity/nearest_distance {distance:.2f} of a held-out sample's): "
            "look at samples/nearest; use more data, a smaller model.width, or fewer train.steps"
        )


RULES: dict[str, Callable[[Health, int, Scalars], str | None]] = {
    "D at chance": Health.d_at_chance,
    "D perfect": Health.d_perfect,
    "generator gradient vanished": Health.g_vanished,
    "modes lost": Health.modes_lost,
    "D overfits": Health.d_overfits,
    "G copies training data": Health.g_copies,
}
