"""One step of Algorithm 1 of Goodfellow et al. 2014: k updates of D, then G, then the average of G's weights.

Nothing here draws a random number, reads a tensor's value or writes to one: that is the players' affair, who are either
networks that change in place or pure functions of their tensors, which are compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from operator import add
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import softplus

from gantrain.core.gradients import gradient_norm
from gantrain.core.memory import Memory, memory_of, with_owner
from gantrain.core.schedules import with_numbers
from gantrain.objectives.base import Baseline
from gantrain.penalties.base import FAKE, REAL, GeneratorCost, GeneratorPass, Pass
from gantrain.training.costs import PENALTIES, Tags, memory_after, objective_costs, with_costs
from gantrain.training.d_loss import WRONG, d_losses, dropout_masks, outputs, pairs_of
from gantrain.training.draws import Inputs
from gantrain.training.learners import Aux, Learner, Loss, Players
from gantrain.training.networks import Network, judge, method_of
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.unroll import unroll


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
            players.D.update(rates.d_lr, rates.rule, play.penalty)
    # Update G, by default once, on fresh latents; simultaneously: against the D that has not moved yet.
    for j, inputs in enumerate(of_g):
        reports.append(differentiate_g(players, inputs, rates, play))
        if play.is_simultaneous and j == 0:
            players.D.update(rates.d_lr, rates.rule, play.penalty)
        players.G.update(rates.g_lr, rates.rule)
    players.average.update(players.G, rates.ema)
    return reports


def differentiate_d(players: Players, inputs: Inputs, rates: Rates, play: Play) -> Tags:
    """Differentiate D's loss on one batch; G is left untouched."""
    D, parts = players.D, inputs.parts(play.parts.own)
    D.refresh()
    # Fakes without a graph: nothing of this reaches G.
    with play.autocast():
        fakes = players.G.sample([part.latents for part in parts])
    losses = [
        discriminator_loss(players, part, fake, rates, play) for part, fake in zip(parts, fakes, strict=True)
    ]
    norm, aux = D.differentiate(losses)
    return aux["tags"] | {"gradient/d": norm} | keep(players, aux, play)


def discriminator_loss(players: Players, part: Inputs, fake: Tensor, rates: Rates, play: Play) -> Loss:
    """Return D's loss with the costs on it, as a function of D's network."""
    D, y, memory, costs = players.D, part.y, players.memory, play.costs_of("d", rates.costs)
    pairs = pairs_of(part, play.see(fake.float(), part.draws, FAKE, memory), part.draws, play, memory)
    slopes_of = tuple(kind for kind in (REAL, FAKE) if any(kind in one.slopes_of for one in costs.values()))

    def loss_of(network: Network) -> tuple[Tensor, Aux]:
        network = D.bind(network, dropout_masks(part.draws))
        still = D.still(network)  # for passes beside those of the loss
        # D's gradient by its inputs comes from the same pass, unless that is less precise than a penalty may be.
        said, slopes = outputs(network, pairs, () if play.is_mixed else slopes_of, D.derivatives, play)
        logits = {kind: one.logit for kind, one in said.items()}
        tags = d_losses(said, y, part.draws, play)
        loss = reduce(add, tags.values())
        tags |= {"logits/real": logits[REAL].mean(), "logits/fake": logits[FAKE].mean()}
        tags |= {"logits/mismatched": logits[WRONG].mean()} if WRONG in logits else {}

        def slope_at(x: Tensor) -> Tensor:
            return D.derivatives.by_input(lambda x: still(x, y), x)[1].flatten(1)

        if play.is_mixed:
            slopes = {kind: slope_at(pairs[kind].x) for kind in slopes_of}
        kept = memory_after(memory, logits, costs, play)
        weighted: dict[str, Tensor] = {}
        for name, cost in costs.items():
            seen = Pass(
                real=pairs[REAL].x,
                fake=pairs[FAKE].x,
                real_logits=logits[REAL],
                fake_logits=logits[FAKE],
                slopes=slopes,
                slope_at=slope_at,
                value_at=lambda x: still(x, y).float(),
                draw=part.draws[f"penalty {name}"],
                memory=memory_of(f"penalty.{name}", kept),
                y=y,
                judgements=said,
                is_mixed=play.is_mixed,
            )
            weighted[name] = rates.costs[name] * cost(seen)
        loss, of_costs = with_costs(loss, PENALTIES[0], weighted, play)
        return loss, {"tags": tags | of_costs, "memory": kept}

    return loss_of


def keep(players: Players, aux: Aux, play: Play) -> Tags:
    """Keep what was observed in an update, and return what is logged of it."""
    kept = aux.get("memory", {})
    tags: Tags = {}
    players.memory = players.memory | kept
    for name, owner in play.owners.items() if kept else ():
        if own := memory_of(name, kept):
            own = owner.advance(own, play.batch_size)
            players.memory |= with_owner(name, own)
            tags |= owner.scalars(own)
    return tags


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
    return aux["tags"] | {"gradient/g": norm} | keep(players, aux, play)


def game_loss(players: Players, part: Inputs, rates: Rates, play: Play) -> Loss:
    """Return G's loss against D with the costs on it, as a function of G's network."""
    D, draws, y, memory, objective = players.D, part.draws, part.y, players.memory, play.objective

    def loss_of(G: Network) -> tuple[Tensor, Aux]:
        with play.autocast():
            sample = G(draws["z"], y).float()
        fake = play.see(sample, draws, FAKE, memory)
        opponent = unrolled_discriminator(players, part, fake, rates, play) if play.unroll else D.network
        opponent = D.bind(opponent, dropout_masks(draws))
        with play.autocast():
            said = judge(opponent, fake, y, play.needs)
            of_real = None
            if objective.g_sees_real:
                of_real = judge(opponent, play.see(part.real, draws, REAL, memory), y, play.needs)
        tags = {"loss/g": objective.g_loss_of(said, of_real)} | objective_costs(
            "g", objective.g_costs(said, y)
        )
        loss = reduce(add, tags.values())
        if play.compare_gradients:
            tags |= gradient_comparison(players.G, said.logit)
        kept: Memory = {}
        weighted: dict[str, Tensor] = {}
        for name, cost in play.costs_of("g", rates.costs).items():
            seen = GeneratorPass(
                latents=draws["z"],
                y=y,
                real=part.real,
                fake=sample,
                judgement=said,
                method=partial(method_of, G),
                derivatives=players.G.derivatives,
                draw=draws[f"penalty {name}"],
                memory=memory_of(f"penalty.{name}", memory),
            )
            assert isinstance(cost, GeneratorCost)  # by its player
            of_cost, own = cost.cost(seen)
            kept |= with_owner(f"penalty.{name}", own)
            weighted[name] = rates.costs[name] * of_cost
        loss, of_costs = with_costs(loss, PENALTIES[1], weighted, play)
        return loss, {"tags": tags | of_costs, "memory": kept}

    return loss_of


def unrolled_discriminator(players: Players, part: Inputs, fake: Tensor, rates: Rates, play: Play) -> Network:
    """Return D after ``train.unroll`` more updates, all on one batch of data and samples (Metz et al. 2017)."""
    D, prefix = players.D, "unroll "
    draws = {key.removeprefix(prefix): t for key, t in part.draws.items() if key.startswith(prefix)}
    pairs = pairs_of(part, fake, draws, play, players.memory)

    def loss_of(weights: dict[str, Tensor]) -> Tensor:
        network = D.bind(D.with_weights(weights), dropout_masks(draws))
        said, _ = outputs(network, pairs, (), D.derivatives, play)
        return reduce(add, d_losses(said, part.y, draws, play).values())

    lr = rates.d_lr if play.unroll_lr is None else play.unroll_lr
    rule = with_numbers(D.rule, rates.rule) if play.unroll_rule == "optimizer" else None
    return D.with_weights(unroll(D.weights, loss_of, play.unroll, lr, D.derivatives, rule, D.moments))


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
