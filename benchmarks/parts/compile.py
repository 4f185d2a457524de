"""A run whose step is compiled: how long the first step takes, cold and warm, and how fast the others are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.cases import Case, all_cases
from benchmarks.clock import load, median, spread
from benchmarks.contest import EAGER, Options, loop_by_hand, own_run, ratios, take_turns, temporary_folder
from benchmarks.table import Reading, Table

CASES, QUICK_CASES = ("ring_r1", "digits"), ("ring",)
COMPILED = ("device.compile=true",)
# A compiled step is to be 2.4, 2.4, 2.2, 1.5 and 1.6 times as fast as our eager step was before there was a compiled
# one; over that the lean loop was 1.47, 1.21, 1.29, 1.06 and 1.19 times as fast, both measured in one run.
OVER_LEAN = {"ring": 1.63, "ring_r1": 1.98, "mlp_gan": 1.71, "digits": 1.42, "mnist_r1": 1.34}
HEAD = (
    "game",
    "over the eager run",
    "over the lean loop",
    "first step: eager, s",
    "cold, s",
    "warm, s",
    "pays after steps",
    "others",
)


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    cases = all_cases(options.data)
    names = options.cases or (QUICK_CASES if options.is_quick else CASES)
    note = "cold: without a cache; warm: a second process of the same shapes; pays: steps that win back the cold start"
    table = Table("The step compiled", HEAD, note=note)
    for name in names:
        measure_case(cases[name].quick() if options.is_quick else cases[name], options, table)
    yield table


def measure_case(case: Case, options: Options, table: Table) -> None:
    """Add the row of one game."""
    with temporary_folder() as folder, ExitStack() as stack:
        # Both processes of the compiled run share the folder, and so the cache.
        with own_run((*case.words, *COMPILED), folder / "compiled", options.threads) as first:
            cold = first.start.wall
        words = (*case.words, *COMPILED, f"run.dir={folder / 'again'}")
        compiled = stack.enter_context(own_run(words, folder / "compiled", options.threads))
        eager = stack.enter_context(own_run((*case.words, *EAGER), folder / "eager", options.threads))
        lean = stack.enter_context(loop_by_hand("lean", case.words, folder, eager.facts["threads"]))
        lean.wait()
        players = {"compiled": compiled, "eager": eager, "lean": lean}
        turns = take_turns(players, options.turns, options.seconds)
    own, plain = turns["compiled"], turns["eager"]
    gain = median(turn.seconds for turn in plain) - median(turn.seconds for turn in own)
    over_lean, slower = ratios(turns["lean"], own), compiled.start.wall - eager.start.wall
    table.readings += [
        Reading(f"{case.name} compiled over the lean loop", over_lean, least=OVER_LEAN.get(case.name)),
        Reading(f"{case.name} compiled, warm start over eager start, s", [slower], most=8.0),
    ]
    row = [
        case.name,
        spread(ratios(plain, own)),
        spread(over_lean),
        f"{eager.start.wall:.1f}",
        f"{cold:.1f}",
        f"{compiled.start.wall:.1f}",
        f"{(cold - eager.start.wall) / gain:,.0f}" if gain > 0 else "never",
        load([*own, *plain]),
    ]
    table.rows.append(row)
