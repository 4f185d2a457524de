"""The options of sampling and export, for the verbs and the Python API; light until conditions are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gantrain.core.fields import option
from gantrain.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from gantrain.core.spec import Spec


@dataclass
class SampleOptions:
    """What to sample, and where to write it."""

    n: int = option(64, "how many samples; in a frame of an animation 16", minimum=1, maximum=1_000_000)
    seed: int = option(0, "seed of the latents", minimum=0)
    classes: list[int] | None = option(None, "labels to repeat in turn", minimum=0)
    condition: str | None = option(
        None, "captions, or rows of numbers, between semicolons, to repeat in turn"
    )
    truncation: float | None = option(
        None,
        "largest absolute value in z, as if values beyond it were drawn again (Brock et al. 2019); dropout stays",
        above=0,
    )
    interpolate: int | None = option(
        None, "animate a loop along arcs through this many latents", minimum=2, maximum=1000
    )
    frames: int | None = option(
        None, "frames of the loop; 16 from a latent to the next by default", minimum=2, maximum=100_000
    )
    device: str = option("auto", "where to draw", choices=("auto", "cpu", "cuda", "mps"))
    out: str | None = option(
        None,
        "a .png grid, an .npz, or a folder for single PNGs; for a table a .csv or .parquet; "
        "for an animation a .gif, .png or .apng, or a folder for its frames",
    )


@dataclass
class ExportOptions:
    """Where to write the generator."""

    out: str | None = option(None, "a .pt2 for torch, or an .onnx")


def conditions_of(options: SampleOptions, spec: Spec, is_conditional: bool) -> Tensor | None:
    """Return the conditions to repeat in turn, one a row; None for an unconditional generator. Raises ConfigError."""
    import torch

    other, kind = ("classes", "condition") if spec.condition else ("condition", "classes")
    if getattr(options, other):
        raise ConfigError(other, "this generator knows no such condition", f"leave it out, or give {kind}")
    if not is_conditional:
        if options.classes or options.condition:
            raise ConfigError(kind, "this generator is not conditional", f"leave {kind} out")
        return None
    for label in options.classes or []:
        if label >= spec.classes:
            what = f"there is no class {label}"
            raise ConfigError("classes", what, f"give labels from 0 to {spec.classes - 1}")
    if options.condition and spec.condition:
        try:
            return spec.condition.tensor([spec.condition.read(text) for text in options.condition.split(";")])
        except ValueError as error:
            raise ConfigError("condition", "cannot be read", str(error)) from error
    return torch.tensor(options.classes) if options.classes else spec.conditions()
