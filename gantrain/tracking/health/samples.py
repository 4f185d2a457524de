"""Faults that samples show where nothing else explains them."""

from gantrain.tracking.health.case import Case
from gantrain.tracking.health.detector import detector
from gantrain.tracking.health.finding import PATIENCE, Finding

VARIETY = ("model.packing=2", "model.minibatch_std=true", "penalty=r1", "objective=relativistic")
TRAINED = 0.15  # distance of G's weights from the initial ones, in their norm, of a G that learnt something
GAPS = 0.1  # to the next sample, for their spread, in the data's; healthy runs have 0.3 or more
SPREAD = 0.01  # of samples, in the data's; an untrained G has 0.05 or more
# Share of variance, and in units of the data's, in four checks in a row: a G of transposed convolutions that has learnt
# little yet has up to 20 times the data's for so long.
PEAK, PEAKS, LONG = 0.15, 20.0, 4
LEAK = 0.5
SLOW = 3  # checks in a row, for what an untrained G shows as well
LEAKING_P = 0.8  # of ADA's transformations, from which on they leak (Karras et al. 2020, sec. 2.2)
RECOGNISED = 0.3  # share of samples, above that of data
CLASS_KL = 0.3  # nats; a G without three of ten even classes has log(10/7) = 0.36
MIN_DIMENSIONS = 16  # below, a sample between data is as near to them as data are to each other


@detector(
    normal="at least 90% of those that as many real data show",
    cause="a G that moves from mode to mode",
    reads_metrics=True,
)
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


@detector(
    normal="recall above a tenth of that of real data",
    cause="a G that D lets off with few kinds of samples",
    reads_metrics=True,
)
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


@detector(normal="0.9 to 1.2", cause="a G that is large for so few data", reads_metrics=True)
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


@detector(
    normal="above a tenth of what real data have",
    cause="too few steps, or rates far from those of the model",
    reads_metrics=True,
)
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


@detector(
    normal="nearer to real data than to chance",
    cause="a D that does not look at the condition",
    reads_metrics=True,
)
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


@detector(
    normal=f"gaps above {GAPS:g}, a spread above {SPREAD:g}",
    cause="a G that D lets off with few kinds of samples, or one without latents",
)
def few_kinds(case: Case) -> Finding | None:
    """Samples that lie much nearer to each other than data do, whether or not their modes are known."""
    signs = case.vitals.signs
    spread = signs.get("spread", 1.0)
    gaps = signs.get("nearest", 1.0) / spread if spread >= SPREAD else 0.0
    if gaps >= GAPS:
        return None
    sentence = (
        f"G has collapsed onto few kinds of samples (their spread is {spread:.3f} of the data's, and the gap from one "
        f"to the next {gaps:.3f} of that of data as widely spread)"
    )
    words = VARIETY if case.config.objective.has_game else ("objective=conditional",)
    return Finding("collapse", sentence, words)


@detector(
    normal=f"up to {PEAKS:g} times that of data",
    cause="a transposed convolution whose kernel its stride does not divide",
)
def checkerboard(case: Case) -> Finding | None:
    """Images whose neighbouring pixels alternate, as no data's do."""
    signs = case.vitals.signs
    peak, real = signs.get("peak", 0.0), signs.get("real_peak", 0.0)
    if peak < max(PEAK, PEAKS * real) or case.vitals.moved.get("g", 1.0) < TRAINED:
        return None
    sentence = (
        f"samples are a checkerboard ({peak:.1%} of their variance alternates from pixel to pixel, {real:.1%} of that "
        "of data)"
    )
    return Finding(
        "checkerboard", sentence, ("model=resnet_small", "model=strided_small", "model=stylegan2_small")
    )


@detector(
    normal=f"up to {LEAK:.0%} above that of data",
    cause="an augmentation so frequent that D takes it for the data",
)
def leaking_augmentation(case: Case) -> Finding | None:
    """Samples that look like augmented data rather than like data."""
    signs = case.vitals.signs
    share, real = signs.get("leak", 0.0), signs.get("real_leak", 0.0)
    if share - real < LEAK:
        return None
    sentence = (
        f"the augmentation leaks ({share:.0%} of samples are nearer to augmented data than to data, {real:.0%} of "
        "held-out data are)"
    )
    p = getattr(case.config.augment, "p", None)
    words = ("augment=ada", "augment=none") if p is None else ("augment.p=0.2", "augment=none")
    patience = SLOW if (p or 0.0) < LEAKING_P else PATIENCE
    return Finding("augmentation leaks", sentence, words, patience=patience)


@detector(
    normal=f"up to {RECOGNISED:.0%} above that of data",
    cause="an augmentation so frequent that D takes it for the data",
    reads_metrics=True,
)
def recognised_augmentation(case: Case) -> Finding | None:
    """Samples that a classifier of augmented and plain data takes for augmented."""
    tag = "fidelity/leak"
    value, floor = case.vitals.estimates.get(tag), case.vitals.floors.get(tag)
    if value is None or floor is None or not case.has_enough or value - floor < RECOGNISED:
        return None
    sentence = f"the augmentation leaks (a classifier calls {value:.0%} of samples augmented, {floor:.0%} of real data)"
    return Finding("augmentation leaks", sentence, ("augment.p=0.2", "augment=none"))


@detector(
    normal=f"below {CLASS_KL:g} nats above that of data",
    cause="a G that D lets off with few kinds of samples",
    reads_metrics=True,
)
def missing_classes(case: Case) -> Finding | None:
    """Samples that leave out classes of the data, by the classifier of the data."""
    tag = "diversity/class_kl"
    value, floor = case.vitals.estimates.get(tag), case.vitals.floors.get(tag)
    if value is None or floor is None or not case.has_enough or not case.is_late or value - floor < CLASS_KL:
        return None
    sentence = f"classes are missing ({tag} {value:.2f} nats where real data have {floor:.2f})"
    return Finding("classes missing", sentence, VARIETY)
