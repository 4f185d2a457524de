"""Make the pictures of docs/images anew: python docs/screenshots.py [NAME ...], all of them without a name.

It needs Chromium and its driver. Each run that a picture shows is trained once, in outputs/screenshots, and kept there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

IMAGES = Path(__file__).parent / "images"
REPORT = "train.log_every=10 'metric.names=[js,refit,prdc,modes]' metric.refit_steps=300"
# The words of each run or sweep after ``gantrain``.
RUNS = {
    "digits": "",
    "ring": "dataset=ring",
    "mnist": "dataset=mnist",
    "six": "-m dataset=ring objective=minimax,hinge,least_squares optimizer.g_lr=2e-4,1e-3"
    " 'metric.names=[js,refit,exact,modes]' metric.n=2000 metric.refit_steps=200 train.steps=600 train.log_every=20"
    " train.evaluate_every=100 train.sample_every=50",
    "ring_run": f"dataset=ring train.steps=1500 train.sample_every=25 train.evaluate_every=250 {REPORT}",
    "sweep": "-m dataset=ring objective=non_saturating,minimax,hinge seed=0,1 train.steps=800 train.sample_every=50"
    f" train.evaluate_every=200 {REPORT}",
    "likelihood": "experiment=mode_collapse objective=likelihood",
    "reverse_kl": "experiment=mode_collapse objective=fgan_reverse_kl",
    "transport": "experiment=transport_ring",
    "dirac": "experiment=dirac objective=minimax penalty=none train.update=alternating",
    "lines": "experiment=disjoint_lines objective=minimax",
    "regression": "experiment=blur objective=regression",
    "conditional": "experiment=blur objective=conditional",
    **{f: f"experiment={f}" for f in ("minimax_picture", "optimal_discriminator", "too_many_g_steps")},
    "likelihoods": "experiment=why_no_likelihood",
    **{
        a: f"dataset=mnist model.width=4 train.steps=2 augment={a} metric=leak"
        for a in ("diffaugment", "ada")
    },
}
STILL = 2  # equal screenshots in a row, a second apart, after which a page has settled
PATIENCE = 90  # seconds for a page to settle


@dataclass
class Figure:
    """Pictures that runs wrote, next to each other.

    Attributes:
        runs: One for each picture.
        pattern: Of the picture in the run's folder; the last match by name.
        gap: Pixels between two pictures.
        width: Of each picture from the left, in pixels; the whole one by default.
    """

    runs: tuple[str, ...]
    pattern: str
    gap: int = 10
    width: int | None = None

    def draw(self, folders: list[Path]) -> Image.Image:
        """Return the pictures on white."""
        whole = [Image.open(max(folder.glob(self.pattern))).convert("RGB") for folder in folders]
        parts = [image.crop((0, 0, self.width or image.width, image.height)) for image in whole]
        width = sum(part.width for part in parts) + self.gap * (len(parts) - 1)
        sheet = Image.new("RGB", (width, max(part.height for part in parts)), "white")
        left = 0
        for part in parts:
            sheet.paste(part, (left, 0))
            left += part.width + self.gap
        return sheet


@dataclass
class Board:
    """A tab of TensorBoard, as the printed address opens it.

    Attributes:
        tab: Its title.
        height: Of the window, in pixels.
    """

    tab: str
    height: int
    runs: tuple[str, ...] = ("six",)

    def draw(self, folders: list[Path]) -> Image.Image:
        """Return a screenshot of the tab."""
        with tensorboard(folders[0]) as address, chromium(1366, self.height) as driver:
            driver.get(address)
            settle(driver)
            tabs = driver.find_elements("css selector", "[role=tab]")
            next(tab for tab in tabs if tab.text.strip() == self.tab).click()
            time.sleep(STILL)
            return settle(driver)


@dataclass
class Report:
    """The page of ``gantrain report``, as high as it is, but at most some pixels."""

    run: str
    most: int

    @property
    def runs(self) -> tuple[str, ...]:
        """The run that it is of."""
        return (self.run,)

    def draw(self, folders: list[Path]) -> Image.Image:
        """Return a screenshot of the page."""
        page = folders[0].parent / f"{self.run}.html"
        subprocess.run(
            gantrain("report", str(folders[0]), f"out={page}"), check=True, stdout=subprocess.DEVNULL
        )
        with chromium(1366, self.most) as driver:
            driver.get(page.as_uri())
            height = driver.execute_script("return document.documentElement.scrollHeight")
            resize(driver, 1366, min(height, self.most))
            return settle(driver)


PICTURES: dict[str, Figure | Board | Report] = {
    "digits": Figure(("digits",), "samples/*.png"),
    "ring": Figure(("ring",), "samples/*.png"),
    "mnist": Figure(("mnist",), "samples/*.png"),
    "dashboard": Board("TIME SERIES", 1000),
    "dashboard_charts": Board("CUSTOM SCALARS", 1000),
    "dashboard_images": Board("IMAGES", 700),
    "dashboard_hparams": Board("HPARAMS", 420),
    "report": Report("ring_run", 1200),
    "report_sweep": Report("sweep", 1700),
    "sweep": Figure(("sweep",), "summary.png"),
    "sweep_samples": Figure(("sweep",), "samples.png"),
    "minimax_picture": Figure(("minimax_picture",), "figures/minimax_picture.png"),
    "optimal_discriminator": Figure(("optimal_discriminator",), "figures/optimal_discriminator.png"),
    "too_many_g_steps": Figure(("too_many_g_steps",), "figures/overshoot.png"),
    "why_no_likelihood": Figure(("likelihoods",), "figures/why_no_likelihood.png"),
    "vanishing_gradient": Figure(("lines",), "figures/gradients.png"),
    "mode_collapse": Figure(("likelihood", "reverse_kl"), "figures/densities.png", width=485),
    "transport": Figure(("transport",), "figures/transport.png"),
    "dirac": Figure(("dirac",), "figures/trajectory.png"),
    "augmentation": Figure(("diffaugment", "ada"), "figures/augmented.png"),
    "blur": Figure(("regression", "conditional"), "samples/*.png", gap=24),
}


def gantrain(*words: str) -> list[str]:
    """Return the command in this environment."""
    return [sys.executable, "-m", "gantrain", *words]


def run(name: str, root: Path) -> Path:
    """Return the folder of a run, after training it if it is not finished."""
    folder = root / name
    if not (folder / "result.json").is_file() and not (folder / "summary.csv").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"training: gantrain {RUNS[name]}", flush=True)
        subprocess.run(
            gantrain(*shlex.split(RUNS[name]), f"run.dir={folder}"), check=True, stdout=subprocess.DEVNULL
        )
    return folder


@contextlib.contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Serve the dashboard of a folder in the block, whose value is the address."""
    process = subprocess.Popen(
        gantrain("tensorboard", folder.name),
        cwd=folder.parent,  # the page shows the folder as it was typed
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # its data server is a process of its own
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@contextlib.contextmanager
def chromium(width: int, height: int) -> Iterator[Any]:
    """Open a browser without a screen, with a window of some pixels and a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        switches = (
            "headless=new no-sandbox disable-gpu no-first-run disable-background-networking hide-scrollbars"
        )
        for switch in [*switches.split(), "disable-dev-shm-usage", f"user-data-dir={profile}"]:
            options.add_argument(f"--{switch}")
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            resize(driver, width, height)
            yield driver
        finally:
            driver.quit()


def resize(driver: Any, width: int, height: int) -> None:
    """Show the page in a window of this size, which may be narrower than Chromium's windows."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def settle(driver: Any) -> Image.Image:
    """Return a screenshot of a page that no longer changes. Raises TimeoutError."""
    before, equal, end = b"", 0, time.monotonic() + PATIENCE
    while equal < STILL:
        if time.monotonic() > end:
            raise TimeoutError(f"{driver.current_url} still changes after {PATIENCE} s")
        time.sleep(1)
        now = driver.get_screenshot_as_png()
        before, equal = now, equal + 1 if now == before else 0
    return Image.open(BytesIO(before)).convert("RGB")


def main() -> None:
    """Make the pictures that are named, and say which."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}")
    parser.add_argument(
        "--runs", type=Path, default=Path("outputs/screenshots"), help="the folder of the runs"
    )
    words = parser.parse_args()
    if unknown := set(words.names) - set(PICTURES):
        parser.error(f"no picture is called {', '.join(sorted(unknown))}; choose from {', '.join(PICTURES)}")
    for name in words.names or PICTURES:
        picture = PICTURES[name]
        image = picture.draw([run(one, words.runs.absolute()) for one in picture.runs])
        path = IMAGES / f"{name}.png"
        image.save(path, optimize=True)
        print(f"{path}: {image.width} x {image.height}, of {', '.join(picture.runs)}", flush=True)


if __name__ == "__main__":
    main()
