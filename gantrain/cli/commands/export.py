"""``gantrain export RUN``."""

from gantrain.cli.arguments import checkpoint_and_words, output_path, read_options
from gantrain.cli.command import Command
from gantrain.errors import writing


def _options() -> type:
    from gantrain.sampling.options import ExportOptions

    return ExportOptions


def export(argv: list[str]) -> int:
    """Write the averaged generator as one file that loads where gantrain is not installed."""
    from gantrain.registry import parse
    from gantrain.sampling.export import write_generator
    from gantrain.sampling.options import ExportOptions
    from gantrain.training.restore import load_generator

    checkpoint, words = checkpoint_and_words("export", argv)
    options = parse(ExportOptions, "", read_options(ExportOptions, words))
    out = output_path(options.out, checkpoint.run / f"generator-{checkpoint.step:06d}.pt2")
    _, spec, G = load_generator(checkpoint)
    with writing(out, "choose another out=PATH"):
        write_generator(out, G, spec, checkpoint.config, checkpoint.step)
    print(out)
    return 0


COMMAND = Command(
    export,
    usage=(("RUN [out=g.pt2|g.onnx]", "the generator as a file that needs no gantrain"),),
    order=30,
    folder="run",
    options=_options,
)
