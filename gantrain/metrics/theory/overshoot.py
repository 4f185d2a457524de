"""Training G too long against a fixed D: the bound goes on falling, the divergence does not."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.core.gradients import descend
from gantrain.core.update_rules import Adam
from gantrain.errors import Diverged
from gantrain.metrics.base import Evaluation, History, Metric, RunSpec
from gantrain.metrics.exact import why_not_integrable
from gantrain.metrics.js import JS, divergence_tag
from gantrain.metrics.tools.quadrature import (
    LogDensity,
    density_of_data,
    density_of_generator,
    divergences,
    frame,
    samples,
)
from gantrain.registry import option, register

UPDATES, EVERY, BATCH, RATE = 200, 10, 256, 0.02
CLOUD = 2000  # samples that bound the box of integration


@dataclass(frozen=True)
class Stop:
    """An evaluation during the descent.

    Attributes:
        updates: Updates of G since D was fixed.
        bound: The objective's estimates by this D, without their standard errors.
        truth: The divergences themselves by name, if they are known.
        cloud: Points of the generator at this stop, shape [2000, d].
        log_q: Its density at this stop, or None.
    """

    updates: int
    bound: Mapping[str, float]
    truth: dict[str, float]
    cloud: Tensor
    log_q: LogDensity | None


def evaluate_stop(evaluation: Evaluation, updates: int) -> Stop:
    """Return the bound and the truth for the current generator."""
    bound = evaluation.game.objective.estimate(JS.logits(evaluation))
    # The divergence itself needs both densities; the data's is known, see ``why_unsupported``.
    log_q, cloud = density_of_generator(evaluation), samples(evaluation, CLOUD, "overshoot shown")
    truth = {}
    if log_q is not None:
        truth = divergences(density_of_data(evaluation.data), log_q, *frame(evaluation.data, cloud))
    return Stop(updates, bound, truth, cloud, log_q)


def batch_size(evaluation: Evaluation) -> int:
    """Return the samples of G in each of its updates: whole packs, and for a D that looks across its batch its own."""
    return (evaluation.game.batch or BATCH) // evaluation.game.packing * evaluation.game.packing


def descent(evaluation: Evaluation) -> list[Stop]:
    """Return the stops of a copy of the live G that descends its own loss against the fixed D.

    One before the first of ``UPDATES`` and one after every ``EVERY``; fewer if an update was not finite.
    """
    way: list[Stop] = []
    objective = evaluation.game.objective
    with torch.inference_mode(False), torch.enable_grad():
        G = copy.deepcopy(evaluation.game.G_live).requires_grad_(True)
        optimizer = Adam(list(G.parameters()), lr=RATE, beta1=0.5, beta2=0.99)
        moved = replace(evaluation, players=replace(evaluation.game, G_live=G))
        draws = torch.Generator().manual_seed(evaluation.seed)
        size = batch_size(evaluation)
        for m in range(UPDATES + 1):
            if m % EVERY == 0:
                with torch.no_grad():
                    way.append(evaluate_stop(replace(moved), m))  # which knows nothing of an earlier G
            if m == UPDATES:
                break
            # Update G on a fresh batch; D stays as it is.
            rows = torch.randint(len(evaluation.data.train), (size,), generator=draws)
            real, y = evaluation.data.train.take(rows, evaluation.device)
            c = evaluation.condition(y)
            z = evaluation.game.latents(size, f"overshoot {m}").to(evaluation.device)
            of_real = evaluation.game.judge(real, c) if objective.g_sees_real else None
            of_fake = evaluation.game.judge(G(z, c).float(), c)
            loss = sum(objective.g_costs(of_fake, c).values(), objective.g_loss_of(of_fake, of_real))
            try:
                descend(loss, optimizer, "g")
            except Diverged:
                break
    return way


@register("metric")
@dataclass
class Overshoot(Metric):
    """This D's bound, and the truth, while a copy of G takes 200 updates against it: Adam, rate 0.02, batches of 256.

    D fits one generator. As G moves, the bound goes on falling, in the end below 0, while the divergence itself falls
    and rises again: the optimal D has changed. Hence one step of G for k of D (Goodfellow et al. 2014, alg. 1).
    """

    name: str = option("overshoot", "registered name")
    has_floor = False
    needs_d = True
    is_demonstration = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        if run.conditional:
            return "D evaluates points with their conditions, whose density is not known"
        return why_not_integrable(run)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {
            "D": "playing, eval mode, held still",
            "G": "a copy of the live weights, by the objective's own loss, without noise",
            "updates": UPDATES,
            "optimizer": f"Adam, rate {RATE:g}, betas 0.5 and 0.99",
            "batch": batch_size(evaluation),
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the bound after the updates, ``divergence/<quantity>_after_g``; metric js has the one before.

        Where G knows its density also the truth then, ``…_exact_after_g``, and the least truth at a stop,
        ``…_exact_least``, with the updates up to it, ``generator/updates_to_least``.
        """
        way = evaluation.once(descent)
        tags = {}
        for quantity, bound in way[-1].bound.items():
            tags[f"{divergence_tag(quantity, evaluation.game.couples_samples)}_after_g"] = float(bound)
        # The truth at the end and at its minimum, of each quantity that is known at every stop.
        for quantity in way[-1].bound:
            if all(quantity in at.truth for at in way):
                least = min(way, key=lambda at: at.truth[quantity])
                tags[f"divergence/{quantity}_exact_after_g"] = way[-1].truth[quantity]
                tags[f"divergence/{quantity}_exact_least"] = least.truth[quantity]
                tags["generator/updates_to_least"] = float(least.updates)
        return tags

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``overshoot``: bound and truth over the updates, and the generator at its start, best and end."""
        way = evaluation.once(descent)
        figure, (left, right) = panels(2, width=5.8, height=4.6)
        best = _curves(left, way, next(iter(way[0].bound)))
        marked = [(way[0], "tab:orange", "G before"), (way[-1], "tab:red", f"G after m = {way[-1].updates}")]
        if best:
            marked.insert(1, (best, "tab:blue", f"G after m = {best.updates}"))
        (_line if evaluation.data.spec.numel == 1 else _plane)(right, evaluation, marked)
        right.legend(frameon=False, fontsize=9)
        return {"overshoot": render(figure)}


def _curves(ax: Any, way: list[Stop], quantity: str) -> Stop | None:
    """Plot bound and truth, and return the stop of the least truth if that is known."""
    m, bound = [at.updates for at in way], [at.bound[quantity] for at in way]
    truth = [at.truth[quantity] for at in way if quantity in at.truth]
    best = way[truth.index(min(truth))] if len(truth) == len(way) else None
    ax.axhline(0, color="grey", lw=0.8, ls=":")
    label = f"{quantity} as the D of m = 0 estimates it: {bound[-1]:.2f} at the end"
    ax.plot(m, bound, color="tab:red", label=label)
    if best:
        ax.plot(m, truth, color="black", label=f"{quantity} itself: {truth[-1]:.2f} at the end")
        least = f"its least, {min(truth):.2f}: D is of no more use"
        ax.plot(best.updates, min(truth), "*", color="tab:blue", ms=14, label=least)
    # The bound falls without end; the scale is the divergence's own, and half as much below 0.
    top = max(truth if best else bound[:1])
    ax.set(ylim=(-1.2 * abs(top), 1.9 * abs(top)))
    ax.set(xlabel="m, updates of G on one D", ylabel=f"divergence/{quantity}")
    ax.set_title("the bound falls on; the divergence falls, then rises")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    return best


def _line(ax: Any, evaluation: Evaluation, marked: list[tuple[Stop, str, str]]) -> None:
    """Plot the densities of data and generators, and D if it is a probability."""
    every = torch.cat([evaluation.real[0].cpu().double(), *(at.cloud for at, _, _ in marked)])
    low, high = torch.quantile(every[:, 0], torch.tensor([0.001, 0.999], dtype=torch.float64)).tolist()
    x = torch.linspace(low, high, 300, dtype=torch.float64)[:, None]
    p = density_of_data(evaluation.data)(x).exp()
    ax.fill_between(x[:, 0], p, color="black", alpha=0.15, label="data")
    # A generator's density, or a histogram of its samples.
    for at, colour, name in marked:
        if at.log_q is None:
            ax.hist(at.cloud[:, 0], bins=60, density=True, histtype="step", color=colour, label=name)
        else:
            ax.plot(x[:, 0], at.log_q(x).exp(), color=colour, label=name)
    ax.set(xlabel="x", ylabel="density", ylim=(0, 1.7 * float(p.max())))
    ax.set_title("G goes to where this D says real")
    # D on a second axis, if sigmoid(logit) is the probability that one point is real.
    if evaluation.game.objective.classifies and not evaluation.game.couples_samples:
        D = torch.sigmoid(evaluation.logits(x.float().to(evaluation.device), None)).cpu()
        ax.plot([], [], color="grey", ls="--", label="D, right axis")
        right = ax.twinx()
        right.plot(x[:, 0], D, color="grey", ls="--")
        right.set(ylim=(0, 1.7), yticks=[0, 0.5, 1], ylabel="D(x)")


def _plane(ax: Any, evaluation: Evaluation, marked: list[tuple[Stop, str, str]]) -> None:
    """Plot samples of data and generators."""
    real = evaluation.real[0].cpu()[:CLOUD]
    ax.scatter(real[:, 0], real[:, 1], s=2, color="black", label="data")
    for at, colour, name in marked:
        ax.scatter(at.cloud[:, 0], at.cloud[:, 1], s=2, color=colour, alpha=0.5, label=name)
    ax.set(aspect="equal", title="G goes to where this D says real")
