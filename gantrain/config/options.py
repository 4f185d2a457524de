"""The keys of a run that belong to no plug-in, and the run as a whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from omegaconf import MISSING

from gantrain.augment.base import Augmentation
from gantrain.core.groups import GROUPS, Group
from gantrain.core.spec import Spec
from gantrain.datasets.base import Dataset
from gantrain.metrics.suite import Suite
from gantrain.models.base import Model
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.registry import option

T = TypeVar("T")
KEYED = [group for group in GROUPS.values() if group.family or group.cls]
ENDLESS = 10**9  # steps of a run that something else ends


@dataclass
class Folder:
    """Where a run writes."""

    root: str = option("outputs", "folder under which each run gets a folder of its own")
    dir: str | None = option(
        None, "the exact folder of this run (of the sweep, with -m); it must be empty or new"
    )


@dataclass
class Train:
    """The training loop: a step is ``d_steps`` updates of D and ``g_steps`` of G.

    Every ``*_every`` is in steps, and 0 means never.
    """

    steps: int = option(
        3000, "steps in total, unless images or seconds are given", minimum=1, maximum=ENDLESS
    )
    images: int | None = option(
        None,
        "training images, or samples of other data, to see in total, in place of steps",
        minimum=1,
        maximum=2 * ENDLESS,
    )
    seconds: float | None = option(
        None, "seconds of training, metrics and pictures not counted, in place of steps", above=0
    )
    dry_run: bool = option(
        False, "build everything, report what the run would do and cost, and neither train nor write"
    )
    batch_size: int = option(64, "samples in each batch, of data and of fakes", minimum=2, maximum=10**6)
    d_steps: int = option(
        1, "discriminator updates before each generator update, the paper's k", minimum=1, maximum=1000
    )
    d_gain: float | None = option(
        None,
        "end D's updates of a step early, once one lowers D's held-out loss by less than this",
        minimum=0,
    )
    g_steps: int = option(1, "generator updates in each step, after those of D", minimum=1, maximum=1000)
    update: str = option(
        "alternating", "whether G sees D's update of the same step", choices=("alternating", "simultaneous")
    )
    unroll: int = option(
        0, "discriminator updates to unroll in G's loss (Metz et al. 2017)", minimum=0, maximum=100
    )
    unroll_lr: float | None = option(
        None,
        "learning rate of the unrolled updates, plain gradient descent; null is D's own",
        minimum=0,
        maximum=1e3,
    )
    init_from: str | None = option(
        None, "run or checkpoint to take the initial weights of G and D from, and nothing else"
    )
    compare_gradients: bool = option(
        False, "log both generator gradients of the cross-entropy game, minimax and non-saturating"
    )
    ema: float = option(0.999, "decay of the average of G's weights; 0 is G itself", minimum=0, below=1)
    log_every: int = option(50, "log scalars", minimum=0)
    sample_every: int = option(500, "draw a sample grid; also at step 0 and after the last step", minimum=0)
    evaluate_every: int = option(500, "compute the metrics; after the last step in any case", minimum=0)
    checkpoint_every: int = option(500, "save a checkpoint; after the last step in any case", minimum=0)
    keep_checkpoints: int = option(2, "number of newest checkpoints to keep", minimum=1)

    @property
    def budget(self) -> str:
        """The key that ends the run: ``images``, ``seconds``, or ``steps`` when neither is set."""
        return "images" if self.images is not None else "seconds" if self.seconds is not None else "steps"

    def images_per_step(self, has_game: bool) -> int:
        """Return the most samples of data in a step: a batch for each update of D, one where there is no D."""
        return self.batch_size * (self.d_steps if has_game else 1)

    def resolve_budget(self, has_game: bool) -> None:
        """Set ``steps`` from the budget: the whole steps in ``images``; unlimited when it is wall-clock time."""
        if self.images is not None:
            self.steps = self.images // self.images_per_step(has_game)
        elif self.seconds is not None:
            self.steps = ENDLESS

    def is_over(self, step: int, seconds: float) -> bool:
        """Return whether the budget is used up after this many steps and seconds of training."""
        return step >= self.steps or (self.seconds is not None and seconds >= self.seconds)

    def estimated_steps(self, step: int, seconds: float) -> int:
        """Return the length of the run in steps; with ``train.seconds`` extrapolated from the current speed."""
        if self.seconds is None or not seconds:
            return self.steps
        return max(step, round(step * self.seconds / seconds))


@dataclass
class Device:
    """The machine."""

    kind: str = option(
        "auto", "which device; auto takes cuda, then mps, then cpu", choices=("auto", "cpu", "cuda", "mps")
    )
    index: int = option(0, "which of several GPUs", minimum=0)
    precision: str = option(
        "float32", "arithmetic of the networks; losses stay float32", choices=("float32", "bfloat16")
    )
    threads: int = option(0, "CPU threads; 0 leaves torch's own choice", minimum=0, maximum=4096)


def add_group_fields(cls: type[T]) -> type[T]:
    """Declare a field for each config group that the class does not name."""
    for group in KEYED:
        cls.__annotations__.setdefault(group.name, "Any")
    return cls


@dataclass
@add_group_fields
class Config:
    """A run, checked and resolved: nothing is left to decide.

    Attributes:
        seed: Seed of everything random.
        name: Part of the run folder's name.
        run: Where to write.
        dataset: The data source.
        spec: Its shape and classes.
        model: How G and D are built, never ``auto``.
        penalty: The cost on D.
        objective: The game.
        noise: What is added to D's inputs and labels.
        augment: How D's inputs are transformed.
        optimizer: Optimizer of both networks; ``horizon`` is set.
        device: The machine.
        metric: The suite that is read.
        train: The loop.
    """

    seed: int
    name: str
    run: Folder
    dataset: Dataset
    spec: Spec
    model: Model
    penalty: Penalty
    objective: Objective
    noise: Noise
    augment: Augmentation
    optimizer: OptimizerOptions
    device: Device
    metric: Suite
    train: Train

    def plain(self) -> dict[str, Any]:
        """Return the resolved config as plain data; ``resolve`` makes an equal config of it."""
        plain = dataclasses.asdict(self)
        del plain["spec"]  # the dataset determines it
        return plain


@dataclass
class Top:
    """The keys that stand in no group."""

    seed: int | None = option(0, "seed of everything random; null draws one", minimum=0, maximum=2**63 - 1)
    name: str = option("run", "part of the run folder's name")


def class_of(group: Group) -> type:
    """Return the dataclass that serves every choice of a group, with the keys of the metrics that are registered."""
    module, _, name = group.cls.partition(":")
    cls: type = getattr(import_module(f"gantrain.{module}"), name)
    return cls.complete() if issubclass(cls, Suite) else cls


def _root_field(group: Group) -> tuple[str, Any, Any]:
    """Return a group's field of the composed config; a family's class is known once its YAML names one."""
    if group.family:
        return group.name, Any, dataclasses.field(default=MISSING)
    cls = class_of(group)
    return group.name, cls, dataclasses.field(default_factory=cls)


# The shape of a composed config, as Hydra checks it.
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
