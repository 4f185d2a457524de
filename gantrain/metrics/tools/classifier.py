"""How a protocol states the classifier that predicts the classes of samples."""

import torch

from gantrain.features.tools.classifier import STEPS, predict, shared_classifier
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.metrics.base import Evaluation


def classifier_protocol(evaluation: Evaluation) -> dict[str, object]:
    """Return a description of the classifier, and its accuracy on held-out samples."""
    x, y = evaluation.real
    assert y is not None  # only labelled data have a classifier
    spec = evaluation.data.spec
    layers = "2 convolutions" if spec.is_image else "2 linear layers"
    where = " on each channel" if spec.channel_classes else ""
    correct = torch.eq(predict(shared_classifier(evaluation.data, x.device), x), y)
    reserved = len(split_reserved_samples(evaluation.data)[1])
    name = f"{layers}{where}, {STEPS} steps on the training split"
    own = {"classifier": name, "classifier_accuracy": float(correct.double().mean())}
    return own | ({"reserved_from_training": reserved} if reserved else {})
