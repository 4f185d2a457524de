"""Weights from files that anybody may have made: read whole, verified, and never run."""

import hashlib
import io
import pickle
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from gantrain.core.files import read_bytes
from gantrain.core.weights_place import download_folder, find_weights
from gantrain.errors import DataError

MOST = 2**29  # bytes of a file
MOST_HEADER = 2**20  # of them a description of the tensors


def read_weights(where: str, published: str = "", source: str = "") -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file by name, and its SHA-256 in hex.

    Only a file that is the published one may be a pickle, and ``weights_only`` reads it; any other is safetensors,
    which hold numbers and nothing else.

    Args:
        where: A path, or the name of a file that ``find_weights`` finds.
        published: The SHA-256 that the file must have; "" for any.
        source: Where to get it: the end of a sentence.

    Raises:
        DataError: When it is absent, cannot be read, or is another file.
    """
    path = find_weights(where)
    if path is None:
        what = f"there is no file {where}, and none of that name in {download_folder()}"
        raise DataError("features.weights", what, source or "give the path of a safetensors file")
    again = source or "get the file again"
    try:
        content = read_bytes(path, MOST)
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", again) from error
    digest = hashlib.sha256(content).hexdigest()
    if published and digest != published:
        what = f"is not the published file: its SHA-256 begins with {digest[:12]}, not {published[:12]}"
        raise DataError(path, what, again)
    try:
        return _parse(content, may_unpickle=bool(published)), digest
    except (SafetensorError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        what = f"is not a file of weights ({' '.join(str(error).split())[:100]})"
        raise DataError(path, what, again) from error


def _parse(content: bytes, may_unpickle: bool) -> dict[str, Tensor]:
    header = int.from_bytes(content[:8], "little")  # bytes, the first number of safetensors
    if may_unpickle and content[8:9] != b"{":
        return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    if header > MOST_HEADER:
        raise ValueError(f"no safetensors: a header of {header:,} bytes")
    return load(content)


def fill(network: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Give a network the weights of a file. Raises DataError unless names and shapes are those of the network."""
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if own != found:
        name = min(name for name in own | found if own.get(name) != found.get(name))
        what = f"holds the weights of another network: {name} is {found.get(name, 'absent')}"
        raise DataError(where, f"{what}, not {own.get(name, 'absent')}", "give a file of this network")
    network.load_state_dict(tensors)
