"""How much of a large image is looked at: its averages over areas, so that cost and memory have a bound."""

from gantrain.core.spec import Spec

SIDE = 32  # pixels to which larger images are averaged


def size_of_view(spec: Spec) -> tuple[int, int]:
    """Return the height and width to which images are averaged, both at most 32; those of smaller ones."""
    return min(spec.shape[1], SIDE), min(spec.shape[2], SIDE)


def is_averaged(spec: Spec) -> bool:
    """Return whether samples are images larger than what is looked at."""
    return spec.is_image and size_of_view(spec) != spec.shape[1:]


def describe_view(spec: Spec) -> str:
    """Return what becomes of a sample before the first layer, as a protocol states it."""
    return f"averaged over areas to {'x'.join(map(str, size_of_view(spec)))}" if is_averaged(spec) else "none"
