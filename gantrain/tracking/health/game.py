"""Faults of the game between D and G: what D cannot see, knows by heart, or sees too well."""

import math

import torch
from torch import nn

from gantrain.config.moving import present, ramps
from gantrain.core.gradients import gradient_norm
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.tracking.health.case import Case
from gantrain.tracking.health.finding import Finding

MIN_INFORMATION = 0.05  # share of what plain labels say that D can learn from
MAX_NOISE = 2.0  # standard deviations of the data under which they disappear
MIN_TRAINING = 200  # training samples
MIN_SEEN = 0.05  # nats that D must claim on training data
MIN_LAG = 0.01  # nats
MIN_SLOPE = 0.02  # G's gradient through D's logits, in units of that of a D at chance


def random_labels(case: Case) -> Finding | None:
    """Labels so often flipped that even the best D could learn next to nothing from them."""
    share = label_information(case.config.noise)
    if share > MIN_INFORMATION:
        return None
    sentence = (
        f"D's labels are almost random (noise.label_flip={case.config.noise.label_flip:g} leaves {share:.1%} of what "
        f"plain ones say{case.poor and '; '}{case.poor})"
    )
    words = ("noise.label_flip=0.05", "noise.label_flip=0")
    return Finding("labels random", sentence, words, is_certain=True)


def label_information(noise: Noise) -> float:
    """Return the Jensen-Shannon divergence of D's targets on data and on samples, in units of log 2, in [0, 1].

    It is by how much the best loss of all, of a D that separates both without error, is below the loss at chance.
    """

    def entropy(p: float) -> float:
        return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)

    real = (1 - noise.label_smoothing) * (1 - noise.label_flip)
    fake = (1 - noise.label_smoothing) * noise.label_flip
    spread = entropy(0.5 * (real + fake)) - 0.5 * (entropy(real) + entropy(fake))
    return spread / math.log(2)


def drowned_data(case: Case) -> Finding | None:
    """Noise on D's inputs that is larger than the data."""
    noise = present(ramps(case.config), "noise", case.config.noise, case.vitals.step)
    std, of_data = noise.instance_std, case.subject.data_std
    if std < MAX_NOISE * of_data or not case.poor:
        return None
    sentence = (
        f"noise drowns the data (noise.instance_std={case.config.noise.instance_std:g}, the data's own is "
        f"{of_data:.2g}; {case.poor})"
    )
    return Finding("noise too strong", sentence, (f"noise.instance_std={0.1 * of_data:.2g}",))


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


def vanished_gradient(case: Case) -> Finding | None:
    """A D so confident that the generator's loss is flat."""
    logit, accuracy = case.vitals.scalars.get("logits/fake"), case.accuracy
    if logit is None or accuracy is None or accuracy < 0.9:
        return None
    slope = relative_slope(case.config.objective, logit)
    if slope > MIN_SLOPE:
        return None
    sentence = (
        f"G's gradient has vanished (D's logit on samples is {logit:.1f} on average, where the slope of G's loss is "
        f"{slope:.1e} of that at chance; D's accuracy is {accuracy:.3f})"
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
