"""``gantrain sample RUN``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gantrain.cli.arguments import checkpoint_and_words, output_path, read_options
from gantrain.cli.command import Command
from gantrain.errors import ConfigError, writing

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

    from gantrain.core.spec import Spec
    from gantrain.models.base import Generator
    from gantrain.sampling.options import SampleOptions

FRAMES_PER_ARC = 16  # from one latent to the next, where frames is not given
IMAGES_PER_FRAME, POINTS_PER_FRAME = 16, 500  # where n is not given


def sample(argv: list[str]) -> int:
    """Write samples of the averaged generator: a grid, single PNGs, an .npz, rows of a table, or an animation."""
    from gantrain.core.device import resolve_device
    from gantrain.core.run_folder import RunFolder
    from gantrain.registry import parse
    from gantrain.sampling.animation import write_animation
    from gantrain.sampling.generate import draw
    from gantrain.sampling.options import SampleOptions, conditions_of
    from gantrain.sampling.write import check_animation_file, check_samples_file, write_samples
    from gantrain.training.restore import load_generator

    checkpoint, words = checkpoint_and_words("sample", argv)
    options = parse(SampleOptions, "", read_options(SampleOptions, words))
    config, spec, G = load_generator(checkpoint)
    conditions = conditions_of(options, spec, config.model.is_conditional)
    name = f"sample-{checkpoint.step:06d}-seed{options.seed}{_ending(options, spec)}"
    run = RunFolder(checkpoint.run)
    if not options.out:
        run.check_entries()
    out = output_path(
        options.out, run.samples / name, or_folder=spec.is_image or options.interpolate is not None
    )
    if options.interpolate is None:
        check_samples_file(out, spec)
    else:
        check_animation_file(out, spec)
    _check_frames(options)
    device = resolve_device(options.device)  # not the run's own, perhaps on another machine
    G.to(device)
    is_earlier = bool(os.listdir(out)) if out.is_dir() else out.exists()
    with writing(out, "choose another out=PATH"):
        if options.interpolate is None:
            x, y = draw(G, options.n, options.seed, conditions, device, options.truncation)
            write_samples(out, x, y, spec)
        else:
            options.n = options.n if "n" in words else _samples_per_frame(spec, conditions)
            write_animation(out, _frames(G, options, conditions, spec, device))
    print(out, flush=True)
    if is_earlier:
        what = (
            "files of the same names are replaced, others stay"
            if out.is_dir()
            else "it replaces an earlier file"
        )
        print(f"gantrain: {out}: {what}", file=sys.stderr)
    return 0


def _ending(options: SampleOptions, spec: Spec) -> str:
    """Return how the file's name ends where ``out`` is not given."""
    cut = f"-truncation{options.truncation:g}" if options.truncation is not None else ""
    if options.interpolate is not None:
        return f"{cut}-interpolate{options.interpolate}.gif"
    return cut + (".png" if spec.is_image else ".csv" if spec.table else ".npz")


def _samples_per_frame(spec: Spec, conditions: Tensor | None) -> int:
    """Return how many samples a frame has where ``n`` is not given: one of each condition, or a few."""
    if not spec.is_image:
        return POINTS_PER_FRAME
    return IMAGES_PER_FRAME if conditions is None else min(IMAGES_PER_FRAME, len(conditions))


def _frames(
    G: Generator, options: SampleOptions, conditions: Tensor | None, spec: Spec, device: torch.device
) -> Iterator[Image.Image]:
    """Return the frames of a loop through the latents; each cell keeps its condition."""
    from gantrain.sampling.animation import clouds, grids
    from gantrain.sampling.generate import generate, repeat_conditions
    from gantrain.sampling.latents import interpolation_loop

    turns = options.interpolate or 0
    count = options.frames or FRAMES_PER_ARC * turns
    # y: (n, ...), or None for an unconditional model; each of latents: (n, dim), the next frame.
    y = repeat_conditions(conditions, options.n)
    latents = interpolation_loop(G, options.n, options.seed, turns, count, options.truncation)
    samples = (generate(G, z, y, device) for z in latents)
    return grids(samples) if spec.is_image else clouds(samples, y)


def _check_frames(options: SampleOptions) -> None:
    if options.frames and options.interpolate is None:
        raise ConfigError("frames", "goes with an animation", "add interpolate=8, or leave it out")
    if options.frames and options.frames < (options.interpolate or 0):
        what = f"{options.frames} cannot show {options.interpolate} latents"
        raise ConfigError("frames", what, f"give {options.interpolate} or more, or leave it out")


def _options() -> type:
    from gantrain.sampling.options import SampleOptions

    return SampleOptions


COMMAND = Command(
    sample,
    usage=(
        ("RUN [n=64 seed=0 classes=[3,7] out=PATH]", "a grid, a folder of PNGs or an .npz"),
        (
            "RUN interpolate=8 [frames=N truncation=0.7]",
            "a loop from sample to sample, as .gif or .apng",
        ),
    ),
    order=20,
    folder="run",
    options=_options,
)
