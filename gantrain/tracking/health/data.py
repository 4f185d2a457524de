"""Faults of the data: too few to measure with, or classes that are unequal or wrong."""

from gantrain.tracking.health.case import ENOUGH, Case
from gantrain.tracking.health.finding import Finding


def few_held_out(case: Case) -> Finding | None:
    """So few held-out samples that no share of them says anything."""
    n, subject = case.subject.n, case.subject
    if case.has_enough or not subject.metrics:
        return None
    k = min(case.config.metric.k, n - 1)
    sentence = f"too few held-out samples (n={n}, k={k}): fidelity, diversity and divergence say nothing below {ENOUGH}"
    return Finding("too few held-out samples", sentence + "; hold out more data", is_certain=True)


def unequal_classes(case: Case) -> Finding | None:
    """Classes of which one has hardly any training samples, in a conditional run."""
    counts = case.subject.class_counts
    if not counts or not case.config.model.is_conditional or min(counts) * 20 >= max(counts):
        return None
    sentence = (
        f"classes are unequal ({min(counts)} training samples of class {counts.index(min(counts))}, {max(counts)} of "
        f"class {counts.index(max(counts))}), so G sees little of the small ones"
    )
    return Finding("classes unequal", sentence, is_certain=True)


def wrong_labels(case: Case) -> Finding | None:
    """Labels that a classifier of the real data cannot find again."""
    tag = "fidelity/gan_test"
    floor, classes = case.vitals.floors.get(tag), case.config.spec.classes
    if floor is None or classes < 2 or not case.has_enough or floor > 0.5 + 0.5 / classes:
        return None
    sentence = (
        f"labels may be wrong (a classifier of the training data finds those of {floor:.0%} of real data; "
        f"chance is {1 / classes:.0%})"
    )
    return Finding("labels wrong", sentence, is_certain=True)
