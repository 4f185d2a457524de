"""A small classifier of the data's labels, trained once and cached."""

import hashlib
import itertools
import logging
import weakref

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gantrain.core.atomic import replace_file
from gantrain.core.files import cache_home
from gantrain.core.gradients import descend
from gantrain.core.spec import Spec
from gantrain.core.update_rules import Adam
from gantrain.datasets.base import Data
from gantrain.features.tools.reserved import split_reserved_samples

log = logging.getLogger("gantrain")

STEPS, BATCH = 600, 128
FEWEST_OF_CLASS = 20  # pictures of a class, on average, where none are held out
WIDTH = 128  # of the layer before the scores
CHUNK = 500  # samples sent through it at a time
LAST_FIT: list[tuple[weakref.ref[Data], nn.Sequential]] = []  # one at most, while its data exist


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


def classifier(spec: Spec) -> nn.Sequential:
    """Return an untrained classifier, samples [N, ...] to class scores [N, classes].

    Where channels have classes of their own, one network classifies every channel without the others.
    """
    if not spec.is_image:
        return nn.Sequential(nn.Linear(spec.numel, WIDTH), nn.ReLU(), nn.Linear(WIDTH, spec.classes))
    channels, h, w = spec.shape
    sizes = -(-h // 4) * -(-w // 4)
    per_channel = spec.channel_classes > 0
    first = nn.Conv2d(1 if per_channel else channels, 32, 3, stride=2, padding=1)
    second = nn.Conv2d(32, 64, 3, stride=2, padding=1)
    layers = [first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(64 * sizes, WIDTH), nn.ReLU()]
    if not per_channel:
        return nn.Sequential(*layers, nn.Linear(WIDTH, spec.classes))
    split_channels = nn.Flatten(0, 1), nn.Unflatten(0, (-1, 1))  # [N, C, H, W] to [N * C, 1, H, W]
    join_channels = nn.Unflatten(0, (-1, channels))  # [N * C, WIDTH] to [N, C, WIDTH]
    return nn.Sequential(*split_channels, *layers, join_channels, JointScores(WIDTH, spec.channel_classes))


def why_not_trainable(data: Data) -> str | None:
    """Return why no classifier can be trained on these data, which have classes, or None when one can."""
    if data.train.y is None:
        return "the training pictures have no labels"
    if data.within is not None and len(split_reserved_samples(data)[0]) < FEWEST_OF_CLASS * data.spec.classes:
        return "too few labelled pictures are left to train a classifier on"
    return None


def fit(data: Data) -> nn.Sequential:
    """Train the classifier on labels of training data that are not reserved, from the same seed, on the CPU."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(0)
        network = classifier(data.spec)
        optimizer = Adam(list(network.parameters()), lr=2e-3)
        generator = torch.Generator().manual_seed(0)
        fitted, _ = split_reserved_samples(data)
        for step in range(STEPS):
            optimizer.lr = 2e-3 * (1 - step / STEPS)
            x, y = data.train.take(fitted[torch.randint(len(fitted), (BATCH,), generator=generator)])
            assert y is not None  # only labelled data have a classifier
            descend(cross_entropy(network(x), y), optimizer, "classifier")
    return network.eval()


def load_or_fit(data: Data) -> nn.Sequential:
    """Return the classifier of this training split, from the user's cache or else fitted."""
    reserved = len(split_reserved_samples(data)[1])
    key = hashlib.sha256(f"{data.spec} {reserved} {STEPS} {BATCH} {torch.__version__}".encode())
    for tensor in itertools.chain(data.train.pieces(), (data.train.y, data.train.rows)):
        if tensor is not None:
            key.update(tensor.flatten().numpy().data)
    name = f"classifier-{key.hexdigest()[:20]}.safetensors"
    # Initial weights use torch's global generator, which training may use too.
    with torch.random.fork_rng(devices=[]):
        network = classifier(data.spec).eval()
    try:
        network.load_state_dict(load((cache_home() / name).read_bytes()))
        return network
    except (OSError, RuntimeError, SafetensorError):
        network = fit(data)
    try:
        replace_file(cache_home() / name, save(network.state_dict()))
    except OSError as error:
        log.info("the classifier is not cached (%s)", error)
    return network


def shared_classifier(data: Data, device: torch.device | str = "cpu") -> nn.Sequential:
    """Return the classifier of these data on a device; all metrics of a run share it."""
    if not LAST_FIT or LAST_FIT[0][0]() is not data:
        LAST_FIT[:] = [(weakref.ref(data, lambda _: LAST_FIT.clear()), load_or_fit(data))]
    return LAST_FIT[0][1].to(device)


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """Return the likeliest class of each sample, shape [N]."""
    return outputs(network, x).argmax(1)


def outputs(network: nn.Module, x: Tensor) -> Tensor:
    """Return a classifier's outputs, float32 whatever the run's precision is."""
    with torch.autocast(x.device.type, enabled=False):
        return torch.cat([network(part) for part in x.split(CHUNK)])
