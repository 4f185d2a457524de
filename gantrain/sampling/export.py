"""A generator as one file that needs no gantrain: a torch.export program, or an ONNX model."""

import copy
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gantrain import __version__
from gantrain.core.atomic import replace_file
from gantrain.core.spec import Spec, bounded
from gantrain.core.system import mute_logging
from gantrain.errors import ConfigError
from gantrain.models.base import Generator
from gantrain.sampling.generate import repeat_conditions
from gantrain.sampling.latents import latents

NOTE = "gantrain.json"  # the extra file of a .pt2 that describes its inputs and outputs


def describe(G: Generator, spec: Spec, is_conditional: bool) -> dict[str, Any]:
    """Return the description of a program's inputs and outputs, as plain data.

    ``z`` is a row of ``latent`` numbers: ``z_dim`` standard normal ones (a single 1 where dropout is the only
    source), then ``noise`` more standard normal ones, then ``masks`` numbers that are 0 with probability ``dropout``
    and else 1 / (1 - dropout). ``y`` is an input unless ``condition`` is null: a class, a row of the numbers in
    ``names``, or of words as their index in ``names`` plus 1, padded with 0. A table's columns in their own unit are
    ``x * scale + shift``.
    """
    # What y holds; None for a generator without it.
    condition, kind = spec.condition, None
    if is_conditional:
        kind = "class" if condition is None else "words" if condition.words else "numbers"
    return {
        "latent": G.z_dim + G.noise_width + sum(G.units),
        "z_dim": G.z_dim if G.has_z else 0,
        "noise": G.noise_width,
        "masks": sum(G.units),
        "dropout": G.dropout if G.units else None,
        "shape": list(spec.shape),
        "range": [-1, 1] if spec.is_image else None,
        "condition": kind,
        "classes": spec.classes,
        "channel_classes": spec.channel_classes,
        "names": list(condition.names) if condition and kind else None,
        "width": condition.width if condition and kind else None,
        "table": spec.plain().get("table"),
    }


def export_program(G: Generator, spec: Spec, is_conditional: bool) -> torch.export.ExportedProgram:
    """Return a generator on the CPU, in eval mode, as a program of z [N, latent], and y [N, ...], for any N >= 1.

    Raises:
        ConfigError: For a generator that torch cannot trace for any N.
    """
    G = copy.deepcopy(G).cpu().eval().requires_grad_(False)
    network = Bounded(G) if spec.is_image else G
    # Two samples, since a trace of one would fix N to 1.
    y = repeat_conditions(spec.conditions() if is_conditional else None, 2)
    inputs = (latents(G, 2, 0),) if y is None else (latents(G, 2, 0), y)
    N = torch.export.Dim("N", min=1)
    try:
        with quiet():
            program = torch.export.export(network, inputs, dynamic_shapes=tuple({0: N} for _ in inputs))
    except Exception as error:  # torch has no common class for what it cannot trace
        what = f"this generator cannot be exported ({_summarise(error)})"
        raise ConfigError("model", what, "make its forward accept any number of samples") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # holds paths of this machine
    return program


class Bounded(nn.Module):
    """A generator whose images are as those of ``gantrain sample``, in [-1, 1]."""

    def __init__(self, G: Generator):
        super().__init__()
        self.G = G

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the samples [N, *shape]."""
        return bounded(self.G(z, y))


def write_generator(out: Path, G: Generator, spec: Spec, config: Mapping[str, Any], step: int) -> None:
    """Write a generator as ``.pt2`` or ``.onnx``, atomically, with its description as JSON.

    Args:
        out: The file. The description is the extra file ``gantrain.json`` of a ``.pt2``, or the property ``gantrain``
            of an ``.onnx``, which needs the extra ``gantrain[onnx]``.
        G: The generator.
        spec: Of its data.
        config: Of its run, plain data.
        step: Steps of training.

    Raises:
        ConfigError: For another kind of file, ``.onnx`` without the packages that write it, or a generator that
            cannot be written.
        OSError: When the file cannot be written.
    """
    if out.suffix not in (".pt2", ".onnx"):
        raise ConfigError(
            "out", f"{out.name} is not a file format for a generator", "end it in .pt2 or .onnx"
        )
    if out.suffix == ".onnx":
        check_onnx()  # before the work of an export
    is_conditional = config["model"]["condition"] != "none"
    origin = {"gantrain": __version__, "name": config["name"], "model": config["model"]["name"], "step": step}
    note = json.dumps(origin | describe(G, spec, is_conditional))
    program = export_program(G, spec, is_conditional)
    file = io.BytesIO()
    with quiet():
        if out.suffix == ".onnx":
            file.write(_onnx(program, note))
        else:
            torch.export.save(program, file, extra_files={NOTE: note})
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, file.getvalue())


def check_onnx() -> None:
    """Raise ConfigError unless the packages that write ONNX are installed."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        what = f".onnx needs {' and '.join(missing)}, which is not installed"
        raise ConfigError("out", what, "pip install 'gantrain[onnx]', or end it in .pt2")


def _onnx(program: torch.export.ExportedProgram, note: str) -> bytes:
    # The inputs of the program, in order.
    names = ["z", "y"][: len(program.graph_signature.user_inputs)]
    try:
        model = torch.onnx.export(program, dynamo=True, verbose=False, input_names=names, output_names=["x"])
    except Exception as error:  # as for torch.export
        what = f"this generator cannot be written as ONNX ({_summarise(error)})"
        raise ConfigError("out", what, "end it in .pt2") from error
    assert model is not None
    model.model.metadata_props["gantrain"] = note
    return bytes(model.model_proto.SerializeToString())


def _summarise(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings of torch's exporters, which are not about anything that a user can change."""
    with mute_logging(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
