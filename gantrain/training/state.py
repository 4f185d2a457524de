"""The state of a run, which a checkpoint saves: G, D, the average of G, their optimizers, the step."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.gradients import weights_of
from gantrain.core.random import stream
from gantrain.core.schedules import decay, ema_decay, warmup
from gantrain.core.spec import Spec
from gantrain.errors import CheckpointError
from gantrain.models.base import Generator, Player
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.penalties.none import NoPenalty
from gantrain.training.runtime import Runtime


@dataclass
class TrainState:
    """Everything that changes while training.

    Attributes:
        G: The generator that is trained.
        D: The discriminator.
        G_ema: The exponential moving average of G's weights, for grids, metrics and samples.
        opt_G: G's optimizer.
        opt_D: D's optimizer.
        penalty: The cost added to D's loss, which may have a state too.
        step: Finished steps, each of ``train.g_steps`` generator updates.
        d_updates: Finished discriminator updates, which number the batches.
        seconds: Time spent in training, for ``train.seconds``; not among the tensors, since it is never the same.
    """

    G: Generator
    D: Player
    G_ema: Generator
    opt_G: torch.optim.Optimizer
    opt_D: torch.optim.Optimizer
    penalty: Penalty = dataclasses.field(default_factory=NoPenalty)
    step: int = 0
    d_updates: int = 0
    seconds: float = 0.0

    @classmethod
    def create(cls, config: Config, spec: Spec, runtime: Runtime) -> TrainState:
        """Build both networks; their initial weights depend on the seed alone."""
        # Convolutions run an eighth faster on channels-last weights. Not a choice, since it changes the last bits.
        layout = torch.channels_last if spec.is_image else torch.preserve_format
        G, D = build_networks(config, spec)
        for network in (G, D):
            network.to(runtime.device).to(memory_format=layout)
        rule = config.optimizer
        G_ema = copy.deepcopy(G).requires_grad_(False)
        opt_G, opt_D = rule.build(G.parameters(), rule.g_lr), rule.build(D.parameters(), rule.d_lr)
        return cls(G, D, G_ema, opt_G, opt_D, config.penalty)

    @property
    def batches(self) -> int:
        """Batches of data seen: one for each update of D, or for each step of a baseline, which has no D."""
        return self.d_updates or self.step

    def set_learning_rates(self, rule: OptimizerOptions) -> None:
        """Set both learning rates for the next step from the schedule."""
        # Both optimizers share the schedule, each with its own base rate.
        factor = lr_factor(rule, self.step)
        for optimizer, rate in ((self.opt_G, rule.g_lr), (self.opt_D, rule.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    @torch.no_grad()
    def update_ema(self, decay: float) -> None:
        """Move the average towards G; buffers are copied, except batch statistics, which it tracks itself."""
        # averaged += (1 - decay) (G - averaged), all tensors in one call.
        averaged, buffers = self._average
        torch._foreach_lerp_(averaged, weights_of(self.opt_G), 1.0 - ema_decay(decay, self.step))
        if not self.G_ema.has_batch_stats:
            for mean, live in buffers:
                mean.copy_(live)

    @cached_property
    def _average(self) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """The average's weights, and its buffers paired with G's; listing them takes as long as updating them."""
        buffers = zip(self.G_ema.buffers(), self.G.buffers(), strict=True)
        return list(self.G_ema.parameters()), list(buffers)

    def network_scalars(self) -> dict[str, float]:
        """Return the scalars that G and D report about themselves, such as a Gaussian's mean, by tag."""
        networks = (("generator", self.G), ("discriminator", self.D))
        return {f"{kind}/{name}": float(v) for kind, net in networks for name, v in net.scalars().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor of the state by name, as a checkpoint stores it."""
        # A checkpoint holds the step in its description, and the count of D's updates as a tensor.
        tensors = {"loop/d_updates": torch.tensor(self.d_updates)}
        for part in ("G", "D", "G_ema", "penalty"):
            tensors |= {f"{part}/{name}": value for name, value in getattr(self, part).state_dict().items()}
        for part in ("opt_G", "opt_D"):
            for index, values in getattr(self, part).state_dict()["state"].items():
                tensors |= {f"{part}/{index}/{name}": t for name, t in values.items() if t is not None}
        return tensors

    def load(self, tensors: Mapping[str, Tensor], step: int, where: object) -> None:
        """Restore the tensors of a checkpoint.

        Raises:
            CheckpointError: When a name or shape differs from this state's.
        """
        try:
            for part in ("G", "D", "G_ema"):
                getattr(self, part).load_state_dict(tensors_of(tensors, part))
            for part in ("opt_G", "opt_D"):
                optimizer: torch.optim.Optimizer = getattr(self, part)
                weights = weights_of(optimizer)
                state: dict[int, dict[str, Tensor]] = {}
                for name, value in tensors_of(tensors, part).items():
                    index, key = name.split("/")
                    # Moments take the memory layout of their weights, which safetensors does not store.
                    moment = torch.empty_like(weights[int(index)]).copy_(value) if value.dim() else value
                    state.setdefault(int(index), {})[key] = moment
                # Plain SGD has no state; other optimizers have one for every trainable weight.
                trainable = sum(weight.requires_grad for weight in weights)
                if state and len(state) != trainable:
                    raise ValueError(f"{part} holds {len(state)} of {trainable} parameters")
                optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
            self.penalty.load_state_dict(tensors_of(tensors, "penalty"))
            # D's updates number the batches, so a resumed run goes on in the same epoch.
            self.d_updates = int(tensors["loop/d_updates"])
        except (RuntimeError, ValueError, KeyError, IndexError) as error:
            what = f"does not hold the tensors of this run ({' '.join(str(error).split())})"
            raise CheckpointError(where, what, "resume the run it was written by") from error
        self.step = step

    @torch.no_grad()
    def load_matching(self, tensors: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
        """Copy the networks of a checkpoint as far as names and shapes match; other tensors keep their values.

        Returns:
            The names of this state's tensors that matched, and of those that did not.
        """
        matched: list[str] = []
        missing: list[str] = []
        for part in ("G", "D", "G_ema"):
            for name, own in getattr(self, part).state_dict().items():
                other = tensors.get(f"{part}/{name}")
                if other is None or other.shape != own.shape:
                    missing.append(f"{part}/{name}")
                else:
                    own.copy_(other)
                    matched.append(f"{part}/{name}")
        return matched, missing


def lr_factor(rule: OptimizerOptions, step: int) -> float:
    """Return the factor in [0, 1] on both learning rates in the step after ``step`` finished ones."""
    return decay(rule.schedule, step, rule.horizon) * warmup(step, rule.warmup)


def tensors_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``part/``, without that prefix."""
    return {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}


def build_networks(config: Config, spec: Spec) -> tuple[Generator, Player]:
    """Build G and D on the CPU with weights from the run's seed."""
    # Layers initialise from torch's global generator, whose state is restored.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(config.seed, 0, "weights").initial_seed())
        return config.model.build(spec)
