"""Noise under which D cannot see the data, or its labels."""

import math

from gantrain.config.moving import present, ramps
from gantrain.noise import Noise
from gantrain.tracking.health.case import Case
from gantrain.tracking.health.detector import detector
from gantrain.tracking.health.finding import Finding

MIN_INFORMATION = 0.05  # share of what plain labels say that D can learn from
MAX_NOISE = 2.0  # standard deviations of the data under which they disappear


@detector(normal="noise.label_flip up to 0.1, which leaves 53%", cause="a slip in noise.label_flip")
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


@detector(
    normal=f"noise up to {MAX_NOISE:g} of the data's standard deviations, or one that ends at less",
    cause="noise in another unit than the data",
)
def drowned_data(case: Case) -> Finding | None:
    """Noise on D's inputs that is larger than the data."""
    noise = present(ramps(case.config), "noise", case.config.noise, case.vitals.step)
    std, of_data = noise.instance_std, case.subject.data_std
    least = std if case.config.noise.instance_std_end is None else case.config.noise.instance_std_end
    # Noise that fades is a method, unless samples are still poor.
    if of_data == 0 or std < MAX_NOISE * of_data or (least < MAX_NOISE * of_data and not case.poor):
        return None
    sentence = (
        f"noise drowns the data (noise.instance_std={case.config.noise.instance_std:g}, the data's own is "
        f"{of_data:.2g}{case.poor and '; '}{case.poor})"
    )
    return Finding(
        "noise too strong", sentence, (f"noise.instance_std={0.1 * of_data:.2g}",), is_certain=True
    )
