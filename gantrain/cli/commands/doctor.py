"""``gantrain doctor``."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import gantrain
from gantrain.core.files import cache_dir
from gantrain.core.system import processor_name, usable_cores
from gantrain.errors import ConfigError

OK, WARN, FAIL, NOTE = "ok", "warn", "FAIL", "-"
ASKED = ("gantrain", "hydra-core", "torchvision")  # whose demands on others are looked at
EXTRAS = ("sweeps", "onnx", "parquet")
GIB = 2**30
BUSY = 0.2  # seconds for which each speed is measured
WORTH = 1.2  # how many times as fast bfloat16 must be to be advised


@dataclass(frozen=True)
class Finding:
    """One line: whether it is well, what was looked at, what was found, and after a semicolon what to do."""

    mark: str
    name: str
    text: str


def doctor(argv: list[str]) -> int:
    """Print versions, devices, speeds, threads and disk; return 1 when something makes training impossible."""
    if argv:
        raise ConfigError("doctor", f"takes no words, got {' '.join(argv)}", "gantrain doctor")
    failed = False
    for look in (versions, extras, processor, devices, disk, limits):
        for finding in look():
            failed = failed or finding.mark == FAIL
            print(f"{finding.mark:4}  {finding.name:14} {finding.text}", flush=True)
    print("training is impossible until the lines marked FAIL are mended" if failed else "ready to train")
    return int(failed)


def versions() -> Iterator[Finding]:
    """Look at the version of each library that gantrain needs, and at what they demand of each other."""
    yield Finding(OK, "python", f"{platform.python_version()}, {platform.platform()}")
    yield Finding(OK, "gantrain", f"{gantrain.__version__} in {Path(gantrain.__file__).parent}")
    demands: dict[str, list[tuple[str, Requirement]]] = {}
    for asker in ASKED:
        for demand in _demands(asker):
            demands.setdefault(demand.name, []).append((asker, demand))
    for name, asked in demands.items():
        if any(asker == "gantrain" for asker, _ in asked):
            yield judged(name, _version(name), asked)


def judged(name: str, version: str | None, asked: list[tuple[str, Requirement]]) -> Finding:
    """Say whether a library's version, None for an absent one, is one that each asker wants."""
    if version is None:
        wanted = " ".join(f"'{demand.name}{demand.specifier}'" for _, demand in asked[:1])
        return Finding(FAIL, name, f"is not installed; pip install {wanted}")
    broken = [pair for pair in asked if not pair[1].specifier.contains(version, prereleases=True)]
    if broken:
        asker, demand = broken[0]
        want = f"{demand.name}{demand.specifier}"
        return Finding(WARN, name, f"{version}, and {asker} wants {want}; pip install '{want}'")
    return Finding(OK, name, version)


def _demands(name: str, extra: str = "") -> list[Requirement]:
    """Return what an installed library demands here, or what one of its extras adds to that."""
    try:
        found = [Requirement(line) for line in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        return []
    base = [demand for demand in found if demand.marker is None or demand.marker.evaluate({"extra": ""})]
    if not extra:
        return base
    return [
        demand
        for demand in found
        if demand not in base and demand.marker and demand.marker.evaluate({"extra": extra})
    ]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def extras() -> Iterator[Finding]:
    """Look at what is optional."""
    for extra in EXTRAS:
        names = [demand.name for demand in _demands("gantrain", extra)]
        absent = [name for name in names if _version(name) is None]
        here = ", ".join(f"{name} {_version(name)}" for name in names if name not in absent)
        if absent:
            text = f"without {', '.join(absent)}; pip install 'gantrain[{extra}]'"
            yield Finding(NOTE, extra, text)
        elif names:
            yield Finding(OK, extra, here)


def processor() -> Iterator[Finding]:
    """Look at cores, the share of them that this process may use, and the threads that torch takes."""
    cores, usable = os.cpu_count() or 1, usable_cores()
    share = "" if usable >= cores else f", of which this process may use {usable:g}"
    yield Finding(OK, "processor", f"{processor_name()}, {cores} cores{share}")
    try:
        import torch
    except (ImportError, OSError) as error:
        what = " ".join(str(error).split())
        yield Finding(FAIL, "torch", f"cannot be imported ({what}); install it again: https://pytorch.org")
        return
    yield judged_threads(torch.get_num_threads(), usable, os.environ.get("OMP_NUM_THREADS"))


def judged_threads(threads: int, usable: float, asked: str | None) -> Finding:
    """Say whether torch's threads fit the cores that may be used; ``asked`` is OMP_NUM_THREADS."""
    whole = max(1, int(usable))
    said = f"{threads} of torch, OMP_NUM_THREADS {asked or 'not set'}"
    if threads > whole:
        return Finding(
            WARN,
            "threads",
            f"{said}: more than there are cores, so they wait for each other; device.threads={whole}",
        )
    if threads < whole:
        return Finding(
            NOTE, "threads", f"{said}: {whole - threads} of {whole} cores stay idle; device.threads={whole}"
        )
    return Finding(OK, "threads", said)


def devices() -> Iterator[Finding]:
    """Look at each device, and measure which precision is fast on it."""
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
        yield speed(place)


def speed(place: str) -> Finding:
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
    told = "; ".join(
        f"{precision} {conv:.3g} GFLOP/s in convolutions, {product:.3g} in products"
        for precision, (conv, product) in found.items()
    )
    return Finding(OK, f"on {place}", f"{told}; device.precision={advised(found)}")


def advised(found: dict[str, tuple[float, float]]) -> str:
    """Return the precision to use: float32, unless the other is clearly faster in convolutions and no slower else."""
    plain, half = found["float32"], found["bfloat16"]
    return "bfloat16" if half[0] > WORTH * plain[0] and half[1] > plain[1] else "float32"


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
        while time.perf_counter() - began < BUSY:
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


def disk() -> Iterator[Finding]:
    """Look at the places that runs and data are written to."""
    yield writable("outputs", Path("outputs").absolute(), FAIL, "train elsewhere, or set run.root")
    yield writable("cache", cache_dir(), WARN, "set XDG_CACHE_HOME to a folder of yours")


def writable(name: str, folder: Path, mark: str, remedy: str) -> Finding:
    """Say whether a folder, or the one that it would be made in, can be written, and how much room it has."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"0")
    except OSError as error:
        return Finding(mark, name, f"{folder} cannot be written ({error.strerror or error}); {remedy}")
    free = shutil.disk_usage(there).free / GIB
    text = f"{folder}, {free:.1f} GiB free"
    return Finding(OK, name, text) if free > 1 else Finding(WARN, name, f"{text}; free some space")


def limits() -> Iterator[Finding]:
    """Look at memory and at how many files may be open at once."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
        yield Finding(
            OK if total > 2 else WARN, "memory", f"{total:.1f} GiB{'' if total > 2 else '; lower metric.n'}"
        )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = files == resource.RLIM_INFINITY or files >= 256
    shown = "any number" if files == resource.RLIM_INFINITY else f"{files:,}"
    text = f"{shown} may be open at once"
    yield Finding(OK, "files", text) if many else Finding(WARN, "files", f"{text}; ulimit -n 1024")
