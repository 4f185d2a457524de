"""Whether conditional samples show the class they were asked for, by a small classifier of the data."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gantrain.datasets.base import Data, Spec
from gantrain.metrics.base import CHUNK, Evaluation, Metric
from gantrain.registry import option, register
from gantrain.step import descend

STEPS, BATCH = 600, 128
log = logging.getLogger("gantrain")


def classifier(spec: Spec) -> nn.Module:
    """Return an untrained classifier, samples [N, ...] to class scores [N, classes]."""
    if not spec.is_image:
        return nn.Sequential(nn.Linear(spec.numel, 128), nn.ReLU(), nn.Linear(128, spec.classes))
    channels, h, w = spec.shape
    sizes = -(-h // 4) * -(-w // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * sizes, 128),
        nn.ReLU(),
        nn.Linear(128, spec.classes),
    )


def fit(data: Data) -> nn.Module:
    """Train the classifier on the training split's labels, always from the same seed, on the CPU."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(0)
        network = classifier(data.spec)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
        generator = torch.Generator().manual_seed(0)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / STEPS)
            x, y = data.train.take(torch.randint(len(data.train), (BATCH,), generator=generator))
            descend(cross_entropy(network(x), y), optimizer, "classifier")
    return network.eval()


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """Return the likeliest class of each sample, shape [N]."""
    return torch.cat([network(part).argmax(1) for part in x.cpu().split(CHUNK)])


def cached(data: Data) -> nn.Module:
    """Return the classifier of this very training split, from the user's cache when it is there."""
    key = hashlib.sha256(f"{data.spec} {STEPS} {BATCH} {torch.__version__}".encode())
    for tensor in (data.train.x, data.train.y):
        key.update(tensor.numpy().tobytes())  # type: ignore[union-attr]
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    path = home / "gantrain" / f"classifier-{key.hexdigest()[:20]}.safetensors"
    network = classifier(data.spec).eval()
    try:
        network.load_state_dict(load(path.read_bytes()))
        return network
    except (OSError, RuntimeError, SafetensorError):
        network = fit(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(save(network.state_dict()))
        part.replace(path)
    except OSError as error:
        log.info("the classifier is not cached (%s)", error)
    return network


@register("metric")
@dataclass
class ClassAccuracy(Metric):
    """GAN-test (Shmelkov, Schmid and Alahari 2018): accuracy on samples of a classifier trained on data."""

    name: str = option("class_accuracy", "registered name")

    def fits(self, data: Data, conditional: bool) -> str | None:
        """Return why not: samples must have been asked for by class."""
        return None if conditional else "the model is not conditional (model.condition=none)"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return the classifier, its own held-out accuracy and n."""
        x, y = evaluation.real
        right = float((predict(self._classifier(evaluation.data), x) == y.cpu()).float().mean())  # type: ignore[union-attr]
        name = "2 convolutions" if evaluation.data.spec.is_image else "2 linear layers"
        return {
            "classifier": f"{name}, {STEPS} steps on the training split",
            "classifier_accuracy": right,
            "n": evaluation.n,
            "split": "holdout",
            "G": "averaged weights",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``fidelity/class_accuracy`` in [0, 1]."""
        x, y = evaluation.fake
        right = predict(self._classifier(evaluation.data), x) == y.cpu()  # type: ignore[union-attr]
        return {"fidelity/class_accuracy": float(right.float().mean())}

    def _classifier(self, data: Data) -> nn.Module:
        if getattr(self, "_for", None) is not data:
            self._network, self._for = cached(data), data
        return self._network
