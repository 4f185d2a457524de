"""D's loss on one batch, with the wrong conditions that a conditional D is trained to reject."""

from collections.abc import Callable

import torch
from torch import Tensor

from gantrain.objectives.base import Logits, Targets
from gantrain.training.play import Play
from gantrain.training.wrong_conditions import wrong_conditions

Discriminator = Callable[[Tensor, Tensor | None], Tensor]
Draw = Callable[[str], torch.Generator]


def d_loss(
    D: Discriminator, real: Tensor, fake: Tensor, y: Tensor | None, draw: Draw, play: Play
) -> tuple[Tensor, Logits]:
    """Return D's loss without its penalty, 0-dim, and its logits.

    Args:
        D: The discriminator, or an unrolled one.
        real: Data as D sees it, shape [N, ...].
        fake: Samples as D sees them, shape [N, ...].
        y: Conditions of both, or None.
        draw: Generator by purpose, for wrong conditions and label noise.
        play: Objective, noise and precision.
    """
    objective, noise = play.objective, play.noise
    # Real data with a wrong condition: a third kind of pair, which D should reject (Reed et al. 2016).
    wrong = None
    if objective.mismatch_weight > 0 and y is not None:
        wrong = wrong_conditions(y, play.classes, draw("wrong"))
    with play.autocast():
        logits = Logits(
            real=D(real, y).float(),
            fake=D(fake, y).float(),
            mismatched=None if wrong is None else D(real, wrong).float(),
        )
    # Smoothed or flipped labels become targets between 0 and 1 for each sample.
    if not noise.on_labels:
        return objective.d_loss(logits), logits
    # One label for each logit: a packed D classifies whole packs.
    labels = [
        noise.targets(kind, len(found), draw(f"label {kind}")).to(found)
        for kind, found in ((True, logits.real), (False, logits.fake))
    ]
    return objective.d_loss(logits, Targets(*labels)), logits
