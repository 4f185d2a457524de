"""The options of sampling and export, for the verbs and the Python API; torch is imported only for conditions."""

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

    n: int = option(64, "number of samples; 16 in a frame of an animation", minimum=1, maximum=1_000_000)
    seed: int = option(0, "seed of the latents", minimum=0)
    classes: list[int] | None = option(None, "labels to repeat in turn", minimum=0)
    condition: str | None = option(None, "captions or rows of numbers, separated by ;, to repeat in turn")
    truncation: float | None = option(
        None,
        "largest absolute value in z, as if values beyond it were resampled (Brock et al. 2019), not for dropout; "
        "of stylegan2 psi, the distance of styles from their mean: 1 changes nothing, 0 shows the mean alone",
        minimum=0,
    )
    interpolate: int | None = option(
        None, "animate a loop along arcs through this many latents", minimum=2, maximum=1000
    )
    frames: int | None = option(
        None, "frames of the loop; by default 16 from one latent to the next", minimum=2, maximum=100_000
    )
    device: str = option("auto", "where to run G", choices=("auto", "cpu", "cuda", "mps"))
    out: str | None = option(
        None,
        "a .png grid, an .npz, or a folder for single PNGs; for a table a .csv or .parquet; "
        "for an animation a .gif, .png or .apng, or a folder for its frames",
    )


@dataclass
class ExportOptions:
    """Where to write the generator."""

    out: str | None = option(None, "a .pt2 for torch, or an .onnx")


@dataclass
class DataOptions:
    """Which real samples of a run to write."""

    split: str = option(
        "holdout",
        "the held-out samples, which metrics compare with, or the training samples",
        choices=("holdout", "train"),
    )
    n: int | None = option(
        None, "number of samples, those that an evaluation of so many takes; by default all", minimum=1
    )


def conditions_of(options: SampleOptions, spec: Spec, is_conditional: bool) -> Tensor | None:
    """Return the conditions to repeat in turn, one a row; None for an unconditional generator. Raises ConfigError."""
    import torch

    # Classes are labels; captions and rows of numbers are conditions. A generator has one kind or none.
    other, kind = ("classes", "condition") if spec.condition else ("condition", "classes")
    if getattr(options, other):
        raise ConfigError(other, "this generator has no such condition", f"leave it out, or give {kind}")
    if not is_conditional:
        if options.classes or options.condition:
            raise ConfigError(kind, "this generator is not conditional", f"leave {kind} out")
        return None
    if options.classes and (label := max(options.classes)) >= spec.classes:
        raise ConfigError(
            "classes", f"there is no class {label}", f"give labels from 0 to {spec.classes - 1}"
        )
    if options.condition and spec.condition:
        try:
            rows = [spec.condition.read(text) for text in options.condition.split(";")]
            return spec.condition.tensor(rows)  # [rows, width]
        except ValueError as error:
            raise ConfigError("condition", "cannot be read", str(error)) from error
    return torch.tensor(options.classes) if options.classes else spec.conditions()
