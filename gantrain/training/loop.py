"""The training loop: Algorithm 1 of Goodfellow et al. 2014."""

from collections.abc import Callable, Iterable

from torch import Tensor

from gantrain.config.options import Config
from gantrain.training.batches import Batches
from gantrain.training.early_stop import Batch, update_until_no_gain
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.updates import baseline_step, d_step, g_step, update_d

Report = Callable[[dict[str, Tensor]], None]


def train(
    state: TrainState,
    batches: Batches,
    config: Config,
    runtime: Runtime,
    report: Report,
    housekeeping: Callable[[TrainState], None],
    held_out: Batch | None = None,
) -> None:
    """Train as Goodfellow et al. 2014, Algorithm 1: ``d_steps`` discriminator updates, then one of G, and again.

    With ``update=simultaneous`` G's gradient is taken before D's last update is applied, so both networks answer the
    same opponent. A baseline has no D: its steps are descents of G alone.

    Args:
        state: Changed in place, until the budget is used up: ``train.steps``, ``images`` or ``seconds``.
        batches: Batch by number.
        config: The run.
        runtime: Device and precision.
        report: Receives 0-dim tensors by tag.
        housekeeping: Called once after each step: logs, samples, evaluates and saves.
        held_out: Held-out data and their conditions, for ``d_gain``.

    Raises:
        Diverged: Before an update that is not finite.
    """
    play, options = Play.create(config, runtime), config.train
    has_game, simultaneous = config.objective.has_game, options.update == "simultaneous"
    k, descend_g = (options.d_steps, g_step) if has_game else (0, baseline_step)
    while not options.is_over(state.step, state.seconds):
        state.set_learning_rates(config.optimizer)

        # Update D k times, each on fresh data; with d_gain fewer, once D no longer gains.
        rounds: Iterable[int] = range(k)
        if held_out and options.d_gain is not None:
            rounds = update_until_no_gain(state, k, options.d_gain, held_out, play, report)
        for i in rounds:
            real, y = batches(state.d_updates)
            report(d_step(state, real, y, i, play))
            state.d_updates += 1
            if not (simultaneous and i == k - 1):
                update_d(state, play)
        if not has_game:
            real, y = batches(state.step)

        # Update G, by default once, on fresh latents.
        for j in range(options.g_steps):
            report(descend_g(state, real, y, j, play))
            if simultaneous:
                update_d(state, play)
            state.opt_G.step()

        # Average G's weights; then log, sample, evaluate and save what is due.
        state.update_ema(options.ema)
        state.step += 1
        housekeeping(state)
