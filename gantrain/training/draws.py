"""All that a step takes in: batches of data, and every random number, drawn before the step from keyed streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.device import upload
from gantrain.core.random import stream
from gantrain.models.base import Discriminator, Generator
from gantrain.training.batches import Batches
from gantrain.training.draw_blocks import DrawBlocks
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.state import TrainState
from gantrain.training.transfer import Sender
from gantrain.training.wrong_conditions import wrong_conditions

Draws = dict[str, Tensor]
StepDraws = dict[str, list[Draws]]  # of the updates of ``d`` and of ``g``


@dataclass(frozen=True)
class Inputs:
    """The inputs of one update.

    Attributes:
        real: Data, shape [N, ...].
        y: Their conditions, also those of the samples, or None.
        draws: Random numbers by purpose, one row a sample or a pack.
    """

    real: Tensor
    y: Tensor | None
    draws: Draws = field(default_factory=dict)

    @property
    def latents(self) -> tuple[Tensor, Tensor | None]:
        """The latents and conditions of the samples."""
        return self.draws["z"], self.y

    def parts(self, count: int) -> list[Inputs]:
        """Return the inputs cut into ``count`` equal parts, in order."""
        if count == 1:
            return [self]
        reals, ys = self.real.chunk(count), [None] * count if self.y is None else self.y.chunk(count)
        draws = [
            {key: t.chunk(count)[i] if len(t) else t for key, t in self.draws.items()} for i in range(count)
        ]
        return [Inputs(*part) for part in zip(reals, ys, draws, strict=True)]


class Draw:
    """Draws the random numbers of one step: functions of seed, step and purpose, so a resumed run repeats them.

    Each purpose has its own stream, so switching one on changes no other random number.
    """

    def __init__(self, play: Play, G: Generator, D: Discriminator, step: int):
        self.play, self.G, self.D, self.step = play, G, D, step
        self.noise = play.present("noise", play.noise, step)
        self.augment = play.present("augment", play.augment, step)

    def stream(self, purpose: str) -> torch.Generator:
        """Return the CPU generator for one purpose in this step."""
        return stream(self.play.seed, self.step, purpose)

    def for_d(
        self, real: Tensor, y: Tensor | None, i: int, due: Sequence[str], drawn: Draws | None = None
    ) -> Draws:
        """Return the draws of update ``i`` of D on the device, of this process's rows.

        Args:
            real: Of the shape of the whole batch.
            y: Its conditions, or None.
            i: Index within the step.
            due: The costs that are.
            drawn: Those of ``of_step``, if they are on the device already.
        """
        draws = self._on_device(self._numbers_of_d(real, i, due)) if drawn is None else drawn
        return draws | self._wrong("wrong", y, f"{i}")

    def for_g(
        self, real: Tensor, y: Tensor | None, j: int, due: Sequence[str], drawn: Draws | None = None
    ) -> Draws:
        """Return the draws of update ``j`` of G on the device, of this process's rows; arguments as for ``for_d``."""
        draws = self._on_device(self._numbers_of_g(real, j, due)) if drawn is None else drawn
        return draws | (self._wrong("unroll wrong", y, f" unroll{j}") if self.play.unroll else {})

    def of_step(self, real: Tensor, due: Sequence[str]) -> StepDraws:
        """Return the draws of all updates on the CPU, but for those that depend on conditions."""
        k = self.play.d_steps if self.play.objective.has_game else 0
        return {
            "d": [self._numbers_of_d(real, i, due) for i in range(k)],
            "g": [self._numbers_of_g(real, j, due) for j in range(self.play.g_steps)],
        }

    def _numbers_of_d(self, real: Tensor, i: int, due: Sequence[str]) -> Draws:
        draws = {"z": self.G.training_latents(len(real), self.stream(f"d{i}"))}
        draws |= self._of_inputs(real, {"real": f"real{i}", "fake": f"fake{i}"})
        draws |= self._of_labels(real, f"{i}") | self._of_dropout(real, f"d{i}")
        draws |= self._of_costs("d", real, due, f"{i}")
        return self._own(draws)

    def _numbers_of_g(self, real: Tensor, j: int, due: Sequence[str]) -> Draws:
        draws = {"z": self.G.training_latents(len(real), self.stream(f"g{j}"))}
        if self.play.objective.has_game:
            draws |= self._of_inputs(real, {"fake": f"g{j}"}) | self._of_dropout(real, f"g{j}")
            if self.play.objective.g_sees_real:
                draws |= self._of_inputs(real, {"real": f"g real{j}"})
            if self.play.unroll:  # D's noise in its unrolled updates is independent of that in its real ones
                unrolled = self._of_inputs(real, {"real": f"real unroll{j}"})
                unrolled |= self._of_labels(real, f" unroll{j}") | self._of_dropout(real, f"unroll{j}")
                draws |= {f"unroll {key}": value for key, value in unrolled.items()}
        draws |= self._of_costs("g", real, due, f" g{j}")
        return self._own(draws)

    def held_out(self, n: int) -> Tensor:
        """Return ``n`` latents for D's loss on held-out data, the same throughout the step."""
        return upload(self.G.latents(n, self.stream("held out")), self.play.device)

    def _of_inputs(self, real: Tensor, streams: dict[str, str]) -> Draws:
        """Return the augmentation and the instance noise of D's inputs, by kind; ``streams`` names each kind's."""
        draws: Draws = {}
        for kind, name in streams.items():
            if self.play.augment.active:
                draws[f"augment {kind}"] = self.augment.draw(len(real), self.stream(f"augment {name}"))
            if self.play.noise.on_inputs:
                noise = self.noise.instance_noise(real.shape, self.stream(f"noise {name}"))
                draws[f"noise {kind}"] = noise
        return draws

    def _of_labels(self, real: Tensor, suffix: str) -> Draws:
        """Return D's targets, one for each logit, where labels are noisy."""
        play, draws = self.play, dict[str, Tensor]()
        for kind in ("real", "fake") if play.noise.on_labels else ():
            generator = self.stream(f"label {kind}{suffix}")
            draws[f"label {kind}"] = play.noise.targets(kind == "real", len(real) // play.packing, generator)
        return draws

    def _of_dropout(self, real: Tensor, suffix: str) -> Draws:
        """Return the masks of dropout in D, which all its passes in an update share."""
        masks = self.D.dropout_masks(len(real), self.stream(f"dropout {suffix}"))
        return {f"dropout {name}": mask for name, mask in masks.items()}

    def _of_costs(self, player: str, real: Tensor, due: Sequence[str], suffix: str) -> Draws:
        """Return the random numbers of the costs on a player; each of several has a stream of its own."""
        play, draws = self.play, dict[str, Tensor]()
        for name, one in play.costs_of(player, dict.fromkeys(due)).items():
            own = f" {name} " if len(play.costs) > 1 else ""
            draws[f"penalty {name}"] = one.draw(real, self.stream(f"penalty{own}{suffix}"))
        return draws

    def _wrong(self, key: str, y: Tensor | None, suffix: str) -> Draws:
        """Return conditions that do not fit the data, for a third kind of pair, where the game has one."""
        if self.play.objective.mismatch_weight == 0 or y is None:
            return {}
        wrong = wrong_conditions(y, self.play.classes, self.stream(f"wrong{suffix}"))
        return {} if wrong is None else self._own({key: wrong})

    def _own(self, draws: Draws) -> Draws:
        """Return the rows of this process: the numbers are those of the whole batch, however many share it."""
        group = self.play.parts.group
        if group.size == 1:
            return draws
        return {key: t.chunk(group.size)[group.rank] if len(t) else t for key, t in draws.items()}

    def _on_device(self, draws: Draws) -> Draws:
        return {key: upload(value, self.play.device) for key, value in draws.items()}


class StepInputs:
    """The inputs of one step, made when they are needed: the number of D's updates may depend on how they go."""

    def __init__(
        self,
        state: TrainState,
        batches: Batches,
        play: Play,
        rates: Rates,
        draws: StepDraws | None = None,
    ):
        self.state, self.batches, self.play, self.rates, self.draws = state, batches, play, rates, draws
        self.draw = Draw(play, state.G, state.D, state.step)
        self._last: tuple[Tensor, Tensor | None] | None = None  # batch of D, and its number
        self._number: int | None = None

    def of_d(self) -> Iterator[Inputs]:
        """Yield the inputs of D's updates, each with fresh data."""
        for i in range(self.play.d_steps if self.play.objective.has_game else 0):
            number = self._number = self.state.d_updates
            self.state.d_updates += 1
            due, drawn = self.rates.due, self.draws["d"][i] if self.draws else None
            real, y = self._last = self.batches(number)
            yield Inputs(real, y, self.draw.for_d(*self._whole(number, real, y), i, due, drawn))

    def of_g(self) -> Iterator[Inputs]:
        """Yield the inputs of G's updates: fresh latents, and the data of D's last update."""
        number = self.state.step if self._number is None else self._number
        real, y = self._last or self.batches(number)
        for j in range(self.play.g_steps):
            drawn = self.draws["g"][j] if self.draws else None
            yield Inputs(real, y, self.draw.for_g(*self._whole(number, real, y), j, self.rates.due, drawn))

    def _whole(self, number: int, real: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return a tensor of the shape of a whole batch, and its conditions; ``real`` and ``y`` are the own rows."""
        if self.play.parts.group.size == 1:
            return real, y
        return whole_shape(self.play, real), self.batches.conditions(number)


def whole_shape(play: Play, real: Tensor) -> Tensor:
    """Return a tensor of the shape of a whole batch on the CPU, without memory of its own."""
    return torch.zeros(()).expand(play.batch_size, *real.shape[1:])


def is_drawn_ahead(device: torch.device) -> bool:
    """Return whether the draws of steps are made and copied in blocks, which spares CUDA's host a wait."""
    return device.type == "cuda"


def draws_ahead(state: TrainState, config: Config, play: Play) -> DrawBlocks | None:
    """Return the draws of steps in blocks that are copied to CUDA ahead of time; None for other devices."""
    if not is_drawn_ahead(play.device):
        return None
    # Shapes are all that the draws take of a batch.
    batch = torch.zeros(()).expand(play.batch_size, *config.spec.shape)

    def draws_of(step: int) -> StepDraws:
        return Draw(play, state.G, state.D, step).of_step(batch, Rates.at(step, play).due)

    return DrawBlocks(draws_of, Sender(play.device))
