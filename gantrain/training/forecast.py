"""How long a run will take and what would be faster, logged once its first steps have shown how fast it is."""

import logging

from gantrain.config.options import Config
from gantrain.core.text import format_duration

log = logging.getLogger("gantrain")
MEASURED_SECONDS = 3.0  # of training, after the first step of a process, which takes longer than the others
SHORT_RUN_SECONDS = 60.0  # of a run whose end is near enough


class Forecast:
    """Called after each step until it has logged its line.

    Args:
        config: The run.
        device: The kind of device that it trains on.
    """

    def __init__(self, config: Config, device: str):
        self._config, self._device = config, device
        self._start: tuple[int, float] | None = None
        self._is_over = False

    def __call__(self, step: int, seconds: float) -> None:
        """Log the line, if it is due after so many steps of the run and seconds of training of this process."""
        if self._is_over:
            return
        if self._start is None:
            self._start = step, seconds
        first, began = self._start
        if seconds - began < MEASURED_SECONDS or step == first:
            return
        self._is_over = True
        train, each = self._config.train, (seconds - began) / (step - first)
        left = train.time if train.time is not None else each * (train.steps - step)
        if left >= SHORT_RUN_SECONDS:
            steps = f"about {left / each:,.0f}" if train.time is not None else f"{train.steps - step:,}"
            log.info("%s", self._line(left, steps))

    def _line(self, seconds: float, steps: str) -> str:
        config = self._config
        length = f"about {format_duration(seconds)} of training for {steps} more steps"
        line = f"model={config.model.name} on {self._device}: {length}"
        faster = config.model.faster(config.spec)
        return f"{line}; {faster}" if faster else line
