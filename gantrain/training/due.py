"""What a run does besides training after a step, by its intervals."""

from __future__ import annotations

from dataclasses import dataclass

from gantrain.config.options import Train
from gantrain.core.schedules import due


@dataclass(frozen=True)
class Due:
    """What is due after a step.

    Attributes:
        is_last: Whether the run's budget is used up.
        log: A line of scalars.
        evaluation: The metrics; always after the last step.
        samples: A grid of samples.
        checkpoint: A checkpoint.
    """

    is_last: bool
    log: bool
    evaluation: bool
    samples: bool
    checkpoint: bool

    @classmethod
    def after(cls, step: int, seconds: float, options: Train) -> Due:
        """Return what is due after a step and so many seconds of training."""
        is_last = options.is_over(step, seconds)
        last = step if is_last else options.steps
        return cls(
            is_last,
            log=due(step, options.log_every, last),
            evaluation=is_last or due(step, options.evaluate_every, last),
            samples=due(step, options.sample_every, last),
            checkpoint=due(step, options.checkpoint_every, last),
        )

    @property
    def anything(self) -> bool:
        """Whether something is due, which reads numbers of the device, and so waits for it."""
        return self.log or self.takes_long

    @property
    def takes_long(self) -> bool:
        """Whether something is due that other processes wait for longer than for a step."""
        return self.evaluation or self.samples or self.checkpoint
