"""The devices of this machine, and how fast each is in both precisions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

from gantrain.cli.checks import GIB, NOTE, OK, WARN, Finding

SECONDS = 0.2  # for which each speed is measured
MIN_SPEEDUP = 1.2  # of bfloat16 over float32, to recommend it


def devices() -> Iterator[Finding]:
    """Check each device, and measure which precision is fast on it."""
    try:
        import torch
    except (ImportError, OSError):
        return
    places = ["cpu"]
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(i)
            memory = f"{card.total_memory / GIB:.1f} GiB, compute capability {card.major}.{card.minor}"
            yield Finding(OK, f"cuda:{i}", f"{card.name}, {memory}; gantrain device=cuda device.index={i}")
            places.append(f"cuda:{i}")
    elif shutil.which("nvidia-smi"):
        text = f"torch {torch.__version__} sees no GPU; see nvidia-smi, and install the torch of your driver's CUDA"
        yield Finding(WARN, "cuda", text)
    else:
        yield Finding(NOTE, "cuda", "none on this machine")
    if torch.backends.mps.is_available():
        yield Finding(OK, "mps", "the GPU of this computer; gantrain device=mps")
        places.append("mps")
    for place in places:
        yield check_speed(place)


def check_speed(place: str) -> Finding:
    """Measure a device in both precisions, as a run would use them."""
    import torch

    try:
        found = {precision: _gflops(place, precision) for precision in ("float32", "bfloat16")}
    except (RuntimeError, NotImplementedError) as error:
        what = " ".join(str(error).split())[:100]
        return Finding(
            WARN,
            f"on {place}",
            f"could not be measured ({what}); try gantrain debug=tiny device={torch.device(place).type}",
        )
    text = "; ".join(
        f"{precision} {conv:.3g} GFLOP/s in convolutions, {product:.3g} in products"
        for precision, (conv, product) in found.items()
    )
    return Finding(OK, f"on {place}", f"{text}; device.precision={best_precision(found)}")


def best_precision(found: dict[str, tuple[float, float]]) -> str:
    """Return bfloat16 where it is clearly faster in convolutions and no slower in products, else float32."""
    plain, half = found["float32"], found["bfloat16"]
    return "bfloat16" if half[0] > MIN_SPEEDUP * plain[0] and half[1] > plain[1] else "float32"


def _gflops(place: str, precision: str) -> tuple[float, float]:
    """Return billions of operations a second in a convolution and in a matrix product."""
    import torch

    kind = torch.device(place).type
    # A processor without bfloat16 needs a second for what a GPU does in no time at all.
    images, side, calls = (4, 256, 1) if kind == "cpu" else (64, 2048, 8)
    image, kernel = torch.randn(images, 32, 16, 16, device=place), torch.randn(64, 32, 3, 3, device=place)
    square = torch.randn(side, side, device=place)

    def rate(work: Callable[[], object]) -> float:
        work()  # the first call chooses its kernel
        wait()
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            for _ in range(calls):
                work()
            wait()
            done += calls
        return done / (time.perf_counter() - began)

    def wait() -> None:
        if kind != "cpu":
            getattr(torch, kind).synchronize(*[place] * (kind == "cuda"))  # MPS is one device

    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
        conv = rate(lambda: torch.nn.functional.conv2d(image, kernel, padding=1))
        product = rate(lambda: square @ square)
    return conv * 2 * images * 64 * 32 * 9 * 16 * 16 / 1e9, product * 2 * side**3 / 1e9
