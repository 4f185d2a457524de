"""Faults of the data: too few to measure with, in another unit, repeated, or classes that are unequal or wrong."""

from gantrain.tracking.health.case import ENOUGH, Case
from gantrain.tracking.health.detector import detector
from gantrain.tracking.health.finding import Finding

UNEQUAL = 20  # times as many samples of one class as of another
RANGE = 1.5  # of pixels, which are in [-1, 1]; resampling may overshoot by some per cent
HALF = 0.05  # below 0 that pixels of [0, 1] may be
MOST_SCALES = 100.0  # between the standard deviations of two coordinates: a network's inputs are of one scale
MOST_STD = 30.0  # of a coordinate; the widest shipped mixture has 3
REPEATS = 0.05  # share of 1,000 training samples; of MNIST and CIFAR-10 below 0.001
CONTINUOUS = (
    0.8  # different numbers of a coordinate for each different sample, below which it holds categories
)
MEANINGLESS = 3.0  # standard errors above the agreement of labels by chance
FEW_LABELS = 200  # training samples, of fewer the agreement of labels says nothing


@detector(normal=f"{ENOUGH} or more", cause="dataset.holdout or n_holdout is too small", reads_metrics=False)
def few_held_out(case: Case) -> Finding | None:
    """So few held-out samples that no share of them says anything."""
    n, subject = case.subject.n, case.subject
    if case.has_enough or not subject.metrics:
        return None
    k = min(case.config.metric.k, n - 1)
    sentence = f"too few held-out samples (n={n}, k={k}): fidelity, diversity and divergence say nothing below {ENOUGH}"
    return Finding("too few held-out samples", sentence + "; hold out more data", is_certain=True)


@detector(
    normal="pixels in [-1, 1]",
    cause="a dataset that returns bytes as float32; return uint8, or x / 127.5 - 1",
)
def out_of_range(case: Case) -> Finding | None:
    """Images in another unit than G's, as 0 to 255."""
    facts = case.subject.facts
    if not case.config.spec.is_image or not facts or max(-facts["low"], facts["high"]) <= RANGE:
        return None
    sentence = (
        f"data are out of range (pixels from {facts['low']:.3g} to {facts['high']:.3g}, which G cannot draw)"
    )
    return Finding("data out of range", sentence, is_certain=True)


@detector(normal="pixels in [-1, 1]", cause="a dataset scaled to [0, 1] where G's tanh needs 2 x - 1")
def half_range(case: Case) -> Finding | None:
    """Images in [0, 1], half of what G's tanh draws."""
    facts = case.subject.facts
    if not case.config.spec.is_image or not facts or case.subject.data_std == 0:
        return None
    if facts["low"] < -HALF or not 0.5 < facts["high"] <= RANGE:
        return None
    sentence = f"data fill half of the range (pixels from {facts['low']:.3g} to {facts['high']:.3g})"
    return Finding("data in half the range", sentence, is_certain=True)


@detector(
    normal=f"standard deviations within a factor of {MOST_SCALES:.0f}, and below {MOST_STD:.0f}",
    cause="columns that were not normalised; dataset=table does it",
)
def unequal_scale(case: Case) -> Finding | None:
    """Coordinates of such different scale that networks see only the largest, or none at all."""
    facts = case.subject.facts
    if case.config.spec.is_image or "largest_std" not in facts:
        return None
    large, small = facts["largest_std"], facts["smallest_std"]
    if large <= MOST_SCALES * small and large <= MOST_STD:
        return None
    sentence = f"columns are not of one scale (standard deviations from {small:.3g} to {large:.3g})"
    return Finding("columns of unequal scale", sentence, is_certain=True)


@detector(
    normal=f"repeats below {REPEATS:.0%}", cause="copies in the data, or a folder that was read several times"
)
def repeats(case: Case) -> Finding | None:
    """Training data of few different samples, each many times."""
    facts, n = case.subject.facts, case.subject.n_train
    if case.subject.data_std == 0 or facts.get("repeats", 0.0) < REPEATS or case.config.spec.numel == 1:
        return None
    if facts["distinct"] > 0.5 * n or facts.get("values", 1.0) < CONTINUOUS:
        return None
    sentence = (
        f"training data are repeated ({facts['repeats']:.0%} of a sample equal an earlier one; about "
        f"{facts['distinct']:,.0f} of {n:,} are different); remove the copies"
    )
    return Finding("training data repeated", sentence, is_certain=True)


@detector(normal="samples of every class", cause="labels that were read from the wrong column or folder")
def one_class(case: Case) -> Finding | None:
    """A conditional run whose labels are all the same."""
    counts = case.subject.class_counts
    if not counts or not case.config.model.is_conditional or sum(map(bool, counts)) != 1:
        return None
    only = max(range(len(counts)), key=counts.__getitem__)
    sentence = (
        f"all labels are one class ({counts[only]:,} training samples of class {only}, none of the {len(counts) - 1} "
        "others)"
    )
    return Finding("one class", sentence, ("model.condition=none",), is_certain=True)


@detector(normal=f"within a factor of {UNEQUAL}", cause="the data")
def unequal_classes(case: Case) -> Finding | None:
    """Classes of which one has hardly any training samples, in a conditional run."""
    counts = case.subject.class_counts
    if not counts or not case.config.model.is_conditional or sum(map(bool, counts)) == 1:
        return None
    if min(counts) * UNEQUAL >= max(counts):
        return None
    sentence = (
        f"classes are unequal ({min(counts)} training samples of class {counts.index(min(counts))}, {max(counts)} of "
        f"class {counts.index(max(counts))}), so G sees little of the small ones"
    )
    return Finding("classes unequal", sentence, ("train.balance=true",), is_certain=True)


@detector(
    normal="well above chance",
    cause="labels in another order than the samples; compare samples/real with their classes",
)
def wrong_labels(case: Case) -> Finding | None:
    """Labels that neither the nearest sample nor a classifier of the real data finds again."""
    facts, classes, tag = case.subject.facts, case.config.spec.classes, "fidelity/gan_test"
    if classes < 2 or not case.config.model.is_conditional:
        return None
    chance = facts.get("label_chance", 1.0)
    n = min(1000, case.subject.n_train)
    least = chance + MEANINGLESS * (chance * (1 - chance) / n) ** 0.5
    if n >= FEW_LABELS and chance < 0.9 and facts["label_agreement"] < least:
        sentence = (
            f"labels may be wrong (the nearest other sample has the same one for {facts['label_agreement']:.1%}; "
            f"chance is {chance:.1%})"
        )
        return Finding("labels wrong", sentence, is_certain=True)
    floor = case.vitals.floors.get(tag)
    if floor is None or not case.has_enough or floor > 0.5 + 0.5 / classes:
        return None
    sentence = (
        f"labels may be wrong (a classifier of the training data finds those of {floor:.0%} of real data; "
        f"chance is {1 / classes:.0%})"
    )
    return Finding("labels wrong", sentence, is_certain=True)
