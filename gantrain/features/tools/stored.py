"""Features of real samples, kept in the user's cache for the same samples and the same network."""

import hashlib
import json
import logging
from collections.abc import Callable

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gantrain.core.atomic import replace_file
from gantrain.core.files import cache_home
from gantrain.features.base import Extractor

log = logging.getLogger("gantrain")


def stored_features(extractor: Extractor, x: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``compute(x)``, features [N, d] of samples [N, ...], from the cache if they are in it.

    What is looked up is a digest of every sample, of the weights and of the preprocessing: never a name.
    """
    protocol = json.dumps([dict(extractor.protocol), extractor.dimension, list(x.shape), str(x.dtype)])
    key = hashlib.sha256(protocol.encode())
    key.update(x.detach().cpu().contiguous().numpy().data)
    name = f"features-{key.hexdigest()[:32]}.safetensors"
    try:
        found = load((cache_home() / name).read_bytes())["features"]
        if found.shape == (len(x), extractor.dimension):
            return found.to(x.device)
    except (OSError, KeyError, SafetensorError):
        pass  # none yet, or one that is damaged
    found = compute(x)
    try:
        replace_file(cache_home() / name, save({"features": found.float().cpu().contiguous()}))
    except OSError as error:
        log.info("features of real samples are not cached (%s)", error)
    return found
