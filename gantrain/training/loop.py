"""The training loop: steps of Algorithm 1 of Goodfellow et al. 2014, and what happens between them."""

from collections.abc import Callable

from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.schedules import due
from gantrain.training.batches import Batches
from gantrain.training.draws import StepInputs, draws_ahead
from gantrain.training.early_stop import Batch, update_until_no_gain
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.steps import Step, step_of

CHECK_EVERY = 50  # steps after which a device is asked whether all updates were finite
Report = Callable[[dict[str, Tensor]], None]


def train(
    state: TrainState,
    batches: Batches,
    config: Config,
    runtime: Runtime,
    report: Report,
    housekeeping: Callable[[TrainState], None],
    held_out: Batch | None = None,
    advance: Step | None = None,
) -> None:
    """Train as Goodfellow et al. 2014, Algorithm 1: ``d_steps`` discriminator updates, then one of G, and again.

    With ``update=simultaneous`` G's gradient is taken before D's last update is applied, so both networks answer the
    same opponent. A baseline has no D: its steps are descents of G alone.

    Args:
        state: Changed in place, until the budget is used up: steps, images or time.
        batches: Batch by number.
        config: The run.
        runtime: Device and precision.
        report: Receives 0-dim tensors by tag.
        housekeeping: Called once after each step: logs, samples, evaluates and saves.
        held_out: Held-out data and their conditions, for ``d_gain``.
        advance: Plays a step; by default what ``runtime`` says.

    Raises:
        Diverged: Before an update that is not finite.
    """
    play, options = Play.create(config, runtime), config.train
    advance, ahead = advance or step_of(state, play, runtime), draws_ahead(state, config, play)
    while not options.is_over(state.step, state.seconds):
        # Data and random numbers of the step, and what its schedules set.
        rates = Rates.at(state.step, play)
        inputs = StepInputs(state, batches, play, rates, ahead(state.step) if ahead else None)
        of_d = inputs.of_d()
        if held_out and options.d_gain is not None:
            of_d = update_until_no_gain(of_d, state, options.d_gain, held_out, play, report)
        # D, then G, then the average of G; afterwards log, sample, evaluate and save what is due.
        for tags in advance(of_d, inputs.of_g(), rates):
            report(tags)
        state.step += 1
        if state.step % CHECK_EVERY == 0 or due(state.step, options.log_every, options.steps):
            advance.read_checks()
        housekeeping(state)
