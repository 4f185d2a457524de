"""Combinations of keys that cannot be run, and warnings about those that can but are seldom meant."""

import dataclasses
from collections.abc import Iterator

from gantrain.config.augmentation import augment_errors
from gantrain.config.options import Config
from gantrain.config.parts import accumulate_errors, shards_errors
from gantrain.config.resume import BUDGETS
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError
from gantrain.models.layers import AUXILIARY
from gantrain.objectives.base import Objective
from gantrain.penalties.none import NoPenalty
from gantrain.registry import REGISTERED


def check_together(config: Config) -> None:
    """Check that the groups can be run together. Raises ConfigError, naming the key to change."""
    groups = (_name_errors, _model_errors, _condition_errors, _objective_errors)
    others = (
        augment_errors,
        _unroll_errors,
        _update_errors,
        accumulate_errors,
        shards_errors,
        _replica_errors,
        _budget_errors,
    )
    for errors in (*groups, *others):
        for error in errors(config):
            raise error


def holds_nothing_out(config: Config) -> bool:
    """Return whether a run is evaluated on the data that it is trained on."""
    return getattr(config.dataset, "holdout", None) == 0


def _name_errors(config: Config) -> Iterator[ConfigError]:
    for key, path in dataclasses.asdict(config.run).items():
        if path is not None and not path.strip():  # "" would be the root of the file system
            yield ConfigError(f"run.{key}", "is not a path", "give a folder, or leave it out for the default")
    for name in config.metric.names:
        if name not in REGISTERED["metric"]:
            remedy = suggest(name, REGISTERED["metric"], "metric")
            yield ConfigError("metric.names", f"no metric is called {name!r}", remedy)


def _model_errors(config: Config) -> Iterator[ConfigError]:
    model, size = config.model, config.train.batch_size
    if config.spec.is_image and config.spec.shape[0] not in (1, 3, 4):
        what = f"images of {config.spec.shape[0]} channels cannot be displayed"
        yield ConfigError("dataset", what, "give 1 (grey), 3 (RGB) or 4 (with transparency)")
    for key, what, remedy in model.misfits(config.spec):
        needs_condition = key == "condition" and _is_for_conditions(config.objective)
        yield ConfigError(f"model.{key}", what, "use model=auto" if needs_condition else remedy)
    if reason := model.why_unsupported(config.spec):
        yield ConfigError("model", reason, "use model=auto, which picks by the data")
    # Packing (PacGAN): D sees several samples at once, which have no common label and must fill a batch.
    if model.packing > 1 and model.is_conditional:
        remedy = "set model.packing=1" + " or model.condition=none" * (
            not _is_for_conditions(config.objective)
        )
        yield ConfigError("model.packing", "is for models without labels", remedy)
    if size % model.packing:
        what = f"must divide train.batch_size, got {model.packing} and {size}"
        multiple = max(size // model.packing, 2) * model.packing
        yield ConfigError("model.packing", what, f"set train.batch_size={multiple}")
    # The error of a mean needs two packs.
    if model.packing > 1 and config.objective.has_game and config.metric.n < 2 * model.packing:
        what = (
            f"is {config.metric.n}, and D classifies packs of {model.packing}, of which an estimate needs two"
        )
        yield ConfigError("metric.n", what, f"give at least {2 * model.packing}")
    for key, other in model.d_batch_keys.items() if size < 2 * model.packing else ():
        what = f"is {size}, a single pack, and model.{key} compares the packs of a batch"
        remedy = f"give at least {2 * model.packing}, or set model.{key}={other}"
        yield ConfigError("train.batch_size", what, remedy)
    for misfit in config.penalty.misfits(model, config.spec):
        yield ConfigError(*misfit)
    if model.couples_samples and config.penalty.needs_own_slopes:
        what = f"{config.penalty.name} needs per-sample gradients, and this D couples samples"
        words = [f"model.{key}={other}" for key, other in model.d_batch_keys.items()]
        words += ["model.packing=1"] if model.packing > 1 else []
        yield ConfigError(
            "penalty", what, " or ".join(["set penalty=r1", *([" and ".join(words)] if words else [])])
        )


def _condition_errors(config: Config) -> Iterator[ConfigError]:
    key, objective, conditional = "model.condition", config.objective, config.model.is_conditional
    if not config.spec.is_labelled and _is_for_conditions(objective):
        remedy = "use objective=non_saturating, or data with labels, as those of dataset=digits"
        yield ConfigError("objective", "needs labels, and this dataset has none", remedy)
    if config.train.balance and not config.spec.classes:
        yield ConfigError(
            "train.balance", "needs classes, and this dataset has none", "set train.balance=false"
        )
    if conditional and not config.spec.is_labelled:
        yield ConfigError(key, "needs labels, and this dataset has none", "set model.condition=none")
    classifies = "classes" in objective.needs
    if objective.needs_condition and not conditional:
        what = "is none, but this objective needs conditions"
        yield ConfigError(key, what, f"set model.condition={AUXILIARY if classifies else 'concat'}")
    if classifies and config.model.condition != AUXILIARY:
        what = f"is {config.model.condition}, and this objective has D name the class"
        yield ConfigError(key, what, f"set model.condition={AUXILIARY}")
    if config.model.condition == AUXILIARY and not config.spec.classes:
        what = "is for classes, and the conditions of this dataset are none"
        yield ConfigError(key, what, "use objective=non_saturating with model.condition=projection")
    if config.model.condition == AUXILIARY and not classifies:
        what = f"is {AUXILIARY}, and this objective trains no classifier"
        yield ConfigError(key, what, "set model.condition=projection, or use objective=ac_gan")
    if objective.mismatch_weight > 0 and not conditional:
        what = "is none, but this objective gives D real data with wrong conditions"
        yield ConfigError(key, what, "set model.condition=concat or objective.mismatch_weight=0")
    # A wrong condition is drawn from the other ones.
    if objective.mismatch_weight > 0 and len(config.spec.conditions()) < 2:
        key, what = "objective.mismatch_weight", "needs two conditions to mismatch"
        yield ConfigError(key, what, "set objective.mismatch_weight=0")


def _is_for_conditions(objective: Objective) -> bool:
    return objective.needs_condition or objective.mismatch_weight > 0


def _objective_errors(config: Config) -> Iterator[ConfigError]:
    objective = config.objective
    if objective.needs_density and not config.model.tractable:
        what = "needs p_G(x), which is intractable for this model"
        models = {name: cls() for name, cls in REGISTERED["model"].items()}
        usable = [
            name for name, one in models.items() if one.tractable and not one.why_unsupported(config.spec)
        ]
        choices = ["objective=non_saturating", *(f"model={name}" for name in usable)]
        yield ConfigError("objective", what, f"use {' or '.join(choices)}")
    # Smoothed or flipped labels are the targets of a classifier.
    if config.noise.on_labels and not objective.classifies:
        what = "is for a D trained by cross-entropy, and this objective's is not"
        keys = [key for key in ("label_smoothing", "label_flip") if getattr(config.noise, key)]
        remedy = f"set {' and '.join(f'noise.{key}=0' for key in keys)}"
        yield ConfigError(f"noise.{keys[0]}", what, remedy)
    if config.train.d_gain is not None and holds_nothing_out(config):
        yield ConfigError(
            "train.d_gain", "needs held-out data", "set dataset.holdout=0.1, or train.d_gain=null"
        )
    if config.train.d_gain is not None and not objective.has_game:
        what = "this objective has no discriminator whose updates to end early"
        yield ConfigError("train.d_gain", what, "set train.d_gain=null")
    groups = (("objective", objective, "non_saturating"), ("penalty", config.penalty, "none"))
    for key, one, other in groups:
        if missing := sorted(one.needs - config.model.d_says):
            what = f"needs {' and '.join(missing)} of D, and model={config.model.name} has none"
            yield ConfigError(key, what, f"use {key}={other}, or another model")
    if reason := config.features.why_unsupported(config.spec):
        yield ConfigError("features", reason, "set features=auto")
    if config.train.compare_gradients and not objective.classifies:
        what = "compares the generator losses of cross-entropy, and this objective has another"
        remedy = "use objective=minimax or objective=non_saturating"
        yield ConfigError("train.compare_gradients", what, remedy)


def _unroll_errors(config: Config) -> Iterator[ConfigError]:
    key, remedy = "train.unroll", "set train.unroll=0"
    if not config.train.unroll:
        return
    if not config.objective.has_game:
        yield ConfigError(key, "this objective has no discriminator to unroll", remedy)
    if config.train.update == "simultaneous":
        what = "is for alternating updates; with simultaneous ones G plays the current D"
        yield ConfigError(key, what, f"{remedy} or train.update=alternating")
    if not isinstance(config.penalty, NoPenalty):
        what = "does not support a penalty: the unrolled updates descend D's loss alone"
        yield ConfigError(key, what, f"{remedy} or penalty=none")


def _update_errors(config: Config) -> Iterator[ConfigError]:
    remedy = "set train.update=alternating"
    if config.train.update == "alternating":
        return
    if not config.objective.has_game:
        what = "this objective has no discriminator to update at the same time"
        yield ConfigError("train.update", what, remedy)
    if config.train.d_gain is not None:
        yield ConfigError("train.d_gain", "cannot stop D when both networks are updated at once", remedy)
    if config.train.g_steps > 1:
        yield ConfigError("train.g_steps", "must be 1 when both networks are updated at once", remedy)


def _replica_errors(config: Config) -> Iterator[ConfigError]:
    if config.train.replicas != 1:  # which the command line has turned into as many runs
        what = "makes several runs, and is read from the command line alone"
        yield ConfigError("train.replicas", what, f"type gantrain train.replicas={config.train.replicas}")


def _budget_errors(config: Config) -> Iterator[ConfigError]:
    train, game = config.train, config.objective.has_game
    if train.ema_half_life_end is not None and train.ema_half_life is None:
        what = "is where train.ema_half_life ends, which is null"
        yield ConfigError(
            "train.ema_half_life_end", what, "set train.ema_half_life=0, or the images to start from"
        )
    budgets = [f"train.{key}" for key in BUDGETS if getattr(train, key) is not None]
    if len(budgets) > 1:
        what = f"and {budgets[1]} are two budgets, and a run has one"
        yield ConfigError(budgets[0], what, f"set {budgets[0]}=null or {budgets[1]}=null")
    if train.images is None:
        return
    # steps = images / (batch size * updates of D), so that number of updates must be constant.
    if game and train.d_gain is not None:
        what = "does not fix the number of steps when train.d_gain varies the batches in a step"
        yield ConfigError("train.images", what, "set train.images=null, and another budget")
    if train.steps < 1:
        least = train.images_per_step(game)
        what = f"is {train.images}, and a single step sees {least} samples"
        yield ConfigError("train.images", what, f"give at least {least}, or lower train.batch_size")
