"""Schedules: when something is due, and how learning rates change; pure functions of the step."""

import math


def due(step: int, every: int, last: int) -> bool:
    """Return whether work of every ``every`` steps is due after ``step``; always at ``last``, never with 0."""
    return every > 0 and (step % every == 0 or step >= last)


def decay(kind: str, step: int, horizon: int) -> float:
    """Return the factor in [0, 1] on a learning rate in the step after ``step`` finished ones.

    Args:
        kind: ``constant``, ``linear`` (to 0) or ``cosine`` (half a period, to 0; Loshchilov and Hutter 2017, eq. 5).
        step: Finished steps.
        horizon: The step at which the decay ends.
    """
    # Beyond the horizon the factor stays at its end.
    progress = min(step / horizon, 1.0)
    if kind == "linear":
        return 1.0 - progress
    if kind == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def warmup(step: int, steps: int) -> float:
    """Return the factor in (0, 1] on a learning rate that rises linearly over its first ``steps`` updates."""
    return min(1.0, (step + 1) / (steps + 1))  # 1 in every step for steps = 0


def ema_decay(decay: float, step: int) -> float:
    """Return the EMA decay after ``step`` updates, ramped so that a young average forgets its random start.

    The ramp (1 + t) / (10 + t) is that of TensorFlow's ExponentialMovingAverage with ``num_updates``.
    """
    return min(decay, (1 + step) / (10 + step))
