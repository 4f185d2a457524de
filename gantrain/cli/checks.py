"""The checks of ``gantrain doctor`` on libraries, processor, disk and limits."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import gantrain
from gantrain.core.files import cache_dir
from gantrain.core.system import processor_name, usable_cores

OK, WARN, FAIL, NOTE = "ok", "warn", "FAIL", "-"
PACKAGES = ("gantrain", "hydra-core", "torchvision")  # whose requirements are checked
EXTRAS = ("sweeps", "onnx", "parquet")
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """A line of the page: a mark, what was checked, and what was found, with the remedy after a semicolon."""

    mark: str
    name: str
    text: str


def versions() -> Iterator[Finding]:
    """Check the version of each library that gantrain requires, and what these require of each other."""
    yield Finding(OK, "python", f"{platform.python_version()}, {platform.platform()}")
    yield Finding(OK, "gantrain", f"{gantrain.__version__} in {Path(gantrain.__file__).parent}")
    requirements: dict[str, list[tuple[str, Requirement]]] = {}
    for package in PACKAGES:
        for requirement in requirements_of(package):
            requirements.setdefault(requirement.name, []).append((package, requirement))
    for name, known in requirements.items():
        if any(package == "gantrain" for package, _ in known):
            yield check_version(name, _version(name), known)


def check_version(name: str, version: str | None, requirements: list[tuple[str, Requirement]]) -> Finding:
    """Check a library's version, None for an absent one, against what each package requires of it."""
    if version is None:
        required = " ".join(
            f"'{requirement.name}{requirement.specifier}'" for _, requirement in requirements[:1]
        )
        return Finding(FAIL, name, f"is not installed; pip install {required}")
    broken = [pair for pair in requirements if not pair[1].specifier.contains(version, prereleases=True)]
    if broken:
        package, requirement = broken[0]
        required = f"{requirement.name}{requirement.specifier}"
        return Finding(WARN, name, f"{version}, and {package} requires {required}; pip install '{required}'")
    return Finding(OK, name, version)


def requirements_of(name: str, extra: str = "") -> list[Requirement]:
    """Return what an installed library requires here, or what one of its extras adds to that."""
    try:
        found = [Requirement(line) for line in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        return []

    def holds(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})

    base = [requirement for requirement in found if holds(requirement, "")]
    added = [requirement for requirement in found if requirement not in base and holds(requirement, extra)]
    return added if extra else base


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def extras() -> Iterator[Finding]:
    """Check the optional libraries."""
    for extra in EXTRAS:
        names = [requirement.name for requirement in requirements_of("gantrain", extra)]
        absent = [name for name in names if _version(name) is None]
        here = ", ".join(f"{name} {_version(name)}" for name in names if name not in absent)
        if absent:
            text = f"without {', '.join(absent)}; pip install 'gantrain[{extra}]'"
            yield Finding(NOTE, extra, text)
        elif names:
            yield Finding(OK, extra, here)


def processor() -> Iterator[Finding]:
    """Check the cores, how many of them this process may use, and the threads of torch."""
    cores, usable = os.cpu_count() or 1, usable_cores()
    share = "" if usable >= cores else f", of which this process may use {usable}"
    yield Finding(OK, "processor", f"{processor_name()}, {cores} cores{share}")
    try:
        import torch
    except (ImportError, OSError) as error:
        what = " ".join(str(error).split())
        yield Finding(FAIL, "torch", f"cannot be imported ({what}); install it again: https://pytorch.org")
        return
    yield check_threads(torch.get_num_threads(), usable, os.environ.get("OMP_NUM_THREADS"))


def check_threads(threads: int, usable: int, omp_threads: str | None) -> Finding:
    """Check that torch has a thread for each core that this process may use."""
    text = f"{threads} of torch, OMP_NUM_THREADS {omp_threads or 'not set'}"
    if threads > usable:
        return Finding(
            WARN,
            "threads",
            f"{text}: more than there are cores, so they wait for each other; device.threads={usable}",
        )
    if threads < usable:
        return Finding(
            NOTE,
            "threads",
            f"{text}: {usable - threads} of {usable} cores stay idle; device.threads={usable}",
        )
    return Finding(OK, "threads", text)


def disk() -> Iterator[Finding]:
    """Check the folders that runs and data are written to."""
    yield check_writable("outputs", Path("outputs").absolute(), FAIL, "train elsewhere, or set run.root")
    yield check_writable("cache", cache_dir(), WARN, "set XDG_CACHE_HOME to a folder of yours")


def check_writable(name: str, folder: Path, mark: str, remedy: str) -> Finding:
    """Check that a folder, or the one that it would be made in, can be written, and how much space is free."""
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
    """Check the memory, and how many files may be open at once."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
        yield Finding(
            OK if total > 2 else WARN, "memory", f"{total:.1f} GiB{'' if total > 2 else '; lower metric.n'}"
        )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = files == resource.RLIM_INFINITY or files >= 256
    count = "any number" if files == resource.RLIM_INFINITY else f"{files:,}"
    text = f"{count} may be open at once"
    yield Finding(OK, "files", text) if enough else Finding(WARN, "files", f"{text}; ulimit -n 1024")
