"""Faults of the game between D and G: what D cannot see, knows by heart, or sees too well."""

import math

import torch
from torch import nn

from gantrain.core.gradients import gradient_norm
from gantrain.objectives.base import Objective
from gantrain.tracking.health.case import Case
from gantrain.tracking.health.detector import detector
from gantrain.tracking.health.finding import Finding

MIN_TRAINING = 200  # training samples
MIN_SEEN = 0.05  # nats that D must claim on training data
MIN_LAG = 0.01  # nats
MEMORY = (
    0.62  # AUC of training data against held-out ones: 0.5 and five standard errors of 256 logits of each
)
EFFECT = 0.02  # of the wrong condition on D's logits, in their standard deviation; D without it has 0
HEAVY = 100.0  # times the default weight of a penalty
FLAT = 0.1  # of D's logits; in runs that learn they vary by 0.1 to 2 after a tenth
MIN_SLOPE = 0.02  # G's gradient through D's logits, in units of that of a D at chance


@detector(normal=f"{MIN_TRAINING} or more", cause="the data")
def few_training_samples(case: Case) -> Finding | None:
    """So few training samples that D can learn them by heart."""
    n = case.subject.n_train
    if n >= MIN_TRAINING or not case.config.objective.has_game or case.subject.data_std == 0:
        return None
    seen = ""
    if case.divergence is not None and case.has_enough:
        tag, value = case.divergence
        seen = f"; {tag} {case.vitals.on_training[tag]:.3f} on them, {value:.3f} ± {value.error:.3f} on held-out data"
    sentence = f"too few training samples ({n}, which D can learn by heart{seen}); more data help most"
    return Finding(
        "too few training samples", sentence, ("penalty=r1", "augment=diffaugment"), is_certain=True
    )


@detector(
    normal="a bound on held-out data of at least half of that on training data",
    cause="few data for so large a D, or so many updates",
    reads_metrics=True,
)
def memorised_data(case: Case) -> Finding | None:
    """A D that recognises its training data: its estimate on them is far above that on held-out data."""
    if case.divergence is None or not case.has_enough:
        return None
    tag, value = case.divergence
    seen = case.vitals.on_training[tag]
    gap, error = seen - value, math.hypot(seen.error or 0.0, value.error or 0.0)
    if gap < 4 * error or value > 0.5 * seen or seen < MIN_SEEN:
        return None
    sentence = (
        f"D has memorised its {case.subject.n_train:,} training samples ({tag} {seen:.3f} on them, {value:.3f} ± "
        f"{value.error:.3f} on held-out data); more data help most"
    )
    return Finding("D memorises", sentence, ("penalty=r1", "augment=diffaugment", case.budget(0.5)))


@detector(
    normal=f"0.45 to {MEMORY:g}",
    cause="few data for so large a D, or so many updates",
)
def recognised_data(case: Case) -> Finding | None:
    """A D whose logits tell the samples it is trained on from those that it has not seen."""
    auc = case.vitals.signs.get("auc_train", 0.5)
    if auc < MEMORY:
        return None
    sentence = (
        f"D has memorised its {case.subject.n_train:,} training samples (its logit on one is above that on a held-out "
        f"one with probability {auc:.2f}); more data help most"
    )
    return Finding("D memorises", sentence, ("penalty=r1", "augment=diffaugment", case.budget(0.5)))


@detector(normal=f"above {EFFECT:g}", cause="a D that does not see the condition")
def blind_to_condition(case: Case) -> Finding | None:
    """A conditional D whose logits are the same with a wrong condition, so that G need not follow it."""
    effect = case.vitals.signs.get("condition_effect")
    if effect is None or effect >= EFFECT:
        return None
    sentence = (
        f"D accepts wrong pairs (a wrong condition changes its logit by {effect:.3f} of its standard deviation, and "
        f"right pairs are above wrong ones with probability {case.vitals.signs['auc_wrong']:.2f})"
    )
    words = ("model.condition=projection", "objective=conditional", "model.condition=concat")
    return Finding("condition ignored by D", sentence, words)


@detector(normal=f"a slope above {MIN_SLOPE:.0%}", cause="a D far ahead of G under a loss that saturates")
def vanished_gradient(case: Case) -> Finding | None:
    """A D so confident that the generator's loss is flat."""
    logit, accuracy = case.vitals.scalars.get("logits/fake"), case.separation
    if logit is None or accuracy < 0.9:
        return None
    slope = relative_slope(case.config.objective, logit)
    if slope > MIN_SLOPE:
        return None
    sentence = (
        f"G's gradient has vanished (D's logit on samples is {logit:.1f} on average, where the slope of G's loss is "
        f"{slope:.1e} of that at chance; D puts data above samples with probability {accuracy:.3f})"
    )
    words = ("objective=non_saturating", "objective=wasserstein penalty=wgan_gp", "noise.instance_std=0.1")
    return Finding("generator gradient vanished", sentence, words)


def relative_slope(objective: Objective, logit: float) -> float:
    """Return the slope of G's loss in a sample's logit, in units of that at 0; 1 where it depends on real logits."""
    if objective.g_sees_real or not objective.has_game:
        return 1.0
    slopes = []
    for at in (logit, 0.0):
        x = nn.Parameter(torch.tensor([at], dtype=torch.float64))
        slopes.append(float(gradient_norm(objective.g_loss(x), [x])))
    return slopes[0] / slopes[1] if slopes[1] else 1.0


@detector(normal="below 90% of log 2", cause="a D that learns faster than G", reads_metrics=True)
def perfect_d(case: Case) -> Finding | None:
    """A classifier whose divergence is at its ceiling, log 2, while samples are poor."""
    if (
        not case.config.objective.classifies
        or case.divergence is None
        or not case.poor
        or not case.has_enough
    ):
        return None
    tag, value = case.divergence
    if value < 0.9 * math.log(2):
        return None
    packs = f", of packs of {case.config.model.packing}" if case.config.model.packing > 1 else ""
    sentence = (
        f"D is too far ahead of G ({tag} {value:.3f} ± {value.error:.3f} of at most {math.log(2):.3f}{packs}; "
        f"{case.poor})"
    )
    noise, slower = (
        f"noise.instance_std={0.1 * case.subject.data_std:.2g}",
        f"optimizer.d_lr={case.rate('d') / 4:g}",
    )
    faster = [f"optimizer.g_lr={case.default_rate('g'):g}"] if case.rate("g") < case.default_rate("g") else []
    words = (*faster, "penalty=r1", noise, slower)
    return Finding("D perfect", sentence, words)


@detector(
    normal=f"logits that vary by more than {FLAT:g}",
    cause="a weight for another unit: the cost sums over all coordinates",
)
def penalty_too_strong(case: Case) -> Finding | None:
    """A penalty so heavy that D is flat, and G learns nothing from it."""
    signs, heavy = case.vitals.signs, []
    for name, one in case.config.penalty.members().items():
        gamma, usual = getattr(one, "gamma", None), getattr(type(one), "gamma", None) or 1.0
        if gamma is not None and gamma >= HEAVY * usual:
            heavy.append((name, gamma, usual))
    if not heavy or "logit_held_out_std" not in signs:
        return None
    spread = max(signs["logit_held_out_std"], abs(signs["logit_held_out"] - signs["logit_fake"]))
    if spread >= FLAT:
        return None
    name, gamma, usual = heavy[0]
    key = "penalty.gamma" if len(case.config.penalty.members()) == 1 else f"penalty.{name}.gamma"
    sentence = (
        f"the penalty is too strong ({key}={gamma:g} holds D's logits within {spread:.3f} of each other)"
    )
    return Finding("penalty too strong", sentence, (f"{key}={usual:g}",))


@detector(normal="0 to log 2 = 0.693", cause="a G that learns faster than D", reads_metrics=True)
def worse_than_chance(case: Case) -> Finding | None:
    """A D that held-out data and fresh samples refute: it lags behind G."""
    if case.divergence is None or case.config.objective.mismatch_weight > 0 or not case.has_enough:
        return None
    tag, value = case.divergence
    error = value.error or 0.0
    if value + 4 * error >= 0 or value > -MIN_LAG:
        return None
    sentence = f"D is worse than a coin ({tag} {value:.3f} ± {error:.3f} on held-out data, below 0): it lags behind G"
    return Finding("D lags", sentence, _stronger(case))


@detector(
    normal="above 0.5 while samples are poor", cause="a D that is too weak, or held down", reads_metrics=True
)
def d_at_chance(case: Case) -> Finding | None:
    """A D that cannot tell samples from data although other metrics can."""
    accuracy = case.accuracy
    if accuracy is None or not case.config.objective.has_game or not case.is_far:
        return None
    if accuracy - 2 * (accuracy.error or 0.0) > 0.5:
        return None
    sentence = (
        f"D cannot tell samples from data (held-out accuracy {accuracy:.3f} ± {accuracy.error:.3f}) although "
        f"{case.is_far}"
    )
    return Finding("D at chance", sentence, _stronger(case))


def _stronger(case: Case) -> list[str]:
    words = [f"train.d_steps={case.config.train.d_steps + 1}"]
    # A rate that is high already is no remedy.
    if case.rate("d") <= case.default_rate("d"):
        words.append(f"optimizer.d_lr={2 * case.rate('d'):g}")
    if isinstance(width := getattr(case.config.model, "width", None), int):
        words.append(f"model.width={2 * width}")
    return words
