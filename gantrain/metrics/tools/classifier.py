"""The classes of samples by the classifier of the data, and how a protocol states it."""

import torch
from torch import Tensor

from gantrain.features.tools.classifier import predict, shared_classifier
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.metrics.base import Evaluation
from gantrain.metrics.side import Side


def classifier_protocol(evaluation: Evaluation) -> dict[str, object]:
    """Return a description of the classifier, and its accuracy on held-out samples."""
    y = evaluation.reals.y
    assert y is not None  # only labelled data have a classifier
    network = shared_classifier(evaluation.data, evaluation.device)
    own: dict[str, object] = {"classifier": network.origin, "classifier_sha256": network.sha256}
    correct = torch.eq(predictions(evaluation, evaluation.reals), y)
    reserved = len(split_reserved_samples(evaluation.data)[1])
    own |= {"classifier_accuracy": float(correct.double().mean())}
    return own | ({"reserved_from_training": reserved} if reserved else {})


def predictions(evaluation: Evaluation, side: Side) -> Tensor:
    """Return the likeliest class of each sample of a side, [n]."""
    network = shared_classifier(evaluation.data, evaluation.device)
    return torch.cat([predict(network, part) for part in side.parts(evaluation.chunk)])
