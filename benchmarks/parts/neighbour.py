"""A run beside one busy process, with the threads that our rule chooses and with one for each core."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.cases import Case, all_cases
from benchmarks.clock import Turn, median, spread
from benchmarks.contest import EAGER, Discriminator, Options, own_run, ratios, temporary_folder
from benchmarks.table import Reading, Table
from gantrain.core.system import usable_cores

CASES = ("ring", "digits")


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy inside the block."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    cases = all_cases(options.data)
    head = ("game", "threads", "speed beside it", "steps/s alone", "steps/s beside it", "others when alone")
    table = Table("A busy neighbour", head, note="speed beside one process that counts, over that without it")
    for name in options.cases or (CASES[:1] if options.is_quick else CASES):
        measure_case(cases[name].quick() if options.is_quick else cases[name], options, table)
    yield table


def measure_case(case: Case, options: Options, table: Table) -> None:
    """Add two rows for one game: the threads of the rule, and all cores."""
    with temporary_folder() as folder, ExitStack() as stack:
        words = (*case.words, *EAGER)
        all_cores = f"device.threads={usable_cores()}"
        by_rule = stack.enter_context(own_run(words, folder / "rule", options.threads))
        on_all = stack.enter_context(own_run((*words, all_cores), folder / "cores"))
        values, row = measure_player(case, by_rule, options)
        table.readings.append(Reading(f"{case.name} beside a busy process over alone", values, least=0.8))
        table.rows += [row, measure_player(case, on_all, options)[1]]


def measure_player(case: Case, player: Discriminator, options: Options) -> tuple[list[float], list[str]]:
    """Return the ratios and the row of one run."""
    player.play(1)
    steps = max(1, round(options.seconds / player.play(3).seconds))
    alone: list[Turn] = []
    beside: list[Turn] = []
    for _ in range(options.turns):
        alone.append(player.play(steps))
        with busy_process():
            beside.append(player.play(steps))
    rates = [f"{1 / median(turn.seconds for turn in turns):.1f}" for turns in (alone, beside)]
    others, values = f"{median(turn.others for turn in alone):.2f}", ratios(alone, beside)
    return values, [case.name, str(player.facts["threads"]), spread(values), *rates, others]
