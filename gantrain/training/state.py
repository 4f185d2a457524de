"""The state of a run, which a checkpoint saves: G, D, the average of G, their optimizers, the step."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.core.loss_scale import LossScale
from gantrain.core.memory import Memory, initial_memory
from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.core.update_rules import Moments
from gantrain.errors import CheckpointError
from gantrain.models.base import Discriminator, Generator
from gantrain.models.layers import weight_layout
from gantrain.training.networks import Methods
from gantrain.training.play import owners_of
from gantrain.training.runtime import Runtime


@dataclass
class TrainState:
    """Everything that changes while training.

    Attributes:
        G: The generator that is trained.
        D: The discriminator.
        G_ema: The exponential moving average of G's weights, for grids, metrics and samples.
        opt_G: The moments of G's optimizer.
        opt_D: The moments of D's optimizer.
        memory: What penalties and augmentation keep between updates, as ``owner/name``.
        scales: Of the losses of ``g`` and ``d`` in float16; empty in other precisions.
        step: Finished steps, each of ``train.g_steps`` generator updates.
        d_updates: Finished discriminator updates, which number the batches.
        seconds: Time spent in training, for a budget of time; not among the tensors, since it is never the same.
        methods: Those of G and D, for pure play.
    """

    G: Generator
    D: Discriminator
    G_ema: Generator
    opt_G: Moments
    opt_D: Moments
    memory: Memory = dataclasses.field(default_factory=dict)
    scales: dict[str, LossScale] = dataclasses.field(default_factory=dict)
    step: int = 0
    d_updates: int = 0
    seconds: float = 0.0

    @classmethod
    def create(cls, config: Config, spec: Spec, runtime: Runtime) -> TrainState:
        """Build both networks; their initial weights depend on the seed alone."""
        G, D = build_networks(config, spec)
        for network in (G, D):
            network.to(runtime.device).to(memory_format=weight_layout(spec))
        rule = config.optimizer
        G_ema = copy.deepcopy(G).requires_grad_(False)
        opt_G, opt_D = (rule.init(list(trainable_weights(network).values())) for network in (G, D))
        owners = owners_of(config.penalty, config.augment)
        memory = {name: t.to(runtime.device) for name, t in initial_memory(owners).items()}
        players = "gd" if runtime.precision == "float16" else ""
        scales = {player: LossScale.create(runtime.device) for player in players}
        return cls(G, D, G_ema, opt_G, opt_D, memory, scales)

    def __post_init__(self) -> None:
        self.methods = {"G": Methods(self.G), "D": Methods(self.D)}

    @property
    def batches(self) -> int:
        """Batches of data seen: one for each update of D, or for each step of a baseline, which has no D."""
        return self.d_updates or self.step

    def network_scalars(self) -> dict[str, float]:
        """Return the scalars that G and D report about themselves, such as a Gaussian's mean, by tag."""
        networks = (("generator", self.G), ("discriminator", self.D))
        return {f"{kind}/{name}": float(v) for kind, net in networks for name, v in net.scalars().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor of the state by name, as a checkpoint stores it."""
        # A checkpoint holds the step in its description, and the count of D's updates as a tensor.
        tensors = {"loop/d_updates": torch.tensor(self.d_updates)}
        for part in ("G", "D", "G_ema"):
            tensors |= {f"{part}/{name}": value for name, value in getattr(self, part).state_dict().items()}
        # A mean without a value yet is left out.
        tensors |= {f"memory/{name}": t for name, t in self.memory.items() if t.isfinite()}
        for player, scale in self.scales.items():
            tensors |= {f"loss_scale/{player}/{name}": t for name, t in vars(scale).items()}
        for part, network in (("opt_G", self.G), ("opt_D", self.D)):
            moments: Moments = getattr(self, part)
            for name, of_weights in moments.items():
                indices = trainable_indices(network)
                copies = of_weights * len(indices) if name == "step" else of_weights
                tensors |= {f"{part}/{i}/{name}": t for i, t in zip(indices, copies, strict=True)}
        return tensors

    def load(self, tensors: Mapping[str, Tensor], step: int, where: object) -> None:
        """Restore the tensors of a checkpoint.

        Raises:
            CheckpointError: When a name or shape differs from this state's.
        """
        try:
            for part in ("G", "D", "G_ema"):
                getattr(self, part).load_state_dict(tensors_of(tensors, part))
            for part, network in (("opt_G", self.G), ("opt_D", self.D)):
                load_moments(getattr(self, part), tensors, part, trainable_indices(network))
            memory = tensors_of(tensors, "memory")
            # Older checkpoints name what the one penalty keeps after no owner.
            for name, number in tensors_of(tensors, "penalty").items():
                memory |= {key: number for key in self.memory if key.endswith(f"/{name}")}
            # In place too: a step that is compiled already reads these tensors.
            for name, own in self.memory.items():
                own.copy_(memory.get(name, own))
            for player, scale in self.scales.items():
                for name, number in tensors_of(tensors, f"loss_scale/{player}").items():
                    getattr(scale, name).copy_(number)
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


def tensors_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``part/``, without that prefix."""
    return {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}


def trainable_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that training changes, by name."""
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}


def all_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a network by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def trainable_indices(network: nn.Module) -> list[int]:
    """Return the positions of these weights among all parameters, by which a checkpoint names their moments."""
    return [i for i, weight in enumerate(network.parameters()) if weight.requires_grad]


@torch.no_grad()
def load_moments(moments: Moments, tensors: Mapping[str, Tensor], part: str, indices: list[int]) -> None:
    """Copy the moments of a checkpoint, named ``<part>/<index>/<moment>``; without any they stay as they are.

    Raises:
        KeyError: For one that is missing.
        RuntimeError: For one of another shape.
    """
    # Older checkpoints have none of a network that was never updated: a baseline's D.
    if not tensors_of(tensors, part):
        return
    for name, own in moments.items():
        # In place, so that they keep the memory layout of their weights, which safetensors does not store.
        for index, tensor in zip(indices, own, strict=False):  # one number of updates stands for all weights
            tensor.copy_(tensors[f"{part}/{index}/{name}"])


def build_networks(config: Config, spec: Spec) -> tuple[Generator, Discriminator]:
    """Build G and D on the CPU with weights from the run's seed."""
    # Layers initialise from torch's global generator, whose state is restored.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(config.seed, 0, "weights").initial_seed())
        return config.model.build(spec)
