"""Our command against the loops that people start from, the lean loop by hand, and what the machine can multiply."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.cases import Case, all_cases
from benchmarks.clock import Turn, load, median, spread
from benchmarks.contest import (
    EAGER,
    Discriminator,
    Options,
    loop_by_hand,
    own_run,
    ratios,
    take_turns,
    temporary_folder,
)
from benchmarks.table import Reading, Table

QUICK_CASES = ("mlp_gan",)
# What a whole run has to reach: over tutorials, and over the lean loop.
OVER_TUTORIAL = {
    "mlp_gan": 2.2,
    "wgan_gp": 2.6,
    "dcgan_64": 1.25,
    "upsampling_32": 1.5,
    "upsampling_32_folded": 1.5,
    "sngan_32": 1.4,
}
OVER_LEAN = {"ring": 0.9, "ring_r1": 0.9, "mnist_r1": 1.05}
OVER_OTHER_LEAN = 0.95
MATRIX = 2 * 1024**3  # operations of one product of the player ``multiply``
OURS, LEAN, TUTORIAL, MULTIPLY = "gantrain", "lean", "tutorial", "multiply"
SPEED = Table(
    "The loop: how many times as fast as others",
    ("game", "against", "a step", "everything", "CPU", "our ms", "its ms", "threads", "others"),
    note="a step: its seconds over ours, median (least-most) of the turns; everything: with the log, evaluations,\n"
    "grids and checkpoints at their normal share; CPU: of a step, in CPU-seconds; threads: ours, its; others: cores\n"
    "that other processes used meanwhile, median (most), * where a turn was not quiet",
)
SHARES = Table(
    "What a run does besides its steps, as a share of all its time",
    ("game", "log point", "evaluation", "grid", "checkpoint", "together", "evaluation, s"),
    note="in a run with its default intervals; of two readings the smaller, since the first evaluation fills caches",
)
CEILING = Table(
    "Share of the machine's rate of multiplying matrices",
    ("game", "GFLOP a step", "matrix rate, GFLOP/s", "gantrain", "lean", "tutorial"),
    note="operations of the lean loop's step (torch.utils.flop_counter) over time and over the rate of\n"
    "products of 1024 x 1024 on all cores",
)


def measure(options: Options) -> Iterator[Table]:
    """Yield the tables of all games."""
    tables = [Table(t.title, t.head, [], t.note) for t in (SPEED, SHARES, CEILING)]
    cases = all_cases(options.data)
    for name in options.cases or (QUICK_CASES if options.is_quick else tuple(cases)):
        measure_case(cases[name].quick() if options.is_quick else cases[name], options, tables)
    yield from tables


def measure_case(case: Case, options: Options, tables: list[Table]) -> None:
    """Add the rows of one game."""
    with temporary_folder() as folder, ExitStack() as stack:
        # The lean loop gets as many threads as our rule has chosen; the others have torch's default, all cores.
        ours = stack.enter_context(own_run((*case.words, *EAGER), folder, options.threads))
        players, threads = {OURS: ours}, {LEAN: ours.facts["threads"]}
        for kind in (LEAN, MULTIPLY, *([TUTORIAL] if case.has_tutorial else [])):
            player = loop_by_hand(kind, case.words, folder, threads.get(kind, options.threads))
            players[kind] = stack.enter_context(player)
        for kind in players.keys() - {OURS}:
            players[kind].wait()
        operations = players[LEAN].operations()
        turns = take_turns(players, options.turns, options.seconds)
        besides, every = ours.housekeeping(), ours.facts["every"]
    extra = {part: besides.get(part, 0.0) / steps for part, steps in every.items() if steps}
    speed, shares, ceiling = tables
    step = median(turn.seconds for turn in turns[OURS])
    share_of_steps = step / (step + sum(extra.values()))
    for kind in (TUTORIAL, LEAN):
        if kind in turns:
            everything = [ratio * share_of_steps for ratio in ratios(turns[kind], turns[OURS])]
            speed.rows.append(speed_row(case, kind, turns, everything, players))
            least = (
                OVER_TUTORIAL[case.name] if kind == TUTORIAL else OVER_LEAN.get(case.name, OVER_OTHER_LEAN)
            )
            speed.readings.append(
                Reading(f"{case.name}, everything, over the {kind} loop", everything, least)
            )
    shares.rows.append(share_row(case, extra, besides, turns[OURS]))
    ceiling.rows.append(ceiling_row(case, operations, turns))


def speed_row(
    case: Case,
    kind: str,
    turns: dict[str, list[Turn]],
    everything: list[float],
    players: dict[str, Discriminator],
) -> list[str]:
    """Return how we do against one loop."""
    own, its = turns[OURS], turns[kind]
    cpu = [other.cpu_seconds / one.cpu_seconds for other, one in zip(its, own, strict=True)]
    step, its_step = (median(turn.seconds for turn in taken) for taken in (own, its))
    threads = " ".join(str(players[name].facts["threads"]) for name in (OURS, kind))
    return [
        case.name,
        kind,
        spread(ratios(its, own)),
        spread(everything),
        spread(cpu),
        f"{1e3 * step:.2f}",
        f"{1e3 * its_step:.2f}",
        threads,
        load([*own, *its]),
    ]


def share_row(case: Case, extra: dict[str, float], besides: dict[str, float], own: list[Turn]) -> list[str]:
    """Return the share of each kind of work in the time of a whole run, in per cent."""
    whole = median(turn.seconds for turn in own) + sum(extra.values())
    names = ("log_scalars", "evaluate", "sample", "save")
    shares = [f"{100 * extra.get(name, 0.0) / whole:.1f} %" for name in names]
    return [case.name, *shares, f"{100 * sum(extra.values()) / whole:.1f} %", f"{besides['evaluate']:.2f}"]


def ceiling_row(case: Case, operations: float, turns: dict[str, list[Turn]]) -> list[str]:
    """Return how much of the matrix rate each loop reaches."""
    rate = MATRIX / median(turn.seconds for turn in turns[MULTIPLY])
    shares = [
        f"{100 * operations / median(turn.seconds for turn in turns[kind]) / rate:.0f} %"
        if kind in turns
        else "-"
        for kind in (OURS, LEAN, TUTORIAL)
    ]
    return [case.name, f"{operations / 1e9:.3f}", f"{rate / 1e9:.1f}", *shares]
