"""``gantrain thermometer FAKE REAL``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gantrain.cli.arguments import output_path, split_arguments
from gantrain.cli.command import Command, Word
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError, writing

WORDS = {
    "n": Word("samples of each side, at most; 10,000 points or 2,000 pictures if it is left out"),
    "seed": Word("which samples are taken where there are more, and D's first weights"),
    "out": Word("a .json to write all numbers to", is_path=True),
    "dataset.label": Word("a table's column of classes"),
    "dataset.columns": Word("a table's columns to compare, as [a,b]"),
    "dataset.header": Word("whether a table's first line names its columns", ("true", "false")),
    "dataset.separator": Word("what separates the cells of a table"),
    "dataset.decimal": Word("the decimal mark of a table", ("point", "comma")),
    "dataset.bad_rows": Word("what to do with rows that lack a number", ("skip",)),
    "dataset.labels": Word("whether folders of pictures are classes", ("auto", "none")),
    "dataset.resolution": Word("height to which pictures are resized"),
    "dataset.width": Word("their width, if it is another one"),
    "dataset.channels": Word("1 for grey pictures, 3 for colour"),
    "dataset.bad_files": Word("what to do with files that are no pictures", ("skip",)),
}


def thermometer(argv: list[str]) -> int:
    """Print how far the samples at one path are from those at another, and one sentence of verdict."""
    from gantrain.core.files import write_json
    from gantrain.core.scalars import read_text
    from gantrain.core.text import one_line
    from gantrain.reports.end_table import metric_table
    from gantrain.verdicts.thermometer.open import open_sides
    from gantrain.verdicts.thermometer.reading import take_reading
    from gantrain.verdicts.thermometer.verdict import verdict

    folders, words = split_arguments("thermometer", argv)
    if len(folders) != 2:
        what = f"takes two sets of samples, got {len(folders)}"
        raise ConfigError("thermometer", what, "gantrain thermometer FAKE REAL")
    values = _values(words)
    out = output_path(read_text(str(values.pop("out"))), None) if "out" in values else None  # type: ignore[arg-type]
    n, seed = (_whole(values, key, least) for key, least in (("n", 20), ("seed", 0)))
    keys = {key.partition(".")[2]: value for key, value in values.items()}
    sets = dict(zip(("fake", "real"), open_sides(folders[0], folders[1], keys), strict=True))
    reading = take_reading(sets["fake"], sets["real"], n, seed or 0)
    sentence, found = verdict(reading), reading.result.description()
    paths = dict(zip(sets, folders, strict=True))
    heads = [one_line(f"{side:5} {paths[side]}: {samples.description}") for side, samples in sets.items()]
    print("\n".join(heads), metric_table(found), sentence, sep="\n\n")
    if out is not None:
        content = {**paths, "shape": list(reading.shape), "verdict": sentence, **found}
        with writing(out, "choose another out=FILE"):
            write_json(out, content)
        print(f"\nresult     {out}")
    return 0


def _values(words: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the words by the rules of YAML. Raises ConfigError for an unknown one."""
    import yaml

    if unknown := [key for key in words if key not in WORDS]:
        raise ConfigError(unknown[0], "is no word of the thermometer", suggest(unknown[0], WORDS))
    found = {}
    for key, text in words.items():
        try:
            found[key] = text if key == "out" else yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(key, f"{text!r} cannot be read", "give one value") from error
    return found


def _whole(values: dict[str, Any], key: str, least: int) -> int | None:
    value = values.pop(key, None)
    if value is not None and (type(value) is not int or value < least):
        raise ConfigError(key, f"{value!r} is not a whole number from {least} up", f"write {key}=1000")
    return value


COMMAND = Command(
    thermometer,
    usage=(("FAKE REAL [n=N]", "how far any samples are from real ones"),),
    order=56,
    files=True,
    words=WORDS,
    prints=True,
)
