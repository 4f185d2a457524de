"""The numbers of a run that move: each key X with an X_end."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from gantrain.config.options import ENDLESS, Config
from gantrain.core.schedules import Ramp, ends, with_numbers

T = TypeVar("T")
RATES = ("g_lr", "d_lr")  # which have a shape and a warm-up of their own
Ramps = dict[str, dict[str, Ramp]]  # by owner, ``optimizer`` or ``penalty.r1``, and key


def ramps(config: Config) -> Ramps:
    """Return the ramps of a run, also of numbers that stay where they are."""
    rule, noise = config.optimizer, config.noise
    owners = {"optimizer": rule, "noise": noise, "augment": config.augment, "train": config.train}
    owners |= {f"penalty.{name}": one for name, one in config.penalty.members().items()}
    found: Ramps = {
        owner: {key: Ramp(start, end, config.train.ramp, rule.horizon) for key, start, end in ends(options)}
        for owner, options in owners.items()
    }
    found["optimizer"] |= {
        key: replace(found["optimizer"][key], kind=rule.schedule, warmup=rule.warmup) for key in RATES
    }
    if noise.anneal_steps:
        found["noise"] = {
            key: replace(ramp, horizon=noise.anneal_steps) for key, ramp in found["noise"].items()
        }
    return found


def present(ramps: Ramps, owner: str, options: T, step: int) -> T:
    """Return options with the values that their keys have in the step after ``step`` finished ones."""
    return with_numbers(options, {key: ramp.at(step) for key, ramp in ramps[owner].items()})


def moving(config: Config) -> dict[str, Ramp]:
    """Return the ramps of the numbers that do move, by key, as ``penalty.gamma`` or, in a sum, ``penalty.r1.gamma``."""
    found: dict[str, Ramp] = {}
    for owner, of_keys in ramps(config).items():
        group = owner if len(config.penalty.members()) > 1 else owner.partition(".")[0]
        found |= {f"{group}.{key}": ramp for key, ramp in of_keys.items() if ramp.moves}
    return found


def schedule_tags(config: Config) -> dict[str, Ramp]:
    """Return the same by tag: ``schedule/gamma``, ``schedule/r1_gamma``, ``schedule/augment_p``."""
    found = {}
    for key, ramp in moving(config).items():
        name = key if key.startswith("augment.") else key.partition(".")[2]
        found[f"schedule/{name.replace('.', '_')}"] = ramp
    return found


def way_left(config: Config, step: int) -> float:
    """Return the share of the way of the learning rates that is left after a step; 0 where they do not move."""
    rates = [ramp for key, ramp in ramps(config)["optimizer"].items() if key in RATES]
    return max(
        (rate.left(step) for rate in rates if rate.ends_elsewhere and rate.horizon < ENDLESS), default=0.0
    )


def moving_cautions(config: Config) -> Iterator[str]:
    """Yield a line for numbers that move otherwise than it seems."""
    found = {key: ramp for key, ramp in moving(config).items() if ramp.ends_elsewhere}
    rates = {f"optimizer.{key}" for key in RATES}
    # The horizon defaults to train.steps, which is ENDLESS when a time limits the run.
    if endless := [key for key, ramp in found.items() if ramp.horizon == ENDLESS]:
        others = [key for key in endless if key not in rates]
        what = ", ".join((["the learning rates"] if rates.intersection(endless) else []) + others)
        yield (
            f"the number of steps in train.{config.train.budget} is unknown, so these stay at their start: {what}; "
            "set optimizer.horizon to the step at which they reach their ends, or optimizer.schedule=constant"
        )
    over = [ramp for key, ramp in found.items() if key in rates and ramp.horizon < config.train.steps]
    if over and not any(ramp.end for ramp in over):
        yield (
            f"both learning rates are 0 from step {over[0].horizon} on (optimizer.horizon); raise it to continue "
            "training"
        )
