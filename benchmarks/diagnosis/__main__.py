"""``python -m benchmarks.diagnosis``: record runs with faults and without, and say how often the diagnosis is right."""

import argparse
import json
import logging
import sys
from pathlib import Path

from benchmarks.diagnosis.cases import all_cases, write_photos
from benchmarks.diagnosis.record import read_file, record
from benchmarks.diagnosis.score import mistakes, table, verdict
from gantrain.errors import GantrainError, Interrupted

HALVES = {"even": (0, "on which thresholds were set"), "odd": (1, "which no threshold has seen")}


def main() -> None:
    """Record the runs that a file does not have yet, or say how often the diagnosis of its runs is right."""
    parser = argparse.ArgumentParser("python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("action", choices=("record", "score"))
    parser.add_argument("records", type=Path, help="a file of JSON lines, which recording continues")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="with MNIST and cifar10-jpeg-train.zip"
    )
    parser.add_argument("--photos", type=Path, default=Path("outputs/photos"), help="where to unpack a few")
    parser.add_argument("--kind", action="append", help="of data; all of them by default")
    parser.add_argument("--mistakes", action="store_true", help="list the runs that are misjudged")
    options = parser.parse_args()
    if options.action == "record":
        record_all(options)
    else:
        score_all(options)


def record_all(options: argparse.Namespace) -> None:
    """Record the runs that a file does not have yet, seed by seed."""
    logging.disable(logging.ERROR)
    write_photos(options.data / "cifar10-jpeg-train.zip", options.photos)
    known = set()
    if options.records.exists():
        rows = map(json.loads, options.records.read_text().splitlines())
        known = {(row["fault"], row["data"], row["words"], row["seed"]) for row in rows}
    with options.records.open("a") as out:
        for case in all_cases(range(options.seeds)):
            is_other = options.kind is not None and case.data not in options.kind
            if is_other or (case.fault, case.data, case.words, case.seed) in known:
                continue
            try:
                row = record(case, options.data, options.photos)
            except Interrupted:
                raise
            except GantrainError as error:
                print(f"{case}: {error}", file=sys.stderr, flush=True)
                continue
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(f"{row['seconds']:6.2f} s  {case}", flush=True)


def score_all(options: argparse.Namespace) -> None:
    """Print the record of the detectors on the runs of even and of odd seeds."""
    verdicts = [verdict(*one) for one in read_file(options.records)]
    for name, (half, what) in HALVES.items():
        runs = [one for one in verdicts if one.seed % 2 == half]
        print(f"\n{name} seeds, {what}\n\n{table(runs)}")
        if options.mistakes:
            print("", *mistakes(runs), sep="\n")


if __name__ == "__main__":
    main()
