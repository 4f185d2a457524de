"""The checks of ``gantrain doctor``: libraries, processor, devices and their speeds, disk, limits."""

import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

import gantrain
from gantrain.core.files import cache_home
from gantrain.core.system import physical_memory, processor_name, usable_cores
from gantrain.core.text import count
from gantrain.core.weights_place import download_folder, find_weights, weights_of_features

OK, WARN, FAIL, NOTE = "ok", "warn", "FAIL", "-"
PACKAGES = ("gantrain", "hydra-core", "torchvision")  # whose requirements are checked
EXTRAS = ("sweeps", "onnx", "parquet", "features")
GIB = 2**30
SECONDS = 0.2  # for which each speed is measured
MIN_SPEEDUP = 1.2  # of bfloat16 over float32, to recommend it


class Finding(NamedTuple):
    """A line of the page: a mark, what was checked, and the result, with the remedy after a semicolon."""

    mark: str
    name: str
    text: str


def versions() -> Iterator[Finding]:
    """Check the version of each library that gantrain requires, and what these require of each other."""
    yield Finding(OK, "python", f"{platform.python_version()}, {platform.platform()}")
    yield Finding(OK, "gantrain", f"{gantrain.__version__} in {Path(gantrain.__file__).parent}")
    requirements: dict[str, list[tuple[str, Requirement]]] = defaultdict(list)
    for package in PACKAGES:
        for requirement in requirements_of(package):
            requirements[requirement.name].append((package, requirement))
    for name, pairs in requirements.items():
        if pairs[0][0] == "gantrain":  # the first of PACKAGES: what only the others need is their affair
            yield check_version(name, _version(name), pairs)


def check_version(name: str, version: str | None, requirements: list[tuple[str, Requirement]]) -> Finding:
    """Check a library's version, None for an absent one, against what each package requires of it."""
    for package, requirement in requirements:
        required = f"{requirement.name}{requirement.specifier}"
        if version is None:
            return Finding(FAIL, name, f"is not installed; pip install '{required}'")
        if not requirement.specifier.contains(version, prereleases=True):
            what = f"{version}, and {package} requires {required}"
            return Finding(WARN, name, f"{what}; pip install '{required}'")
    return Finding(OK, name, str(version))


def requirements_of(name: str, extra: str = "") -> list[Requirement]:
    """Return what an installed library requires on this machine, or what one of its extras adds to that."""
    try:
        requirements = [Requirement(line) for line in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        return []

    def applies(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})

    base = [requirement for requirement in requirements if applies(requirement, "")]
    return [r for r in requirements if r not in base and applies(r, extra)] if extra else base


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def extras() -> Iterator[Finding]:
    """Check the optional libraries."""
    for extra in EXTRAS:
        installed = {one.name: _version(one.name) for one in requirements_of("gantrain", extra)}
        absent = [name for name, version in installed.items() if version is None]
        if absent:
            yield Finding(NOTE, extra, f"without {', '.join(absent)}; pip install 'gantrain[{extra}]'")
        elif installed:  # an older gantrain, installed elsewhere, may have another list of extras
            yield Finding(OK, extra, ", ".join(f"{name} {version}" for name, version in installed.items()))


def weights() -> Iterator[Finding]:
    """Check which networks that others trained have their weights here, for ``features``."""
    for name, file in weights_of_features().items():
        path = find_weights(file)
        absent = f"no {file} in {download_folder()}; gantrain features={name} says where to get it"
        yield Finding(NOTE, "weights", absent) if path is None else Finding(OK, "weights", f"{name}: {path}")


def processor() -> Iterator[Finding]:
    """Check the cores, how many of them this process may use, and the threads of torch."""
    cores, usable = os.cpu_count() or 1, usable_cores()
    share = "" if usable >= cores else f", of which this process may use {usable}"
    yield Finding(OK, "processor", f"{processor_name()}, {cores} cores{share}")
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of CUDA is missing
        what = " ".join(str(error).split())
        yield Finding(FAIL, "torch", f"cannot be imported ({what}); install it again: https://pytorch.org")
        return
    yield check_threads(torch.get_num_threads(), usable, os.environ.get("OMP_NUM_THREADS"))


def check_threads(threads: int, usable: int, omp_threads: str | None) -> Finding:
    """Check that torch may have a thread for each core that this process may use, and no more."""
    mark, advice = OK, ""
    if threads > usable:
        mark, advice = (
            WARN,
            f": more than the {count(usable, 'core')} it may use; export OMP_NUM_THREADS={usable}",
        )
    elif threads < usable:
        mark, advice = (
            NOTE,
            f": {usable - threads} of {usable} cores stay idle; export OMP_NUM_THREADS={usable}",
        )
    text = f"at most {threads}, OMP_NUM_THREADS {omp_threads or 'not set'}{advice}"
    return Finding(mark, "threads", text)


def devices() -> Iterator[Finding]:
    """Check each device, and measure which precision is fast on it."""
    try:
        import torch
    except (ImportError, OSError):  # reported by processor()
        return
    places = ["cpu"]
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card, place = torch.cuda.get_device_properties(i), f"cuda:{i}"
        memory = f"{card.total_memory / GIB:.1f} GiB, compute capability {card.major}.{card.minor}"
        yield Finding(OK, place, f"{card.name}, {memory}; gantrain device=cuda device.index={i}")
        places.append(place)
    if len(places) == 1 and shutil.which("nvidia-smi"):
        remedy = "see nvidia-smi, and install the torch of your driver's CUDA"
        yield Finding(WARN, "cuda", f"torch {torch.__version__} sees no GPU; {remedy}")
    elif len(places) == 1:
        yield Finding(NOTE, "cuda", "none on this machine")
    if torch.backends.mps.is_available():
        yield Finding(OK, "mps", "the GPU of this computer; gantrain device=mps")
        places.append("mps")
    yield from map(check_speed, places)


def check_speed(place: str) -> Finding:
    """Measure a device in both precisions, as a run would use them."""
    import torch

    try:
        speeds = {precision: _gflops(place, precision) for precision in ("float32", "bfloat16")}
    except (
        RuntimeError,
        NotImplementedError,
    ) as error:  # a card too old for this torch, a full one, no bfloat16
        what = " ".join(str(error).split())[:100]
        remedy = f"try gantrain debug=tiny device={torch.device(place).type}"
        return Finding(WARN, f"on {place}", f"could not be measured ({what}); {remedy}")
    text = "; ".join(
        f"{precision} {conv:.3g} GFLOP/s in convolutions, {product:.3g} in products"
        for precision, (conv, product) in speeds.items()
    )
    return Finding(OK, f"on {place}", f"{text}; device.precision={best_precision(speeds)}")


def best_precision(speeds: dict[str, tuple[float, float]]) -> str:
    """Return bfloat16 where it is clearly faster in convolutions and no slower in products, else float32."""
    (conv, product), (half_conv, half_product) = speeds["float32"], speeds["bfloat16"]
    return "bfloat16" if half_conv > MIN_SPEEDUP * conv and half_product > product else "float32"


def _gflops(place: str, precision: str) -> tuple[float, float]:
    """Return billions of operations a second in a convolution and in a matrix product."""
    import torch

    kind = torch.device(place).type
    # A processor without bfloat16 needs a second for what takes a GPU microseconds.
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
            wait()  # a GPU queues its work: count only what is done
            done += calls
        return done / (time.perf_counter() - began)

    def wait() -> None:
        if kind != "cpu":
            getattr(torch, kind).synchronize(*[place] * (kind == "cuda"))  # MPS is one device

    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
        conv = rate(lambda: torch.nn.functional.conv2d(image, kernel, padding=1))
        product = rate(lambda: square @ square)
    # A multiplication and an addition for each weight at each of 16 x 16 pixels, and for each term of the product.
    return conv * 2 * images * 64 * 32 * 9 * 16 * 16 / 1e9, product * 2 * side**3 / 1e9


def disk() -> Iterator[Finding]:
    """Check the folders that runs and data are written to."""
    yield check_writable("outputs", Path("outputs").absolute(), FAIL, "train elsewhere, or set run.root")
    remedy = "set XDG_CACHE_HOME to a folder of yours"
    try:
        yield check_writable("cache", cache_home(), WARN, remedy)
    except OSError as error:
        yield Finding(WARN, "cache", f"{error.filename} cannot be written ({error.strerror}); {remedy}")


def check_writable(name: str, folder: Path, mark: str, remedy: str) -> Finding:
    """Check that a folder, or the one in which it would be made, can be written, and how much space is free."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"0")
    except OSError as error:
        return Finding(mark, name, f"{folder} cannot be written ({error.strerror or error}); {remedy}")
    free = shutil.disk_usage(existing).free / GIB
    text = f"{folder}, {free:.1f} GiB free"
    return Finding(OK, name, text) if free > 1 else Finding(WARN, name, f"{text}; free some space")


def limits() -> Iterator[Finding]:
    """Check the memory, and how many files may be open at once."""
    if (memory := physical_memory()) < sys.maxsize:
        total = memory / GIB
        mark, advice = (OK, "") if total > 2 else (WARN, "; lower metric.n")
        yield Finding(mark, "memory", f"{total:.1f} GiB{advice}")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY
    mark, advice = (OK, "") if unlimited or files >= 256 else (WARN, "; ulimit -n 1024")
    yield Finding(mark, "files", f"{'any number' if unlimited else f'{files:,}'} may be open at once{advice}")
