"""``gantrain export RUN``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gantrain.cli.arguments import run_and_words, value_of
from gantrain.registry import option, parse
from gantrain.sampling.export import write_generator
from gantrain.training.restore import generator


@dataclass
class ExportOptions:
    """The words of ``gantrain export``."""

    out: str | None = option(None, "a .pt2 for torch, or an .onnx")


def export(argv: list[str]) -> int:
    """Write the averaged generator as one file that loads where gantrain is not installed."""
    checkpoint, words = run_and_words("export", argv)
    wanted = parse(ExportOptions, "", {key: value_of(key, text) for key, text in words.items()})
    out = Path(wanted.out or checkpoint.run / f"generator-{checkpoint.step:06d}.pt2").expanduser()
    _, spec, G = generator(checkpoint)
    write_generator(out, G, spec, checkpoint.config, checkpoint.step)
    print(out)
    return 0
