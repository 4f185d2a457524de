"""A model from outside the package: one Python file with a G and a D of its own, and one YAML file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import gantrain.config.resolve  # noqa: F401  (registers what is shipped)
from gantrain.core import plugin_loading, plugins

OWN = '''
"""Linear G and D that take the condition as an input."""
from dataclasses import dataclass

from torch import nn

from gantrain.models.base import Discriminator, Generator, Model
from gantrain.models.layers import ConditionEmbedding, Head
from gantrain.registry import option, register


class G(Generator):
    def __init__(self, model, spec):
        super().__init__(model, [])
        self.condition = ConditionEmbedding(spec, model.condition, ("concat", "projection"))
        self.linear = nn.Linear(self.z_dim + self.condition.joined_width, spec.shape[0])

    def forward(self, z, y=None):
        z, _ = self.condition.join(z, y)
        return self.linear(z)


class D(Discriminator):
    def __init__(self, model, spec):
        super().__init__()
        self.condition = ConditionEmbedding(spec, model.condition)
        self.body = nn.Linear(spec.numel + self.condition.joined_width, model.features)
        self.head = Head(model.features, self.condition.separate_width, model.minibatch_std)

    def forward(self, x, y=None):
        x, e = self.condition.join(x, y)
        return self.head(self.body(x), e)


@register("model")
@dataclass
class Linear(Model):
    name: str = option("linear", "registered name")
    features: int = option(8, "features of D", minimum=1)

    def why_unsupported(self, spec):
        return "linear makes points, not images" if spec.is_image else None

    def generator(self, spec):
        return G(self, spec)

    def discriminator(self, spec):
        return D(self, spec)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "own"
    (folder / "configs" / "model").mkdir(parents=True)
    (folder / "linear.py").write_text(OWN)
    text = "# Linear G and D: gantrain model=linear\ndefaults: [/schema/model/linear@_here_]\n"
    (folder / "configs" / "model" / "linear.yaml").write_text(text)
    yield folder
    plugins.use([])
    for name in list(plugin_loading._loaded):
        plugin_loading._unload(name)


@pytest.mark.parametrize("condition", ["none", "concat", "projection"])
def test_own_model_trains_and_samples(condition, folder, run_cli, tmp_path):
    words = ["model=linear", "model.features=5", f"model.condition={condition}", "dataset=ring", "debug=tiny"]
    code, _, err = run_cli("--plugins", folder, *words, "train.steps=2", "device=cpu", "run.dir=run")
    assert code == 0, err
    model = json.loads((tmp_path / "run" / "config.json").read_text())["model"]
    assert (model["name"], model["features"], model["condition"]) == ("linear", 5, condition)
    assert run_cli("sample", "run", "n=4", "out=x.npz")[0] == 0


def test_own_model_says_why_it_does_not_fit(folder, run_cli):
    code, _, err = run_cli("--plugins", folder, "model=linear", "dataset=digits", "run.dir=run")
    assert code == 2
    assert "linear makes points, not images" in err
