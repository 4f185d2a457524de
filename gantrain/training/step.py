"""One step of Algorithm 1 of Goodfellow et al. 2014: k updates of D, then G, then the average of G's weights.

Nothing here draws a random number, reads a tensor's value or writes to one: that is the players' affair, who are either
networks that change in place or pure functions of their tensors, which are compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import softplus

from gantrain.core.gradients import gradient_norm
from gantrain.objectives.base import Baseline
from gantrain.penalties.base import FAKE, REAL, Pass
from gantrain.training.d_loss import WRONG, Network, d_loss, outputs, pairs_of
from gantrain.training.draws import Inputs, Rates
from gantrain.training.learners import Aux, Learner, Loss, Players
from gantrain.training.play import Play
from gantrain.training.unroll import unroll

Tags = dict[str, Tensor]


def step(
    players: Players, of_d: Iterable[Inputs], of_g: Iterable[Inputs], rates: Rates, play: Play
) -> list[Tags]:
    """Play one step.

    Args:
        players: What changes.
        of_d: The inputs of D's updates, empty for a baseline; the next is taken after the last update.
        of_g: The inputs of G's updates.
        rates: The step's learning rates and weights.
        play: The run.

    Returns:
        0-dim tensors by tag, of each update.
    """
    reports = []
    # Update D k times, each on fresh data.
    for i, inputs in enumerate(of_d):
        reports.append(differentiate_d(players, inputs, rates, play))
        if not (play.is_simultaneous and i == play.d_steps - 1):
            players.D.update(rates.d_lr, play.penalty)
    # Update G, by default once, on fresh latents; simultaneously: against the D that has not moved yet.
    for j, inputs in enumerate(of_g):
        reports.append(differentiate_g(players, inputs, rates, play))
        if play.is_simultaneous and j == 0:
            players.D.update(rates.d_lr, play.penalty)
        players.G.update(rates.g_lr)
    players.average.update(players.G, rates.ema)
    return reports


def differentiate_d(players: Players, inputs: Inputs, rates: Rates, play: Play) -> Tags:
    """Differentiate D's loss on one batch; G is left untouched."""
    D, penalty, parts = players.D, play.penalty, inputs.parts(play.parts.own)
    D.refresh()
    # Fakes without a graph: nothing of this reaches G.
    with play.autocast():
        fakes = players.G.sample([part.latents for part in parts])

    def loss_on(part: Inputs, fake: Tensor) -> Loss:
        pairs = pairs_of(part, play.d_input(fake.float(), part.draws, FAKE), part.draws, play)

        def loss_of(network: Network) -> tuple[Tensor, Aux]:
            # D's gradient by its inputs comes from the same pass, unless that is less precise than a penalty may be.
            slopes_of = penalty.slopes_of if rates.penalty is not None else ()
            logits, slopes = outputs(network, pairs, () if play.is_mixed else slopes_of, D.derivatives, play)
            loss = d_loss(logits, part.draws, play)
            tags = {"loss/d": loss, "logits/real": logits[REAL].mean(), "logits/fake": logits[FAKE].mean()}
            if WRONG in logits:
                tags["logits/mismatched"] = logits[WRONG].mean()
            if rates.penalty is None:
                return loss, {"tags": tags}

            def slope_at(x: Tensor) -> Tensor:
                return D.derivatives.by_input(lambda x: network(x, part.y), x)[1].flatten(1)

            if play.is_mixed:
                slopes = {kind: slope_at(pairs[kind].x) for kind in slopes_of}
            memory = penalty.remember(players.memory, logits[REAL], logits[FAKE])
            seen = Pass(
                real=pairs[REAL].x,
                fake=pairs[FAKE].x,
                real_logits=logits[REAL],
                fake_logits=logits[FAKE],
                slopes=slopes,
                slope_at=slope_at,
                draw=part.draws["penalty"],
                memory=memory,
            )
            tags["loss/penalty"] = cost = rates.penalty * penalty(seen)
            return loss + cost, {"tags": tags, "memory": memory}

        return loss_of

    norm, aux = D.differentiate([loss_on(part, fake) for part, fake in zip(parts, fakes, strict=True)])
    players.memory = aux.get("memory", players.memory)
    return aux["tags"] | {"gradient/d": norm}


def differentiate_g(players: Players, inputs: Inputs, rates: Rates, play: Play) -> Tags:
    """Differentiate G's loss on fresh samples, or a baseline's on data; D is left untouched."""
    parts, of_game = inputs.parts(play.parts.own), play.objective.has_game
    players.G.refresh()
    losses = [
        game_loss(players, part, rates, play) if of_game else baseline_loss(part, play) for part in parts
    ]
    norm, aux = players.G.differentiate(losses, [part.latents for part in parts])
    if of_game:
        with play.autocast():
            players.average.track([part.latents for part in parts])
    return aux["tags"] | {"gradient/g": norm}


def game_loss(players: Players, part: Inputs, rates: Rates, play: Play) -> Loss:
    """Return G's loss against D, as a function of G's network."""
    D, draws, y, objective = players.D, part.draws, part.y, play.objective

    def loss_of(G: Network) -> tuple[Tensor, Aux]:
        with play.autocast():
            fake = G(draws["z"], y).float()
        fake = play.d_input(fake, draws, FAKE)
        opponent = unrolled_discriminator(D, part, fake, rates, play) if play.unroll else D.network
        with play.autocast():
            fake_logits = opponent(fake, y).float()
            real_logits = None
            if objective.g_sees_real:
                real_logits = opponent(play.d_input(part.real, draws, REAL), y).float()
        loss = objective.g_loss(fake_logits, real_logits)
        tags = {"loss/g": loss}
        if play.compare_gradients:
            tags |= gradient_comparison(players.G, fake_logits)
        return loss, {"tags": tags}

    return loss_of


def unrolled_discriminator(D: Learner, part: Inputs, fake: Tensor, rates: Rates, play: Play) -> Network:
    """Return D after ``train.unroll`` more updates, all on one batch of data and samples (Metz et al. 2017)."""
    prefix = "unroll "
    draws = {key.removeprefix(prefix): t for key, t in part.draws.items() if key.startswith(prefix)}
    pairs = pairs_of(part, fake, draws, play)

    def loss_of(weights: dict[str, Tensor]) -> Tensor:
        logits, _ = outputs(D.with_weights(weights), pairs, (), D.derivatives, play)
        return d_loss(logits, draws, play)

    lr = rates.d_lr if play.unroll_lr is None else play.unroll_lr
    return D.with_weights(unroll(D.weights, loss_of, play.unroll, lr, D.derivatives))


def gradient_comparison(G: Learner, fake_logits: Tensor) -> Tags:
    """Return the norms of G's gradient for both generator losses of the cross-entropy game, by tag."""
    weights = list(G.weights.values())
    return {
        "gradient/g_minimax": gradient_norm(-softplus(fake_logits).mean(), weights),
        "gradient/g_non_saturating": gradient_norm(softplus(-fake_logits).mean(), weights),
    }


def baseline_loss(part: Inputs, play: Play) -> Loss:
    """Return a baseline's loss on data, as a function of G's network."""
    objective = play.objective
    assert isinstance(objective, Baseline)  # a game's G has a D to play against

    def loss_of(G: Network) -> tuple[Tensor, Aux]:
        with play.autocast():
            loss = objective.loss(cast(nn.Module, G), part.real, part.y, part.draws["z"])
        return loss, {"tags": {"loss/g": loss}}

    return loss_of
