"""What a run took from a folder of images, and what it left out, in one line."""

from collections.abc import Sequence

from torch import Tensor

from gantrain.core.text import count
from gantrain.datasets.files.image_classes import branches, join_names
from gantrain.datasets.files.image_paths import Listing, top_folder


def summarise(listing: Listing, classes: Sequence[str], y: Tensor | None, taken: int) -> str:
    """Return the number of images, the classes with theirs, and what was left out and why.

    Args:
        listing: What lies in the folder.
        classes: The class folders; none for images without classes.
        y: The class of each image that could be read, [N], or its attributes, [N, K]; None without either.
        taken: Their number.
    """
    parts = [count(taken, "image")]
    if classes and y is not None:
        counts = y.bincount(minlength=len(classes)).tolist()
        each = [f"{name} {number:,}" for name, number in zip(classes, counts, strict=True)]
        parts.append(f"{len(classes)} classes ({join_names(each)})")
    elif y is not None:
        parts.append(f"{count(y.shape[1], 'attribute')} each")
    else:
        parts.append("no classes")
        parent, folders, _ = branches(listing)
        if parent and len(folders) > 1:
            parts[-1] += f" ({len(folders):,} with dataset.root=.../{parent})"
    return ", ".join(parts) + describe_omissions(listing, taken)


def describe_omissions(listing: Listing, taken: int) -> str:
    """Return what a folder holds besides the ``taken`` images that were taken, and why, as the end of a line."""
    parts = []
    if unreadable := len(listing.files) - taken:
        parts.append(f"{unreadable:,} that cannot be read")
    if listing.repeats:
        parts.append(f"{listing.repeats:,} repeated by links")
    parts += [f"{number:,} {kind}" for kind, number in listing.refused.items()]
    others = [f"{number:,} {suffix or 'without suffix'}" for suffix, number in listing.others.most_common()]
    if others:
        parts.append(join_names(others))
    if listing.outputs:
        parts.append(f"runs and sweeps ({join_names(listing.outputs)})")
    known = {top_folder(name) for name in (*(file.name for file in listing.files), *listing.outputs)}
    if empty := [name for name in listing.folders if name not in known]:
        parts.append(f"folder{'s' * (len(empty) != 1)} without an image ({join_names(empty)})")
    return f"; left out: {', '.join(parts)}" if parts else ""
