"""The speed of gantrain's loop relative to a hand-written one with the same arithmetic, in one process.

    OMP_NUM_THREADS=2 python benchmarks/overhead.py

Both train the non-saturating objective with the same networks, batches from memory and fused Adam; gantrain's adds
keyed randomness, the check of every update, the averaged weights and the running means for its log. They take turns,
so that a machine that slows down slows both. A ratio of 1 means no overhead.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch.nn.functional import softplus

from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.gradients import frozen
from gantrain.tracking.tracker import Means
from gantrain.training.batches import Batches, visible_split
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

CASES = {"digits": (["dataset=digits"], 100), "ring": (["dataset=ring", "dataset.n=20000"], 400)}
TURNS = 7


def lean(state: TrainState, x: torch.Tensor, batch: int, z_dim: int, steps: int) -> None:
    """Train the same objective by hand: no checks, no averages, no log, torch's global generator."""
    G, D = state.G, state.D
    for _ in range(steps):
        real = x[torch.randint(len(x), (batch,))]
        with torch.no_grad():
            fake = G(torch.randn(batch, z_dim), None)
        loss = softplus(-D(real, None)).mean() + softplus(D(fake, None)).mean()
        state.opt_D.zero_grad(set_to_none=True)
        loss.backward()
        state.opt_D.step()
        with frozen(D):
            loss = softplus(-D(G(torch.randn(batch, z_dim), None), None)).mean()
            state.opt_G.zero_grad(set_to_none=True)
            loss.backward()
        state.opt_G.step()


def main() -> None:
    for name, (words, steps) in CASES.items():
        config = resolve(plain_data(compose([*words, "train.steps=1000000"])))
        runtime, data = Runtime(config.device), config.dataset.load(0)
        x = data.train.take(torch.arange(len(data.train)))[0]
        ours, by_hand = (TrainState.create(config, data.spec, runtime) for _ in range(2))
        batches = Batches(visible_split(data.train, config), config.train.batch_size, 0, runtime.device)
        means, ratios, rates = Means(), [], []
        for turn in range(TURNS + 1):
            began = time.perf_counter()
            config.train.steps = ours.step + steps
            train(ours, batches, config, runtime, means.add, lambda state: None)
            middle = time.perf_counter()
            lean(by_hand, x, config.train.batch_size, config.model.z_dim, steps)
            end = time.perf_counter()
            if turn:  # the first turn warms both up
                ratios.append((end - middle) / (middle - began))
                rates.append(steps / (middle - began))
        low, middle_ratio, high = min(ratios), statistics.median(ratios), max(ratios)
        print(
            f"{name}: {statistics.median(rates):.0f} steps/s, {middle_ratio:.3f} of the hand-written loop's rate "
            f"({low:.3f} to {high:.3f}, {TURNS} turns of {steps} steps, {torch.get_num_threads()} threads)"
        )


if __name__ == "__main__":
    main()
