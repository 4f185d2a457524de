"""Classifiers of real against fake samples, each fitted to some and stopped by others."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor
from torch.nn.functional import softplus

from gantrain.core.gradients import descend
from gantrain.core.spec import Spec
from gantrain.core.update_rules import Adam
from gantrain.metrics.tools.fresh_discriminator import RATE, FreshDiscriminator, check_steps
from gantrain.verdicts.thermometer.inputs import (
    Array,
    bumps,
    principal_components,
    products,
    small,
    spectrum,
    squares,
    standardise,
)

RIDGES = (3.0, 0.3, 3e-2, 3e-3, 3e-4)  # from strong to weak
WORSE = 1e-3  # nats by which a weaker ridge may be worse than the best before it is the last
NEIGHBOURS = (3, 10, 20, 40, 80, 160, 320)
BATCH, EPOCHS, STEPS = 512, 40, (60, 1500)  # of a network on points
IMAGE_BATCH, IMAGE_EPOCHS, IMAGE_STEPS = 128, 12, (150, 600)
TREES = 150
ROWS = 1000  # of a matrix of distances in memory at a time
Predict = Callable[[Any], Array]
Fit = Callable[[Any, Array, Any, Array, int], Predict]


@dataclass(frozen=True)
class Learner:
    """A kind of classifier and what it sees of all samples.

    Attributes:
        name: In the protocol.
        inputs: Of all samples, real and fake, [N, ...], an array or a tensor.
        fit: From inputs and sides (1 real, 0 fake) to fit to, the same to stop by, and a seed, to a function from
            inputs to logits [n].
    """

    name: str
    inputs: Any
    fit: Fit


def cross_entropy(logits: Array, side: Array) -> float:
    """Return the mean cross-entropy of logits [N] on sides [N] in nats."""
    return float(np.logaddexp(0, -(2 * side - 1) * logits).mean())


def minimise_logistic(
    x: Array, side: Array, start: Array, ridge: float = 0.0, bounds: Any = None, steps: int = 100
) -> Array:
    """Return the weights [1 + d], intercept first, of least cross-entropy plus ridge on inputs [N, d]."""
    sign, n = 2.0 * side - 1, len(side)

    def loss(weights: Array) -> tuple[float, Array]:
        logits = x @ weights[1:].astype(x.dtype) + weights[0]
        slope = -sign * expit(-sign * logits) / n
        inner = (x.T @ slope.astype(x.dtype)).astype(float) + ridge * weights[1:]
        value = np.logaddexp(0, -sign * logits).mean() + 0.5 * ridge * (weights[1:] ** 2).sum()
        return float(value), np.concatenate([[slope.sum()], inner])

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps})
    return np.asarray(found.x)


def fit_logistic(x: Array, side: Array, other: Array, other_side: Array, seed: int) -> Predict:
    """Fit a logistic regression; the ridge is the one that is best on the others."""
    weights = best = np.zeros(1 + x.shape[1])
    least = math.inf
    for ridge in RIDGES:
        weights = minimise_logistic(x, side, weights, ridge)
        value = cross_entropy(other @ weights[1:] + weights[0], other_side)
        if value < least:
            least, best = value, weights
        elif value > least + WORSE:
            break
    return lambda x: np.asarray(x @ best[1:] + best[0])


def fit_network(x: Any, side: Array, other: Any, other_side: Array, seed: int) -> Predict:
    """Fit a fresh discriminator; the step is the one that is best on the others, or else it knows nothing."""
    inputs, others = (torch.as_tensor(rows, dtype=torch.float32) for rows in (x, other))
    signs, other_signs = (torch.as_tensor(2.0 * rows - 1, dtype=torch.float32) for rows in (side, other_side))
    is_image = inputs.dim() == 4
    batch, epochs, (fewest, most) = (
        (IMAGE_BATCH, IMAGE_EPOCHS, IMAGE_STEPS) if is_image else (BATCH, EPOCHS, STEPS)
    )
    steps = min(max(len(side) * epochs // batch, fewest), most)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = FreshDiscriminator(Spec(tuple(inputs.shape[1:])), inputs)
    optimizer = Adam(list(network.parameters()), lr=RATE, beta1=0.9, beta2=0.99)
    draws, due = torch.Generator().manual_seed(seed), check_steps(steps)
    least, best = math.log(2), None
    for step in range(steps):
        optimizer.lr = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = torch.randint(len(inputs), (min(batch, len(inputs)),), generator=draws)
        descend(softplus(-signs[rows] * network(inputs[rows])).mean(), optimizer, "thermometer")
        if step + 1 in due:
            value = float(softplus(-other_signs * _logits(network, others)).mean())
            if value < least:
                least, best = value, copy.deepcopy(network.state_dict())
    if best is None:
        return lambda x: np.zeros(len(x))
    network.load_state_dict(best)
    return lambda x: np.asarray(_logits(network, torch.as_tensor(x, dtype=torch.float32)).double().numpy())


@torch.no_grad()
def _logits(network: torch.nn.Module, x: Tensor) -> Tensor:
    return torch.cat([network(part) for part in x.split(BATCH)])


def fit_neighbours(x: Array, side: Array, other: Array, other_side: Array, seed: int) -> Predict:
    """Count the sides of the nearest samples; how many of them is what is best on the others."""
    counts = [k for k in NEIGHBOURS if k <= max(len(x) // 4, NEIGHBOURS[0])]
    known = np.concatenate([[0.0], side])

    def logits(rows: Array) -> Array:
        nearest = find_nearest(x, rows, counts[-1])
        real = np.cumsum(known[1 + nearest], 1)[:, [k - 1 for k in counts]]
        return np.asarray(np.log((real + 0.5) / (np.array(counts) - real + 0.5)))  # [n, counts]

    found = logits(other)
    best = min(range(len(counts)), key=lambda i: cross_entropy(found[:, i], other_side))
    return lambda rows: np.asarray(logits(rows)[:, best])


def find_nearest(x: Array, rows: Array, count: int) -> Array:
    """Return the indices of the nearest of x [N, d] to each of rows [n, d], nearest first, [n, count]."""
    if x.shape[1] <= 8:
        from scipy.spatial import cKDTree

        return np.asarray(cKDTree(x).query(rows, k=range(1, count + 1))[1])
    known = torch.as_tensor(x, dtype=torch.float32)
    parts = torch.as_tensor(rows, dtype=torch.float32).split(ROWS)
    found = [torch.cdist(part, known).topk(count, largest=False).indices for part in parts]
    return np.asarray(torch.cat(found).numpy())


def fit_trees(x: Array, side: Array, other: Array, other_side: Array, seed: int) -> Predict:
    """Fit boosted trees, stopped by a part of all these samples."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=0.08,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        early_stopping=True,
        validation_fraction=0.15,
        n_iter_no_change=8,
        random_state=seed,
    )
    model.fit(np.concatenate([x, other]), np.concatenate([side, other_side]))
    return lambda rows: np.asarray(model.decision_function(rows))


def learners_of_points(x: Array) -> list[Learner]:
    """Return the classifiers of points [N, d], real and fake ones together."""
    z = standardise(x)
    return [
        Learner("products", products(z), fit_logistic),
        Learner("squares", squares(z), fit_logistic),
        Learner("sums", bumps(z), fit_logistic),
        Learner("network", z, fit_network),
        Learner("neighbours", z, fit_neighbours),
        Learner("trees", z, fit_trees),
    ]


def learners_of_pictures(x: Tensor, features: Array | None = None) -> list[Learner]:
    """Return the classifiers of pictures [N, C, H, W] in [-1, 1], real and fake ones together.

    Args:
        x: The pictures.
        features: What the metrics compare them by, [N, f]; None where those are the pixels.
    """
    thumbnails = principal_components(small(x).flatten(1).double().numpy())
    waves = standardise(spectrum(x))
    z = standardise(thumbnails if features is None else principal_components(features))
    both = np.concatenate([z, waves], 1)
    return [
        Learner("convolutions", x, fit_network),
        Learner("products", products(z), fit_logistic),
        Learner("sums", bumps(both), fit_logistic),
        Learner("neighbours", thumbnails, fit_neighbours),
        Learner("trees", both, fit_trees),
    ]
