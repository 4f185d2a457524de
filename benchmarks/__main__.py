"""``python -m benchmarks``: measure how fast gantrain is, as ratios in one run."""

import argparse
import importlib
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import all_cases
from benchmarks.contest import Options, PlayerError
from benchmarks.table import summary
from gantrain.core.system import processor_name, usable_cores

PARTS = (
    "loops",
    "tricks",
    "compile",
    "startup",
    "memory",
    "sweep",
    "replicas",
    "scaling",
    "neighbour",
    "mapped",
)


def parse_options(argv: Sequence[str]) -> tuple[list[str], Options, bool]:
    """Return the parts to measure, how much, and whether to print markdown; exit for words that mean nothing."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all of them by default"
    )
    parser.add_argument("--turns", type=int, default=5, help="turns of each player, 5 by default")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn, 1 by default")
    parser.add_argument("--case", action="append", default=[], choices=all_cases(), help="only this game")
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads of every player; 0 is the default of each"
    )
    parser.add_argument(
        "--data", metavar="DIR", help="folder that holds MNIST/raw, in place of generated images"
    )
    parser.add_argument("--quick", action="store_true", help="one tiny turn of each: figures mean nothing")
    parser.add_argument("--markdown", action="store_true", help="print tables for benchmarks/README.md")
    words = parser.parse_args(argv)
    if unknown := [part for part in words.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; choose from {', '.join(PARTS)}")
    data = str(Path(words.data).expanduser().absolute()) if words.data else None
    turns, seconds = (1, 0.0) if words.quick else (words.turns, words.seconds)
    options = Options(turns, seconds, words.quick, data, tuple(words.case), words.threads)
    return words.parts or list(PARTS), options, words.markdown


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 when a part failed."""
    parts, options, is_markdown = parse_options(sys.argv[1:] if argv is None else argv)
    data = options.data or "generated images"
    machine = f"{processor_name()}, {usable_cores()} cores, Python {platform.python_version()}"
    print(f"{machine}; {options.turns} turns of {options.seconds:g} s, {data}\n", flush=True)
    code, tables = 0, []
    for part in parts:
        began = time.perf_counter()
        try:
            for table in importlib.import_module(f"benchmarks.parts.{part}").measure(options):
                print(f"{table.text(is_markdown)}\n", flush=True)
                tables.append(table)
        except PlayerError as error:
            print(f"{part}: {error}\n", flush=True)
            code = 1
        print(f"{part}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print(summary(tables).text(is_markdown))
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that players and their folders go as well
    sys.exit(main())
