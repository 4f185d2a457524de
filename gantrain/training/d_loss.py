"""D's loss on one batch, and the pass of D that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gantrain.core.gradients import Derivatives
from gantrain.core.judgement import Judgement
from gantrain.core.memory import Memory
from gantrain.objectives.base import Logits, Targets
from gantrain.penalties.base import FAKE, REAL
from gantrain.training.costs import objective_costs
from gantrain.training.draws import Draws, Inputs
from gantrain.training.networks import Network, judge
from gantrain.training.play import Play

WRONG = "wrong"


class Pairs(NamedTuple):
    """Samples and their conditions, as one kind of pair that D sees."""

    x: Tensor
    y: Tensor | None


def pairs_of(inputs: Inputs, fake: Tensor, draws: Draws, play: Play, memory: Memory) -> dict[str, Pairs]:
    """Return what D sees in one update by kind: data, samples ``fake``, and data with wrong conditions if any."""
    real = play.see(inputs.real, draws, REAL, memory)
    pairs = {REAL: Pairs(real, inputs.y), FAKE: Pairs(fake, inputs.y)}
    return pairs | ({WRONG: Pairs(real, draws[WRONG])} if WRONG in draws else {})


def dropout_masks(draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the masks of dropout in D by the names of its buffers; they are the same for all kinds of samples."""
    prefix = "dropout "
    return {key.removeprefix(prefix): t for key, t in draws.items() if key.startswith(prefix)}


def outputs(
    D: Network,
    pairs: Mapping[str, Pairs],
    slopes_of: tuple[str, ...],
    derivatives: type[Derivatives],
    play: Play,
) -> tuple[dict[str, Judgement], dict[str, Tensor]]:
    """Return what D says by kind, and of the kinds in ``slopes_of`` its gradient by each sample, [N, d].

    A D that looks at each sample on its own sees all kinds without slopes in one pass, and those with slopes in
    another, which makes the same numbers up to rounding in less time.
    """
    with_slopes = [kind for kind in pairs if kind in slopes_of]
    without = [kind for kind in pairs if kind not in slopes_of]
    groups = [with_slopes, without] if play.is_joint else [[kind] for kind in pairs]
    judgements: dict[str, Judgement] = {}
    slopes: dict[str, Tensor] = {}
    for group in filter(None, groups):
        x, y = _join([pairs[kind] for kind in group])

        def output(x: Tensor, y: Tensor | None = y) -> Judgement:
            with play.autocast():
                return judge(D, x, y, play.needs)

        if group[0] in slopes_of:
            out, slope = derivatives.by_input(output, x)
            slopes |= zip(group, slope.flatten(1).chunk(len(group)), strict=True)
        else:
            out = output(x)
        judgements |= zip(group, out.chunk(len(group)), strict=True)
    return judgements, slopes


def _join(pairs: list[Pairs]) -> Pairs:
    """Return pairs of several kinds as one batch."""
    if len(pairs) == 1:
        return pairs[0]
    ys = [y for _, y in pairs if y is not None]
    return Pairs(torch.cat([x for x, _ in pairs]), torch.cat(ys) if ys else None)


def d_losses(said: Mapping[str, Judgement], y: Tensor | None, draws: Draws, play: Play) -> dict[str, Tensor]:
    """Return what D minimises the sum of, without its penalty, 0-dim by tag, from what it says by kind."""
    real, fake, objective = said[REAL], said[FAKE], play.objective
    logits = Logits(real.logit, fake.logit, said[WRONG].logit if WRONG in said else None)
    if play.noise.on_labels:
        # Smoothed or flipped labels are targets between 0 and 1, one for each logit: a packed D classifies whole packs.
        targets = Targets(*(draws[f"label {kind}"].to(said[kind].logit) for kind in (REAL, FAKE)))
        loss = objective.d_loss(logits, targets)
    else:
        loss = objective.d_loss(logits)
    return {"loss/d": loss} | objective_costs("d", objective.d_costs(real, fake, y))
