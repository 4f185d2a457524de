"""A small classifier of the data's own labels, trained once and cached: it judges classes and gives features."""

from __future__ import annotations

import hashlib
import logging
import weakref

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gantrain.core.files import cache_dir, replace_file
from gantrain.core.gradients import descend
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.metrics.base import CHUNK, Evaluation

log = logging.getLogger("gantrain")

STEPS, BATCH = 600, 128
CLASSIFIER = "penultimate layer of a classifier of the training split"
LATEST: list[tuple[weakref.ref[Data], nn.Sequential]] = []  # one at most


class Written(nn.Linear):
    """From each channel's activations [N, C, d] to scores [N, K^C] of the numbers that C classes write in base K.

    The first channel's class is the highest digit. A number's score is the sum of its classes', so the likeliest number
    is written by the likeliest classes, and its cross-entropy is the sum of theirs: each channel is learnt by itself.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of all numbers, in their order."""
        scores, *lower = super().forward(x).unbind(1)
        for channel in lower:
            scores = (scores[:, :, None] + channel[:, None]).flatten(1)
        return scores


def classifier(spec: Spec) -> nn.Sequential:
    """Return an untrained classifier, samples [N, ...] to class scores [N, classes].

    Where channels have classes of their own, one network judges every channel without the others.
    """
    if not spec.is_image:
        return nn.Sequential(nn.Linear(spec.numel, 128), nn.ReLU(), nn.Linear(128, spec.classes))
    channels, h, w = spec.shape
    sizes = -(-h // 4) * -(-w // 4)
    apart = spec.channel_classes > 0
    layers = [
        nn.Conv2d(1 if apart else channels, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * sizes, 128),
        nn.ReLU(),
    ]
    if not apart:
        return nn.Sequential(*layers, nn.Linear(128, spec.classes))
    taken_apart = nn.Flatten(0, 1), nn.Unflatten(0, (-1, 1))  # [N, C, H, W] to [N * C, 1, H, W]
    together = nn.Unflatten(0, (-1, channels))  # [N * C, 128] to [N, C, 128]
    return nn.Sequential(*taken_apart, *layers, together, Written(128, spec.channel_classes))


def fit(data: Data) -> nn.Sequential:
    """Train the classifier on the training split's labels, always from the same seed, on the CPU."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(0)
        network = classifier(data.spec)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
        generator = torch.Generator().manual_seed(0)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / STEPS)
            x, y = data.train.take(torch.randint(len(data.train), (BATCH,), generator=generator))
            assert y is not None  # only labelled data have a classifier
            descend(cross_entropy(network(x), y), optimizer, "classifier")
    return network.eval()


def cached(data: Data) -> nn.Sequential:
    """Return the classifier of this very training split, from the user's cache when it is there."""
    key = hashlib.sha256(f"{data.spec} {STEPS} {BATCH} {torch.__version__}".encode())
    for tensor in vars(data.train).values():  # a mapped split says by a third tensor which rows are its own
        key.update(tensor.flatten().numpy())
    path = cache_dir() / f"classifier-{key.hexdigest()[:20]}.safetensors"
    with torch.random.fork_rng(
        devices=[]
    ):  # first weights are drawn from torch's generator, which training may use
        network = classifier(data.spec).eval()
    try:
        network.load_state_dict(load(path.read_bytes()))
        return network
    except (OSError, RuntimeError, SafetensorError):
        network = fit(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, save(network.state_dict()))
    except OSError as error:
        log.info("the classifier is not cached (%s)", error)
    return network


def trained(data: Data) -> nn.Sequential:
    """Return the classifier of these data, which all metrics of a run share."""
    if not LATEST or LATEST[0][0]() is not data:
        LATEST[:] = [(weakref.ref(data), cached(data))]
    return LATEST[0][1]


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """Return the likeliest class of each sample, shape [N]."""
    return torch.cat([network(part).argmax(1) for part in x.cpu().split(CHUNK)])


def judge(evaluation: Evaluation) -> dict[str, object]:
    """Return what judges classes, in words, and the share of held-out samples that it puts into their own."""
    x, y = evaluation.real
    assert y is not None  # only labelled data have a classifier
    spec = evaluation.data.spec
    name = "2 convolutions" if spec.is_image else "2 linear layers"
    where = " on each channel" if spec.channel_classes else ""
    return {
        "classifier": f"{name}{where}, {STEPS} steps on the training split",
        "classifier_accuracy": float((predict(trained(evaluation.data), x) == y.cpu()).float().mean()),
    }


def features(data: Data, x: Tensor) -> Tensor:
    """Return what Frechet and kernel distances compare, float64 on the CPU, samples [N, ...] to [N, d].

    Labelled images become the 128 activations before the classifier's last layer, 128 for each channel that has
    classes of its own; other images are their pixels and points their coordinates.
    """
    x = x.cpu()
    if described(data) == CLASSIFIER:
        network = trained(data)[:-1]
        x = torch.cat([network(part) for part in x.split(CHUNK)])
    return x.flatten(1).double()


def described(data: Data) -> str:
    """Return what ``features`` are of these data, in words."""
    if not data.spec.is_image:
        return "coordinates"
    return CLASSIFIER if data.spec.classes > 1 else "pixels"
