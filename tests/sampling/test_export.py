"""An exported generator is the generator, bit for bit, for any number of samples, and needs no gantrain."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gantrain
from gantrain.cli.arguments import checkpoint_and_words
from gantrain.cli.main import main
from gantrain.core.spec import ConditionSpec, Spec
from gantrain.errors import ConfigError
from gantrain.models.base import Generator, Model
from gantrain.models.dcgan import DCGAN
from gantrain.models.dirac import Dirac
from gantrain.models.flow import Flow
from gantrain.models.gaussian import Gaussian
from gantrain.models.line import Line
from gantrain.models.mlp import MLP
from gantrain.models.r3gan import R3GAN
from gantrain.models.resnet import ResNet
from gantrain.models.strided import Strided
from gantrain.models.stylegan2 import StyleGAN2
from gantrain.registry import REGISTERED
from gantrain.sampling.export import describe, export_program, write_generator
from gantrain.sampling.generate import draw, repeat_conditions
from gantrain.sampling.latents import latents
from gantrain.training.restore import load_generator

WORDS = ConditionSpec(
    ("red", "green", "disc"), ((1.0, 3.0, 0.0), (2.0, 3.0, 0.0), (3.0, 0.0, 0.0)), words=True
)
NUMBERS = ConditionSpec(("old", "tall"), ((0.5, -1.0), (1.0, 2.0)))
CASES: dict[str, tuple[Model, Spec]] = {
    "mlp": (MLP(width=8, z_dim=5), Spec((2,))),
    "mlp-both": (MLP(width=8, z_dim=5, source="both"), Spec((2,))),
    "mlp-dropout": (MLP(width=8, source="dropout", dropout=0.25), Spec((3,))),
    "mlp-numbers-norm": (MLP(width=8, condition="conditional_batch_norm"), Spec((2,), condition=NUMBERS)),
    "dcgan": (DCGAN(width=4, z_dim=5), Spec((1, 9, 12))),
    "dcgan-dropout-class": (DCGAN(width=4, source="dropout", condition="concat"), Spec((1, 8, 8), classes=3)),
    "dcgan-norm": (DCGAN(width=4, condition="conditional_batch_norm"), Spec((3, 8, 8), classes=4)),
    "dcgan-stacked": (DCGAN(width=4, condition="projection"), Spec((3, 8, 8), 27, channel_classes=3)),
    "dcgan-words": (DCGAN(width=4, condition="concat"), Spec((3, 8, 8), condition=WORDS)),
    "stylegan2": (StyleGAN2(width=4, z_dim=6, condition="projection"), Spec((1, 9, 12), classes=3)),
    "stylegan2-noise": (StyleGAN2(width=4, z_dim=6, pixel_noise=True), Spec((3, 8, 8))),
    "strided": (Strided(width=4, z_dim=5), Spec((1, 9, 12))),
    "resnet": (ResNet(width=4, z_dim=5), Spec((1, 9, 12))),
    "r3gan": (R3GAN(width=16, z_dim=5), Spec((3, 8, 8))),
    "flow": (Flow(width=8, layers=2, depth=1), Spec((3,))),
    "flow-1": (Flow(layers=2), Spec((1,))),
    "gaussian": (Gaussian(), Spec((2,))),
    "gaussian-mixture": (Gaussian(components=3), Spec((2,))),
    "line": (Line(), Spec((2,))),
    "dirac": (Dirac(), Spec((1,))),
}
FEW = (
    "mlp-both",
    "dcgan-norm",
    "dcgan-words",
    "gaussian-mixture",
)  # one of each thing that a trace can get wrong
CPU = torch.device("cpu")


def built(case: str) -> tuple[Generator, Spec, bool]:
    model, spec = CASES[case]
    torch.manual_seed(0)
    G = model.build(spec)[0]
    for buffer in G.buffers():  # a norm that has seen batches, in case eval mode is forgotten
        nn.init.uniform_(buffer, 0.5, 2)
    return G.eval(), spec, model.is_conditional


def inputs(case: str, n: int) -> list[Tensor]:
    G, spec, is_conditional = built(case)
    y = repeat_conditions(spec.conditions() if is_conditional else None, n)
    return [latents(G, n, 3)] + ([] if y is None else [y])


def traces(content: bytes) -> bool:
    """Say whether a file names folders of the machine that it was made on."""
    return any(str(Path(module.__file__).parent).encode() in content for module in (gantrain, torch))


def config(model: Model) -> dict[str, object]:
    return {"name": "run", "model": {"name": model.name, "condition": model.condition}}


def test_every_model_has_a_case():
    assert {model.name for model, _ in CASES.values()} == set(REGISTERED["model"]) - {"auto"}


LOADER = """
    import sys
    sys.modules["gantrain"] = None  # what import finds of it: nothing
    import json, pathlib, torch
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pt2")):
        told = {"gantrain.json": ""}
        program = torch.export.load(path, extra_files=told).module()
        told = json.loads(told["gantrain.json"])
        for file in sorted(path.parent.glob(f"{path.stem}.*.inputs")):
            given = torch.load(file)
            assert given[0].shape[1] == told["latent"] and told["step"] == 7, told
            x = program(*given)
            assert list(x.shape[1:]) == told["shape"] and not x.requires_grad, (x.shape, told)
            torch.save(x, file.with_suffix(".x"))
    try:
        import gantrain
    except ImportError:
        print("gantrain is not there")
"""


@pytest.mark.parametrize(
    "cases",
    [pytest.param(FEW[2:3], id="few"), pytest.param(tuple(CASES), id="all", marks=pytest.mark.slow)],
)
def test_export_draws_the_same_bits_without_gantrain(cases, tmp_path):
    for case in cases:
        G, spec, _ = built(case)
        write_generator(tmp_path / f"{case}.pt2", G.train(), spec, config(CASES[case][0]), 7)
        assert all(p.requires_grad for p in G.parameters())  # an export changes nothing of what it exports
        for n in (1, 2, 7):
            torch.save(inputs(case, n), tmp_path / f"{case}.{n}.inputs")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LOADER), tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "gantrain is not there"), done.stderr
    for case in cases:
        G, _, _ = built(case)
        for n in (1, 2, 7):
            x = torch.load(tmp_path / f"{case}.{n}.x")
            assert torch.equal(x, G(*inputs(case, n)).detach()), (case, n)


@pytest.mark.parametrize("case", CASES)
def test_a_file_tells_enough_to_draw_its_inputs(case):
    """From what it tells alone, inputs are drawn that have the law and the range of the generator's own."""
    G, spec, is_conditional = built(case)
    told = json.loads(json.dumps(describe(G, spec, is_conditional)))
    own = latents(G, 4000, 0)
    draws = torch.Generator().manual_seed(1)
    z = torch.randn(4000, told["z_dim"], generator=draws) if told["z_dim"] else torch.ones(4000, 1)
    noise, masks = torch.randn(4000, told["noise"], generator=draws), torch.zeros(4000, 0)
    if told["masks"]:
        kept = torch.rand(4000, told["masks"], generator=draws) >= told["dropout"]
        masks = kept / (1 - told["dropout"])
    drawn = torch.cat([z, noise, masks], 1)
    assert drawn.shape == own.shape == (4000, told["latent"])
    assert torch.equal(masks.unique(), own[:, z.shape[1] + noise.shape[1] :].unique())
    torch.testing.assert_close(drawn.mean(0), own.mean(0), rtol=0, atol=0.13)
    torch.testing.assert_close(drawn.std(0), own.std(0), rtol=0, atol=0.1)
    x, _ = draw(G, 8, 0, spec.conditions() if is_conditional else None, CPU)
    assert list(x.shape[1:]) == told["shape"]
    assert (told["range"] == [-1, 1]) == spec.is_image
    kinds = {"class": (1, spec.classes), "words": (2, len(told["names"] or []) + 1), "numbers": (2, 0)}
    if told["condition"] is None:
        assert not is_conditional
    else:
        dim, most = kinds[told["condition"]]
        y = spec.conditions()
        assert y.dim() == dim
        assert dim == 1 or y.shape[1] == told["width"]
        assert not most or 0 <= y.min() <= y.max() < most


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_an_onnx_model_draws_the_same_samples_for_any_number(case, tmp_path, capfd):
    import onnxruntime

    G, spec, is_conditional = built(case)
    write_generator(tmp_path / "g.onnx", G, spec, config(CASES[case][0]), 7)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["g.onnx"]  # weights and all in one file
    assert not traces((tmp_path / "g.onnx").read_bytes())
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx")
    told = json.loads(session.get_modelmeta().custom_metadata_map["gantrain"])
    assert told["latent"] == inputs(case, 1)[0].shape[1]
    assert (told["condition"] is not None) == is_conditional
    for n in (1, 6):
        given = dict(zip("zy", inputs(case, n), strict=False))
        (x,) = session.run(["x"], {name: value.numpy() for name, value in given.items()})
        np.testing.assert_allclose(x, G(*given.values()).detach().numpy(), rtol=0, atol=1e-5)


# The command ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "run"
    words = "objective=conditional train.steps=1 model.width=4 debug=tiny metric=none train.sample_every=0"
    assert main([*words.split(), f"run.dir={folder}"]) == 0
    return folder


def test_export_command_writes_what_gantrain_samples(run, run_cli):
    code, out, err = run_cli("export", run)
    assert (code, out, err) == (0, f"{run / 'generator-000001.pt2'}\n", "")
    assert run_cli("export", run, "out=new/g.pt2") == (0, "new/g.pt2\n", "")
    checkpoint, _ = checkpoint_and_words("sample", [str(run)])
    _, spec, G = load_generator(checkpoint)
    x, y = draw(G, 20, 5, spec.conditions(), CPU)
    for path in (out.strip(), "new/g.pt2"):
        program = torch.export.load(path).module()
        assert torch.equal(program(latents(G, 20, 5), y), x)
        with zipfile.ZipFile(path) as archive:
            assert not any(traces(archive.read(name)) for name in archive.namelist())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_extra_onnx_is_refused_in_one_line(package, run, run_cli, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run_cli("export", run, "out=new/g.onnx")
    assert (code, out) == (2, "")
    assert err.startswith(f"gantrain: error: out: .onnx needs {package}, which is not installed; pip install")
    assert "gantrain[onnx]" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("word", ["out=g.pt", "out=g", "out=1", "to=g.pt2", "out=[a]"])
def test_export_refuses_a_word_in_one_line(word, run, run_cli, tmp_path):
    code, out, err = run_cli("export", run, word)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"gantrain: error: {word.partition('=')[0]}:")
    assert not list(tmp_path.iterdir())


class Counting(Generator):
    """A generator of a fixed number of samples, as one that calls ``int`` on it is."""

    def forward(self, latents, y=None):
        return latents * float(len(latents))


def test_export_refuses_an_untraceable_generator_in_one_line():
    with pytest.raises(ConfigError, match=r"^model: this generator cannot be exported \(.*any number"):
        export_program(Counting(MLP(), []), Spec((64,)), False)


@pytest.mark.parametrize(
    "case", [case if case in FEW else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_every_model_is_traced_for_any_number_of_samples(case):
    G, spec, is_conditional = built(case)
    program = export_program(G, spec, is_conditional).module()
    for n in (1, 5):
        assert torch.equal(program(*inputs(case, n)), G(*inputs(case, n)).detach())
