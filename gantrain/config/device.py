"""The keys of the machine that a run trains on."""

import re
from dataclasses import dataclass

from gantrain.core.device import available_devices
from gantrain.errors import ConfigError
from gantrain.registry import option

AUTO = "auto"  # a value that the run decides


@dataclass
class Device:
    """The machine."""

    kind: str = option(
        "auto", "device; auto prefers cuda, then mps, then cpu", choices=("auto", "cpu", "cuda", "mps")
    )
    index: int = option(0, "index of the GPU", minimum=0)
    precision: str = option(
        "float32",
        "precision of the networks' layers; losses, penalties and D's last layer stay float32. tf32 and float16 "
        "are for device=cuda",
        choices=("float32", "tf32", "bfloat16", "float16"),
    )
    compile: str = option(
        AUTO,
        "play the whole step as one compiled function; auto does so where a run is long enough to pay for it",
        choices=(AUTO, "true", "false"),
    )
    deterministic: bool = option(
        False, "take algorithms that give the same bits each time, slower ones on a GPU"
    )
    memory_fraction: float = option(
        1.0, "largest fraction of a GPU's memory that the run may take", above=0, maximum=1
    )
    threads: str = option(AUTO, "CPU threads; auto is one for small networks, else at most one a core")
    processes: int = option(
        1, "processes of this machine that play the run together", minimum=1, maximum=4096
    )
    timeout: float = option(
        120.0, "seconds without an answer after which a process of several is lost", minimum=5, maximum=86400
    )
    shards: int | None = option(
        None,
        "equal parts of each batch that the processes share; with the same number, any processes that share them "
        "equally play the same run. null is one for each process",
        minimum=1,
        maximum=4096,
    )
    reduce: str = option(
        "exact",
        "sum of the shards' gradients: exact has the same bits for any number of processes, fast takes less memory and "
        "traffic",
        choices=("exact", "fast"),
    )
    batch_norm: str = option(
        "shard",
        "statistics by which batch norm normalises while training: those of each shard, or of the whole batch, for "
        "which the processes exchange them in every layer",
        choices=("shard", "batch"),
    )

    @property
    def kind_here(self) -> str:
        """The kind of device on this machine: cuda, mps or cpu."""
        return available_devices()[0] if self.kind == AUTO else self.kind

    def __post_init__(self) -> None:
        self.compile = self.compile.lower()  # of a boolean in YAML
        if self.threads == "0":  # of runs from before there was auto
            self.threads = AUTO
        if self.threads != AUTO and not re.fullmatch("[1-9][0-9]{0,3}", self.threads):
            what = f"{self.threads!r} is neither auto nor a number of threads"
            raise ConfigError("device.threads", what, "give auto, or a whole number from 1 to 9999")
