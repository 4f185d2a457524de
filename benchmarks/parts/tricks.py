"""What each trick is worth: the lean loop with all of them against the same loop without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.cases import Case, all_cases
from benchmarks.clock import load, spread
from benchmarks.contest import EAGER, Options, loop_by_hand, own_run, ratios, take_turns, temporary_folder
from benchmarks.hand_loop import TRICKS
from benchmarks.table import Table

CASES, QUICK_CASES = ("mlp_gan", "upsampling_32"), ("mlp_gan",)
ROUNDS = 3  # at most, of ten players
IMAGE_TRICKS = ("channels_last",)  # for convolutions alone
SWITCHES = ("train.ema=0",)  # of ours that save work
ALL, OURS = "all tricks", "gantrain"


def measure(options: Options) -> Iterator[Table]:
    """Yield a table for each game."""
    cases = all_cases(options.data)
    for name in options.cases or (QUICK_CASES if options.is_quick else CASES):
        yield measure_case(cases[name].quick() if options.is_quick else cases[name], options)


def measure_case(case: Case, options: Options) -> Table:
    """Return the table of one game."""
    is_flat = "model=benchmark_fully_connected" in case.words
    tricks = [name for name in TRICKS if not (is_flat and name in IMAGE_TRICKS)]
    if options.is_quick:
        tricks = tricks[:1]
    with temporary_folder() as folder, ExitStack() as stack:
        ours = {OURS: (), **{f"{OURS} {switch}": (switch,) for switch in SWITCHES}}
        players = {
            name: stack.enter_context(
                own_run((*case.words, *EAGER, *words), folder / str(i), options.threads)
            )
            for i, (name, words) in enumerate(ours.items())
        }
        threads = players[OURS].facts["threads"]
        for name in (ALL, *tricks):
            words = ("--with=joint",) if name == ALL else ("--with=joint", f"--without={name}")
            player = loop_by_hand("lean", (*case.words, *words), folder, threads)
            players[name] = stack.enter_context(player)
        for name in (ALL, *tricks):
            players[name].wait()
        turns = take_turns(players, min(options.turns, ROUNDS), options.seconds)
    rows = [
        [
            name,
            spread(ratios(turns[name], turns[ALL])),
            spread([turn.cpu_seconds * 1e3 for turn in turns[name]]),
            load(turns[name]),
            TRICKS.get(name, ""),
        ]
        for name in turns
    ]
    note = f"seconds of a step over those of the lean loop with all tricks; {threads} threads"
    head = ("without", "step over all tricks", "CPU-ms a step", "others", "what is done instead")
    return Table(f"Each trick left out: {case.name}", head, rows, note)
