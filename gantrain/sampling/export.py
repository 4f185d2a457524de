"""A generator as one file that needs no gantrain: a torch.export program, or an ONNX model."""

from __future__ import annotations

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
from torch import Tensor

from gantrain import __version__
from gantrain.core.files import replace_file
from gantrain.core.spec import Spec
from gantrain.core.system import mute_logging
from gantrain.errors import ConfigError
from gantrain.models.base import Generator
from gantrain.sampling.generate import in_turn
from gantrain.sampling.latents import latents

NOTE = "gantrain.json"  # the name under which a .pt2 holds what is said of its inputs and outputs


def about(G: Generator, spec: Spec, is_conditional: bool) -> dict[str, Any]:
    """Return what a file says of its inputs and outputs, as plain data.

    ``z`` is a row of ``latent`` numbers: ``z_dim`` of a standard normal law (a single 1 where dropout is the only
    source), then ``masks`` numbers that are 0 with probability ``dropout`` and else 1 / (1 - dropout). ``y`` is there
    where ``condition`` is not null: a class, a row of the numbers in ``names``, or of words as their number in
    ``names`` plus 1, filled up with 0. A table's columns are in its own unit ``x * scale + shift``.
    """
    given, table = spec.condition, spec.plain().get("table")
    kind = None if not is_conditional else "class" if given is None else "words" if given.words else "numbers"
    return {
        "latent": G.z_dim + sum(G.units),
        "z_dim": G.z_dim if G.has_z else 0,
        "masks": sum(G.units),
        "dropout": G.dropout if G.units else None,
        "shape": list(spec.shape),
        "range": [-1, 1] if spec.is_image else None,
        "condition": kind,
        "classes": spec.classes,
        "channel_classes": spec.channel_classes,
        "names": list(given.names) if given and kind else None,
        "width": given.width if given and kind else None,
        "table": table,
    }


def exported(G: Generator, spec: Spec, is_conditional: bool) -> torch.export.ExportedProgram:
    """Return a generator on the CPU, in eval mode, as a program of z [N, latent], and y [N, ...], for any N >= 1.

    Raises:
        ConfigError: For a generator that torch cannot trace for any N.
    """
    G = copy.deepcopy(G).cpu().eval().requires_grad_(False)
    inputs: list[Tensor] = [latents(G, 2, 0)]  # a trace of one sample would be of one sample only
    y = in_turn(spec.conditions() if is_conditional else None, 2)
    if y is not None:
        inputs.append(y)
    N = torch.export.Dim("N", min=1)
    try:
        with quiet():
            program = torch.export.export(G, tuple(inputs), dynamic_shapes=tuple({0: N} for _ in inputs))
    except Exception as error:  # torch has no common class for what it cannot trace
        said = " ".join(str(error).split())[:200]
        what = f"this generator cannot be exported ({type(error).__name__}: {said})"
        raise ConfigError("model", what, "see that its forward takes any number of samples") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the folders of this machine
    return program


def write_generator(out: Path, G: Generator, spec: Spec, config: Mapping[str, Any], step: int) -> None:
    """Write a generator as ``.pt2`` or ``.onnx``, whole or not at all, with what ``about`` says of it as JSON.

    Args:
        out: The file. ``.onnx`` wants the extra ``gantrain[onnx]``. What is said is in a ``.pt2`` the extra file
            ``gantrain.json``, in an ``.onnx`` the property ``gantrain``.
        G: The generator.
        spec: Of the data that it makes.
        config: Of its run, plain data.
        step: Steps behind it.

    Raises:
        ConfigError: For another kind of file, ``.onnx`` without the packages that write it, or a generator that
            cannot be written.
        OSError: When the place cannot be written.
    """
    if out.suffix not in (".pt2", ".onnx"):
        raise ConfigError(
            "out", f"{out.name} is not a kind of file for a generator", "end it in .pt2 or .onnx"
        )
    if out.suffix == ".onnx":
        check_onnx()  # before the work of an export
    is_conditional = config["model"]["condition"] != "none"
    origin = {"gantrain": __version__, "name": config["name"], "model": config["model"]["name"], "step": step}
    note = json.dumps(origin | about(G, spec, is_conditional))
    program = exported(G, spec, is_conditional)
    content = _onnx(program, note) if out.suffix == ".onnx" else _pt2(program, note)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, content)


def check_onnx() -> None:
    """See that what writes ONNX is installed. Raises ConfigError."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        what = f".onnx needs {' and '.join(missing)}, which is not installed"
        raise ConfigError("out", what, "pip install 'gantrain[onnx]', or end it in .pt2")


def _pt2(program: torch.export.ExportedProgram, note: str) -> bytes:
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file, extra_files={NOTE: note})
    return file.getvalue()


def _onnx(program: torch.export.ExportedProgram, note: str) -> bytes:
    names = ["z", "y"][: len(program.graph_signature.user_inputs)]
    try:
        with quiet():
            made = torch.onnx.export(
                program, (), dynamo=True, verbose=False, input_names=names, output_names=["x"]
            )
    except Exception as error:  # as above
        said = " ".join(str(error).split())[:200]
        what = f"this generator cannot be written as ONNX ({type(error).__name__}: {said})"
        raise ConfigError("out", what, "end it in .pt2") from error
    assert made is not None
    made.model.metadata_props["gantrain"] = note
    return bytes(made.model_proto.SerializeToString())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's exporters from warning on the terminal of what a user can do nothing about."""
    with mute_logging(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
