"""The settings of a search: the metric to improve, Optuna's sampler of trials, its pruner of hopeless ones."""

import importlib.util
import warnings
from dataclasses import dataclass, replace
from typing import Any

from gantrain.config.options import ENDLESS
from gantrain.core.directions import Direction, direction, is_of_own_d
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError
from gantrain.registry import option, schema

DIRECTIONS = ("minimize", "maximize")
SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes", "nsga2")
PRUNERS = ("median", "hyperband", "none")
SAMPLER_PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
SINGLE_METRIC_SAMPLERS = ("cmaes", "gp")


@dataclass
class Search:
    """The keys of ``hydra.sweeper`` for ``sweep=optuna``."""

    _target_: str = "hydra_plugins.gantrain_sweepers.optuna_sweeper.OptunaSweeper"
    replicas: Any = option(
        False,
        "play trials of a batch at once that differ in rates alone: true where that is faster, or always",
    )
    params: dict[str, str] | None = option(None, "the space: a key and interval, range or choice for each")
    metric: Any = option("divergence/js_refit", "tag to improve, after the last step; a list for a front")
    direction: Any = option(None, "minimize or maximize, one for each metric; null is how tables rank it")
    n_trials: int = option(20, "number of trials, with those of earlier attempts", minimum=1, maximum=10**6)
    batch: int | None = option(None, "trials sampled together; null is as many as run at once", minimum=1)
    sampler: str = option("tpe", "how trials are sampled", choices=SAMPLERS)
    pruner: str | None = option(
        None, "rule that stops hopeless trials; null is median, or none for several metrics", choices=PRUNERS
    )
    startup_trials: int = option(5, "random trials first, and complete ones before any is pruned", minimum=0)
    warmup: float = option(0.3, "share of a run's steps before which it is not pruned", minimum=0, maximum=1)
    seed: int = option(0, "sampler seed; equal seeds give equal trials", minimum=0, maximum=2**32 - 1)
    storage: str | None = option(None, "Optuna storage URL; null is a journal file in the sweep's folder")

    @property
    def metrics(self) -> list[str]:
        """The tags to improve."""
        return list(self.metric) if isinstance(self.metric, list) else [self.metric]

    @property
    def directions(self) -> list[str]:
        """``minimize`` or ``maximize`` for each metric."""
        return list(self.direction) if isinstance(self.direction, list) else [self.direction]

    @property
    def prunes(self) -> bool:
        """Whether trials may be stopped early."""
        return self.pruner != "none"


schema("sweeper", "optuna", Search)


def resolve_search(search: Search) -> Search:
    """Return a search with a direction for each metric and a pruner. Raises ConfigError for a bad combination."""
    tags = search.metrics
    if not tags or not all(isinstance(tag, str) and tag for tag in tags) or len(set(tags)) < len(tags):
        what = f"{search.metric!r} is neither a tag nor a list of different tags"
        raise ConfigError("hydra.sweeper.metric", what, "write hydra.sweeper.metric=divergence/js_refit")
    given = [None] * len(tags) if search.direction is None else search.directions
    if len(given) != len(tags):
        what = f"has {len(given)} directions for {len(tags)} metrics"
        raise ConfigError("hydra.sweeper.direction", what, "give one for each")
    directions = [_direction(tag, word) for tag, word in zip(tags, given, strict=True)]
    several = len(tags) > 1
    if several and search.pruner not in (None, "none"):
        what = f"{search.pruner} compares trials by one metric and there are {len(tags)}"
        raise ConfigError("hydra.sweeper.pruner", what, "leave it out, or give one metric")
    if several and search.sampler in SINGLE_METRIC_SAMPLERS:
        what = f"{search.sampler} improves one metric and there are {len(tags)}"
        raise ConfigError("hydra.sweeper.sampler", what, "use tpe or nsga2")
    return replace(
        search, metric=tags, direction=directions, pruner=search.pruner or ("none" if several else "median")
    )


def _direction(tag: str, word: Any) -> str:
    where = "hydra.sweeper.direction"
    if word in DIRECTIONS:
        return str(word)
    if word is not None:
        raise ConfigError(where, f"{word!r} is not one", suggest(str(word), DIRECTIONS))
    if is_of_own_d(tag):
        what = f"is not known for {tag}, a number of each trial's own D, which judges no generator"
        raise ConfigError(where, what, "search divergence/js_refit, or give minimize or maximize")
    known = direction(tag)
    if known is Direction.ONE:
        what = f"is neither for {tag}, which is best at 1"
        raise ConfigError(where, what, "search another metric, or give one of the two")
    if known is None:
        raise ConfigError(where, f"is not known for {tag}", "give minimize or maximize")
    return "minimize" if known is Direction.LOWER else "maximize"


def import_optuna() -> Any:
    """Return Optuna with its log off, since the sweep prints its own lines. Raises ConfigError if it is missing."""
    # It is an optional dependency; find_spec does not import it.
    if importlib.util.find_spec("optuna") is None:
        what = "needs Optuna, which is not installed"
        raise ConfigError("hydra/sweeper", what, "pip install 'gantrain[sweeps]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def sampler(search: Search, number: int) -> Any:
    """Return Optuna's sampler for one trial, seeded so that a resumed search has the same trials as an unbroken one.

    ``tpe``: Bergstra et al. 2011, ``cmaes``: Hansen and Ostermeier 2001, ``nsga2``: Deb et al. 2002, ``gp``: Gaussian
    process, ``qmc``: Sobol. Raises ConfigError when a library that it needs is not installed.
    """
    import numpy

    optuna = import_optuna()
    for name in SAMPLER_PACKAGES.get(search.sampler, ()):  # Optuna imports it only after the startup trials
        if importlib.util.find_spec(name) is None:
            what = f"{search.sampler} needs {name}, which is not installed"
            raise ConfigError("hydra.sweeper.sampler", what, f"pip install {name}, or use tpe")
    # SeedSequence mixes the two numbers, so that seed 0, trial 1 and seed 1, trial 0 differ.
    seed = int(numpy.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    startup = search.startup_trials
    match search.sampler:
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case "qmc":  # all trials share one sequence, so its seed must not depend on the trial
            return optuna.samplers.QMCSampler(seed=search.seed, warn_independent_sampling=False)
        case "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
        case "cmaes":
            return optuna.samplers.CmaEsSampler(
                seed=seed, n_startup_trials=startup, warn_independent_sampling=False
            )
        case "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed)
    # Trials of a batch are sampled before any has a value; the constant liar keeps them from being the same.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)


def pruner(search: Search, steps: int, every: int) -> Any:
    """Return Optuna's pruner for a run of ``steps`` steps with an evaluation after each ``every`` of them."""
    optuna = import_optuna()
    bounded = steps < ENDLESS
    if search.pruner == "median":  # Golovin et al. 2017
        # For a run limited by seconds, pruning_callback leaves out the first share of the time.
        warmup = round(search.warmup * steps) if bounded else 0
        return optuna.pruners.MedianPruner(search.startup_trials, warmup)
    if search.pruner == "hyperband":  # Li et al. 2018
        # The first rung of successive halving must not lie before the first value or inside the warm-up.
        least = max(1, every, round(search.warmup * steps) if bounded else 1)
        return optuna.pruners.HyperbandPruner(least, max(least, steps) if bounded else "auto")
    return optuna.pruners.NopPruner()
