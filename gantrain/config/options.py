"""The keys of a run that belong to no plug-in, and the config as a whole."""

import dataclasses
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from omegaconf import MISSING

from gantrain.augment.base import Augmentation
from gantrain.config.device import Device
from gantrain.config.resume import BUDGETS
from gantrain.core.groups import GROUPS, Group
from gantrain.core.spec import Spec
from gantrain.datasets.base import Dataset
from gantrain.features.base import Features
from gantrain.metrics.suite import Suite
from gantrain.models.base import Model
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.registry import option

T = TypeVar("T")
KEYED = [group for group in GROUPS.values() if group.family or group.cls]
ENDLESS = 10**9  # steps of a run that its time ends


@dataclass
class Folder:
    """Where a run writes."""

    root: str = option("outputs", "parent folder of the folders of all runs")
    dir: str | None = option(None, "exact folder of this run (with -m, of the sweep); must be empty or new")


@dataclass
class Train:
    """The training loop: ``d_steps`` updates of D and ``g_steps`` of G in each step."""

    # How long: in steps, unless one of the other budgets is set.
    steps: int = option(3000, "total steps, unless another budget is set", minimum=1, maximum=ENDLESS)
    images: int | None = option(None, "total samples, in place of steps", minimum=1, maximum=2 * ENDLESS)
    seconds: float | None = option(
        None, "seconds of training, without metrics and sample grids, in place of steps", above=0
    )
    minutes: float | None = option(None, "such seconds, as minutes", above=0)
    dry_run: bool = option(False, "build everything and estimate the run's cost, without training or writing")

    # A step.
    batch_size: int = option(64, "batch size, of data and of fakes", minimum=2, maximum=10**6)
    balance: bool = option(False, "show every class equally often, however many samples it has")
    accumulate: int = option(
        1, "equal parts that each batch is differentiated in, one after another, to save memory", minimum=1
    )
    d_steps: int = option(1, "discriminator updates per step, the paper's k", minimum=1, maximum=1000)
    d_gain: float | None = option(
        None, "end D's updates of a step early once one lowers its held-out loss by less than this", minimum=0
    )
    g_steps: int = option(1, "generator updates per step, after those of D", minimum=1, maximum=1000)
    update: str = option(
        "alternating",
        "order of a step's updates: G after D, or both at once from the same weights",
        choices=("alternating", "simultaneous"),
    )
    unroll: int = option(
        0, "discriminator updates to unroll in G's loss (Metz et al. 2017)", minimum=0, maximum=100
    )
    unroll_rule: str = option(
        "descent",
        "how D is updated while unrolled: by plain gradient descent, or by its optimizer from its present moments",
        choices=("descent", "optimizer"),
    )
    unroll_lr: float | None = option(
        None, "learning rate of the unrolled updates; null is that of D", minimum=0, maximum=1e3
    )
    replicas: int = option(
        1, "runs with as many seeds, from seed on, played at once; on the command line alone", minimum=1
    )
    init_from: str | None = option(None, "run or checkpoint to take the initial weights of G and D from")
    compare_gradients: bool = option(False, "log both the minimax and the non-saturating generator gradient")
    ema: float = option(
        0.999, "decay a step of the moving average of G's weights; 0 is none", minimum=0, below=1
    )
    ema_half_life: float | None = option(
        None, "images after which weights count half in that average, in place of train.ema", minimum=0
    )
    ema_half_life_end: float | None = option(
        None, "this half-life at optimizer.horizon, reached by train.ramp; null keeps it", minimum=0
    )
    ramp: str = option(
        "linear",
        "shape of the way of numbers that have an end, X to X_end, but for the learning rates'",
        choices=("linear", "cosine"),
    )

    # Between steps: logging, sampling, evaluation, checkpoints.
    log_every: int = option(50, "steps between logs of scalars; 0 for never", minimum=0)
    sample_every: int = option(
        500, "steps between sample grids, plus one at each end; 0 for never", minimum=0
    )
    evaluate_every: int = option(500, "steps between evaluations; always after the last step", minimum=0)
    checkpoint_every: int = option(500, "steps between checkpoints; always after the last step", minimum=0)
    keep_checkpoints: int = option(2, "number of newest checkpoints to keep", minimum=1)
    keep_best: str | None = option(
        None,
        "tag of a metric, as divergence/frechet: the checkpoint with its best value is kept too, as RUN@best",
    )

    @property
    def budget(self) -> str:
        """The key that limits the run: the first of ``BUDGETS`` that is set, or ``steps``."""
        return next((key for key in BUDGETS if getattr(self, key) is not None), "steps")

    @property
    def time(self) -> float | None:
        """Seconds of training that end the run, or None when its budget is no time."""
        return self.seconds if self.minutes is None else 60 * self.minutes

    def images_per_step(self, has_game: bool) -> int:
        """Return the most samples of data in a step: a batch per update of D, or one batch without a D."""
        return self.batch_size * (self.d_steps if has_game else 1)

    def resolve_budget(self, has_game: bool) -> None:
        """Set ``steps`` from the budget: whole steps in ``images``, or unlimited when a time is."""
        if self.images is not None:
            self.steps = self.images // self.images_per_step(has_game)
        elif self.time is not None:
            self.steps = ENDLESS

    def is_over(self, step: int, seconds: float) -> bool:
        """Return whether the budget is used up after this many steps and seconds of training."""
        return step >= self.steps or (self.time is not None and seconds >= self.time)

    def estimated_steps(self, step: int, seconds: float) -> int:
        """Return the length of the run in steps; where a time ends it, extrapolated from the current speed."""
        if self.time is None or not seconds:
            return self.steps
        return max(step, round(step * self.time / seconds))


def add_group_fields(cls: type[T]) -> type[T]:
    """Declare a field for each config group that the class does not name."""
    for group in KEYED:
        cls.__annotations__.setdefault(group.name, "Any")
    return cls


@dataclass
@add_group_fields
class Config:
    """A checked run, with every value resolved."""

    seed: int  # never null
    name: str
    run: Folder
    dataset: Dataset
    spec: Spec  # of the dataset
    model: Model  # never ``auto``
    penalty: Penalty
    objective: Objective
    noise: Noise
    augment: Augmentation
    optimizer: OptimizerOptions  # with ``horizon`` set
    device: Device
    features: Features  # never ``auto``
    metric: Suite
    train: Train
    chosen: dict[str, Any] = field(compare=False)  # of keys that were left open, by name

    def plain(self) -> dict[str, Any]:
        """Return the config as plain data, which ``resolve`` turns into an equal config."""
        plain = dataclasses.asdict(self)
        del (
            plain["spec"],
            plain["chosen"],
        )  # the dataset determines the first, and the other keys hold the second
        return plain


@dataclass
class Top:
    """The keys outside any group."""

    seed: int | None = option(0, "random seed; null picks one at random", minimum=0, maximum=2**63 - 1)
    name: str = option("run", "part of the run folder's name")


def class_of(group: Group) -> type:
    """Return the dataclass of a group's choices; that of ``metric`` includes the keys of the registered metrics."""
    cls = _declared_class(group)
    return cls.complete() if issubclass(cls, Suite) else cls


def _declared_class(group: Group) -> type:
    module, _, name = group.cls.partition(":")
    cls: type = getattr(import_module(f"gantrain.{module}"), name)
    return cls


def _root_field(group: Group) -> tuple[str, Any, Any]:
    """Return a group's field in the composed config; the class of a family depends on the choice."""
    if group.family:
        return group.name, Any, dataclasses.field(default=MISSING)
    # Of a suite its base: a plug-in that comes later adds keys, in another subclass.
    cls = _declared_class(group)
    return group.name, cls, dataclasses.field(default_factory=cls)


# The schema against which Hydra checks a composed config.
Root = dataclasses.make_dataclass(
    "Root",
    [
        ("seed", int | None, dataclasses.field(default=0)),
        ("name", str, dataclasses.field(default=MISSING)),
        ("run", Folder, dataclasses.field(default_factory=Folder)),
        *map(_root_field, KEYED),
        ("train", Train, dataclasses.field(default_factory=Train)),
    ],
    namespace={"__module__": __name__},
)
