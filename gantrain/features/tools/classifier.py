"""A small classifier of the data's labels, trained once and cached."""

import hashlib
import itertools
import logging
import weakref
from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gantrain.core.atomic import replace_file
from gantrain.core.files import cache_home, read_bytes
from gantrain.core.float32 import full_float32
from gantrain.core.gradients import descend
from gantrain.core.spec import Spec
from gantrain.core.update_rules import Adam
from gantrain.datasets.base import Data
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.features.tools.shipped import shipped_classifier
from gantrain.features.tools.view import is_averaged, size_of_view

log = logging.getLogger("gantrain")

STEPS, BATCH = 600, 128
FEWEST_OF_CLASS = 20  # pictures of a class, on average, where none are held out
WIDTH = 128  # of the layer before the scores
CHUNK = 500  # samples sent through it at a time
MAX_BYTES = 2**27  # of its weights
Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]  # samples [N, ...] and their classes [N]


class ClassNetwork(nn.Sequential):
    """A classifier, and where its weights come from.

    Attributes:
        sha256: The digest of its file of weights.
        origin: What the weights were trained on, for a protocol.
    """

    sha256: str = ""
    origin: str = f"trained on the labels of the training split, {STEPS} steps"


LAST_FIT: list[tuple[weakref.ref[Data], ClassNetwork]] = []  # one at most, while its data exist


class JointScores(nn.Linear):
    """From each channel's activations [N, C, d] to scores [N, K^C] of the numbers that C classes make in base K.

    The first channel's class is the highest digit. A number's score is the sum of its classes' scores, so its
    cross-entropy is the sum of theirs: each channel is learned independently.
    """

    def forward(self, x: Tensor) -> Tensor:
        scores, *lower = super().forward(x).unbind(1)
        for channel in lower:
            scores = (scores[:, :, None] + channel[:, None]).flatten(
                1
            )  # [N, K^c] and [N, K] to [N, K^(c + 1)]
        return scores


def classifier(spec: Spec) -> ClassNetwork:
    """Return an untrained classifier, samples [N, ...] to class scores [N, classes].

    Images of more than 32 pixels are averaged to 32 first. Where channels have classes of their own, one network
    classifies every channel without the others.
    """
    if not spec.is_image:
        return ClassNetwork(nn.Linear(spec.numel, WIDTH), nn.ReLU(), nn.Linear(WIDTH, spec.classes))
    channels, per_channel = spec.shape[0], spec.channel_classes > 0
    h, w = size_of_view(spec)
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d((h, w))] if is_averaged(spec) else []
    layers += [nn.Conv2d(1 if per_channel else channels, 32, 3, stride=2, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()]
    layers += [nn.Linear(64 * -(-h // 4) * -(-w // 4), WIDTH), nn.ReLU()]
    if not per_channel:
        return ClassNetwork(*layers, nn.Linear(WIDTH, spec.classes))
    split_channels = nn.Flatten(0, 1), nn.Unflatten(0, (-1, 1))  # [N, C, H, W] to [N * C, 1, H, W]
    join_channels = nn.Unflatten(0, (-1, channels))  # [N * C, WIDTH] to [N, C, WIDTH]
    return ClassNetwork(*split_channels, *layers, join_channels, JointScores(WIDTH, spec.channel_classes))


def why_not_trainable(data: Data) -> str | None:
    """Return why no classifier can be trained on these data, which have classes, or None when one can."""
    if data.train.y is None:
        return "the training pictures have no labels"
    if data.within is not None and len(split_reserved_samples(data)[0]) < FEWEST_OF_CLASS * data.spec.classes:
        return "too few labelled pictures are left to train a classifier on"
    return None


def fit(spec: Spec, draw: Draw, steps: int, seed: int = 0) -> ClassNetwork:
    """Train a classifier for ``steps`` batches that ``draw(generator)`` returns, on the CPU, from its own seed."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(seed)
        network = classifier(spec)
        optimizer = Adam(list(network.parameters()), lr=2e-3)
        generator = torch.Generator().manual_seed(seed)
        for step in range(steps):
            optimizer.lr = 2e-3 * (1 - step / steps)
            x, y = draw(generator)
            descend(cross_entropy(network(x), y), optimizer, "classifier")
    return network.eval()


def fit_to_training_split(data: Data) -> ClassNetwork:
    """Train a classifier on the labels of the training samples that are not reserved."""
    fitted, _ = split_reserved_samples(data)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = data.train.take(fitted[torch.randint(len(fitted), (BATCH,), generator=generator)])
        assert y is not None  # only labelled data have a classifier
        return x, y

    return fit(data.spec, draw, STEPS)


def load_or_fit(data: Data) -> ClassNetwork:
    """Return the classifier of these data: one of the package, or of the user's cache, or else fitted."""
    if (shipped := shipped_classifier(data)) is not None:
        network = with_weights(data.spec, shipped.weights)
        network.origin = f"of the package ({shipped.name}), trained on {shipped.trained_on}"
        return network
    reserved = len(split_reserved_samples(data)[1])
    key = hashlib.sha256(f"{data.spec} {reserved} {STEPS} {BATCH}".encode())
    for tensor in itertools.chain(data.train.pieces(), (data.train.y, data.train.rows, data.within)):
        if tensor is not None:
            key.update(tensor.flatten().numpy().data)
    name = f"classifier-{key.hexdigest()[:20]}.safetensors"
    try:
        return with_weights(data.spec, read_bytes(cache_home() / name, MAX_BYTES))
    except (OSError, RuntimeError, SafetensorError):
        content = save(fit_to_training_split(data).state_dict())
    try:
        replace_file(cache_home() / name, content)
    except OSError as error:
        log.info("the classifier is not cached (%s)", error)
    return with_weights(data.spec, content)


def with_weights(spec: Spec, content: bytes) -> ClassNetwork:
    """Return a classifier with the weights of a safetensors file. Raises for any other content, or other shapes."""
    # Initial weights use torch's global generator, which training may use too.
    with torch.random.fork_rng(devices=[]):
        network = classifier(spec).eval()
    network.load_state_dict(load(content))
    network.sha256 = hashlib.sha256(content).hexdigest()
    return network


def shared_classifier(data: Data, device: torch.device | str = "cpu") -> ClassNetwork:
    """Return the classifier of these data on a device; all metrics of a run share it."""
    if not LAST_FIT or LAST_FIT[0][0]() is not data:
        LAST_FIT[:] = [(weakref.ref(data, lambda _: LAST_FIT.clear()), load_or_fit(data))]
    return LAST_FIT[0][1].to(device)


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """Return the likeliest class of each sample, shape [N]."""
    return outputs(network, x).argmax(1)


def outputs(network: nn.Module, x: Tensor) -> Tensor:
    """Return a classifier's outputs, float32 whatever the run's precision is."""
    with full_float32(x.device):
        return torch.cat([network(part) for part in x.split(CHUNK)])
