"""Faults that samples show where nothing else explains them."""

from gantrain.tracking.health.case import Case
from gantrain.tracking.health.finding import Finding

VARIETY = ("model.packing=2", "model.minibatch_std=true", "penalty=r1", "objective=relativistic")
TRAINED = 0.15  # distance of G's weights from the initial ones, in their norm, of a G that learnt something
MIN_DIMENSIONS = 16  # below, a sample between data is as near to them as data are to each other


def missing_modes(case: Case) -> Finding | None:
    """Modes of the data get lost, or are still missing late in the run."""
    tag = "diversity/modes"
    modes, floor = case.vitals.estimates.get(tag), case.vitals.floors.get(tag)
    if modes is None or floor is None or not case.has_enough:
        return None
    # Few modes are normal at first; a fault is a loss, or too few in the second half of the run.
    lost, found = case.most_modes - modes, float(floor)
    if lost < max(1, 0.1 * found) and not (case.is_late and modes < 0.9 * found):
        return None
    if case.share("fidelity/high_quality") < 0.1:  # hardly any sample is near a mode at all
        return None
    sentence = f"modes are missing (diversity/modes {modes:g} where as many real data show {found:g})"
    return Finding("modes missing", sentence, VARIETY)


def collapse(case: Case) -> Finding | None:
    """Samples without the variety of the data, whether or not its modes are known."""
    shares = [case.share(tag) for tag in ("diversity/coverage", "diversity/recall", "fidelity/precision")]
    coverage, recall, precision = shares
    # Sharp samples that no data lie between are as much without variety as samples that cover little.
    if not case.is_late or recall >= 0.1 or (coverage >= 0.5 and precision <= 0.8):
        return None
    if case.vitals.moved.get("g", 1.0) < TRAINED:  # an untrained G has no variety either
        return None
    least = "diversity/coverage" if coverage < 0.5 else "fidelity/precision"
    numbers = f"{case.against_real(least)}, {case.against_real('diversity/recall')}"
    words = VARIETY if case.config.objective.has_game else ("objective=conditional",)
    return Finding("collapse", f"G has collapsed onto few kinds of samples ({numbers})", words)


def copies(case: Case) -> Finding | None:
    """Samples that are nearer to training data than new data are."""
    tag = "fidelity/nearest_distance"
    distance = case.vitals.estimates.get(tag)
    dimensions = 1
    for size in case.config.spec.shape:
        dimensions *= size
    if distance is None or dimensions < MIN_DIMENSIONS or not case.has_enough or distance >= 0.5:
        return None
    sentence = (
        f"G copies training data (half of its samples are within {distance:.2f} of a held-out sample's distance to "
        "them; look at samples/nearest)"
    )
    return Finding("G copies training data", sentence, (case.budget(0.5),))


def nothing_learnt(case: Case) -> Finding | None:
    """Samples that are nowhere near the data, for no reason that another rule knows."""
    tag = "diversity/coverage"
    if tag not in case.vitals.estimates and case.share("diversity/modes") < 0.5:
        tag = "fidelity/high_quality"
    if not case.is_late or case.share(tag) >= 0.1:
        return None
    words = [f"optimizer.{p}_lr={case.default_rate(p):g}" for p in case.players]
    words.append(case.budget(2))
    return Finding("nothing learnt", f"G has learnt nothing yet ({case.against_real(tag)})", words)


def ignored_condition(case: Case) -> Finding | None:
    """Samples that are not of the class they were generated for."""
    tag = "fidelity/gan_test"
    value, floor = case.vitals.estimates.get(tag), case.vitals.floors.get(tag)
    classes = case.config.spec.classes
    if value is None or floor is None or classes < 2 or not case.has_enough or not case.is_late:
        return None
    # Halfway from a guess to real data.
    if value > 0.5 * (floor + 1 / classes):
        return None
    words = ("objective=conditional", "model.condition=concat")
    sentence = f"samples do not follow their class ({case.against_real(tag)}; chance is {1 / classes:.2f})"
    return Finding("condition ignored", sentence, words)
