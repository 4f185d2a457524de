"""Classifiers that come with the package, each for the samples that it was made for and has not been trained on."""

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gantrain.core.files import read_bytes
from gantrain.datasets.base import Data, Split
from gantrain.errors import DataError
from gantrain.features.tools.reserved import split_reserved_samples

FOLDER = Path(__file__).parent.parent / "weights"
# Of each file, by ``python docs/classifiers.py``.
SHA256 = {
    "digits": "13d745a96dec4ab273414a4e15445fb98f53c1339fb4ba46e5739c161a4626fa",
    "mnist": "6cef53aec41a438e81766ae94bef4d8ead73c4a61ae4d6efb3e31a49dcea1fe5",
}
MAX_BYTES = 2**21


@dataclass(frozen=True)
class Shipped:
    """The content of a file of weights, and what its header says.

    Attributes:
        weights: A safetensors file.
        name: Of the file, without its ending.
        trained_on: What its training samples are, for a protocol.
        accuracy: On samples that it was not trained on.
        count: Samples that it is meant for.
        samples: The digest of these.
        fresh: The digest of those of them that it has not been trained on.
    """

    weights: bytes
    name: str
    trained_on: str
    accuracy: float
    count: int
    samples: str
    fresh: str

    @classmethod
    def read(cls, name: str) -> "Shipped":
        """Return a file of the package. Raises DataError when it is not the one that was released."""
        path = FOLDER / f"{name}.safetensors"
        try:
            weights = read_bytes(path, MAX_BYTES)
        except OSError as error:
            raise DataError(path, f"cannot be read ({error.strerror})", "install gantrain again") from error
        if hashlib.sha256(weights).hexdigest() != SHA256[name]:
            raise DataError(path, "is not the file that gantrain was released with", "install gantrain again")
        # Eight bytes of the header's length, the header, the tensors
        header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])["__metadata__"]
        return cls(
            weights,
            name,
            header["trained_on"],
            float(header["accuracy"]),
            int(header["count"]),
            header["samples"],
            header["fresh"],
        )


def shipped_classifier(data: Data) -> Shipped | None:
    """Return the classifier that was made for these samples and was trained on none that floors read, or None."""
    parts = data.train, data.holdout
    if not data.spec.is_image or any(part.y is None or part.file or part.rows is not None for part in parts):
        return None
    count, found = sum(map(len, parts)), ""
    for shipped in map(Shipped.read, SHA256):
        if shipped.count != count:
            continue
        found = found or digest_of_samples(parts)
        if shipped.samples == found and shipped.fresh in (found, digest_of_samples(fresh_parts(data))):
            return shipped
    return None


def fresh_parts(data: Data) -> tuple[Split, Split]:
    """Return the held-out and the reserved samples: those that stand for fresh ones."""
    x, y = data.train.select(split_reserved_samples(data)[1])
    return data.holdout, Split(x, y)


def digest_of_samples(parts: Iterable[Split]) -> str:
    """Return the SHA-256 of the sorted SHA-256 of all samples with their labels, whose order does not matter."""
    digests = sorted(itertools.chain.from_iterable(map(_digests, parts)))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _digests(part: Split) -> list[bytes]:
    assert part.y is not None
    rows, labels = part.x.flatten(1).cpu().numpy(), part.y.tolist()
    return [hashlib.sha256(b"%d " % y + x.tobytes()).digest() for x, y in zip(rows, labels, strict=True)]
