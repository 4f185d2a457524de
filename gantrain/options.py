"""The keys that belong to no plug-in: where a run writes, how it loops, on which machine."""

from __future__ import annotations

from dataclasses import dataclass

from gantrain.registry import option


@dataclass
class Folder:
    """Where a run writes."""

    root: str = option("outputs", "folder under which each run gets a folder of its own")
    dir: str | None = option(
        None, "the exact folder of this run (of the sweep, with -m); it must be empty or new"
    )


@dataclass
class Train:
    """The training loop. A step is one generator update; every ``*_every`` is in steps, and 0 means never."""

    steps: int = option(3000, "generator updates in all", minimum=1, maximum=10**9)
    batch_size: int = option(64, "samples in each batch, of data and of fakes", minimum=2, maximum=10**6)
    d_steps: int = option(
        1, "discriminator updates before each generator update, the paper's k", minimum=1, maximum=1000
    )
    d_gain: float | None = option(
        None,
        "stop D's updates of a step early, once one lowers its held-out loss by less than this",
        minimum=0,
    )
    g_steps: int = option(1, "generator updates in each step, after those of D", minimum=1, maximum=1000)
    update: str = option(
        "alternating", "whether G sees D's update of the same step", choices=("alternating", "simultaneous")
    )
    unroll: int = option(
        0, "updates that G lets D make in mind before it is judged (Metz et al. 2017)", minimum=0, maximum=100
    )
    unroll_lr: float | None = option(
        None,
        "rate of these updates, which are plain gradient descent; null is D's own rate",
        minimum=0,
        maximum=1e3,
    )
    init_from: str | None = option(
        None, "a run or checkpoint whose weights, and nothing else, both players start with"
    )
    compare_gradients: bool = option(
        False, "log both generator gradients of the cross-entropy game, minimax and non-saturating"
    )
    ema: float = option(0.999, "decay of the average of G's weights; 0 is G itself", minimum=0, below=1)
    log_every: int = option(50, "scalars", minimum=0)
    sample_every: int = option(500, "sample grids; step 0 and the last step have one too", minimum=0)
    evaluate_every: int = option(500, "the metric suite; read after the last step in any case", minimum=0)
    checkpoint_every: int = option(500, "checkpoints; one after the last step in any case", minimum=0)
    keep_checkpoints: int = option(2, "how many of the newest are kept", minimum=1)


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
