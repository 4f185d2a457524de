"""Features of real samples, kept in the user's cache for the same samples and the same network."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gantrain.core.atomic import replace_file
from gantrain.core.files import cache_home
from gantrain.features.base import Extractor

log = logging.getLogger("gantrain")
CACHE_BYTES = 2**30  # of all cached features; those that were not used for longest are deleted


def stored_features(extractor: Extractor, pieces: Iterable[Tensor], compute: Callable[[], Tensor]) -> Tensor:
    """Return ``compute()``, features [N, d] of the samples in ``pieces``, from the cache if they are in it.

    What is looked up is a digest of every sample, of the weights and of the preprocessing: never a name.
    """
    key = hashlib.sha256(json.dumps([dict(extractor.protocol), extractor.dimension]).encode())
    count = 0
    for x in pieces:
        if not count:
            key.update(f"{list(x.shape[1:])} {x.dtype}".encode())
        key.update(x.detach().cpu().contiguous().numpy().data)
        count += len(x)
    name = f"features-{key.hexdigest()[:32]}.safetensors"
    try:
        path = cache_home() / name
        kept = load(path.read_bytes())["features"]
        if kept.shape == (count, extractor.dimension):
            with suppress(OSError):  # a cache that can only be read
                os.utime(path)
            return kept
    except (OSError, KeyError, SafetensorError):
        pass  # none yet, or one that is damaged
    found = compute()
    try:
        replace_file(cache_home() / name, save({"features": found.float().cpu().contiguous()}))
        _delete_old()
    except OSError as error:
        log.info("features of real samples are not cached (%s)", error)
    return found


def _delete_old() -> None:
    """Delete the features that were not used for longest, where all take more than ``CACHE_BYTES``."""
    files = [(path.stat(), path) for path in cache_home().glob("features-*.safetensors")]
    total = 0
    for status, path in sorted(files, key=lambda file: file[0].st_mtime, reverse=True):
        total += status.st_size
        if total > CACHE_BYTES:
            path.unlink(missing_ok=True)
