"""What a person sees: TensorBoard on a sweep of six runs, in Chromium."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gantrain.core.sweep_folder import SweepFolder
from gantrain.core.tags import CEILING

pytestmark = pytest.mark.browser

OBJECTIVES, SEEDS, STEPS = ("minimax", "hinge", "least_squares"), (0, 1), 20
PICTURES = 11  # one more than TensorBoard keeps by itself
PATIENCE = 120  # seconds to wait for what a page shows, on a machine that is busy
# Every element of the page, through the shadow roots of its components, from a root that is given or the page.
DEEP = """
const found = [];
const walk = node => {
  if (node.nodeType === 1) found.push(node);
  if (node.shadowRoot) walk(node.shadowRoot);
  for (const child of node.childNodes || []) walk(child);
};
walk(document.body);
const within = (top, name) => {
  found.length = 0;
  walk(top);
  return found.filter(each => each.tagName.toLowerCase() === name);
};
const all = name => within(document.body, name);
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """The folder of six runs of twenty steps, with eleven pictures each."""
    folder = tmp_path_factory.mktemp("sweep") / "six"
    words = [
        "debug=tiny",
        "dataset=ring",
        "metric=toy",
        f"train.sample_every={STEPS // (PICTURES - 1)}",
        "device.threads=1",
    ]
    swept = [f"objective={','.join(OBJECTIVES)}", f"seed={','.join(map(str, SEEDS))}"]
    subprocess.run(
        [sys.executable, "-m", "gantrain", "-m", *words, *swept, f"run.dir={folder}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder


@pytest.fixture(scope="module")
def names(sweep) -> list[str]:
    """The names of the runs, as TensorBoard has them."""
    found = sorted(path.parent.name for path in sweep.glob("*/metrics.jsonl"))
    assert len(found) == 6
    return found


@pytest.fixture(scope="module")
def link(sweep) -> Iterator[str]:
    """What ``gantrain tensorboard`` prints, while it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gantrain", "tensorboard", str(sweep)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # its data server is a process of its own
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()  # printed once it answers
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


class Page:
    """A browser that asks its page until the answer is there."""

    def __init__(self, driver: Any, home: str):
        self.driver, self.home = driver, home

    def open(self, address: str) -> None:
        self.driver.get("about:blank")
        self.driver.get(address)

    def tab(self, name: str) -> None:
        self.open(f"{self.home}?smoothing=0#{name}&_smoothingWeight=0")

    def resize(self, width: int) -> None:
        """Show the page as a window of this width does, one of a phone below 600 pixels."""
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def click_tab(self, title: str) -> None:
        tabs = self.driver.find_elements("css selector", "[role=tab]")
        next(tab for tab in tabs if tab.text.strip() == title).click()

    def ask(self, script: str, *given: object) -> Any:
        return self.driver.execute_script(DEEP + script, *given)

    def until(self, script: str, right: Callable[[Any], bool], *given: object) -> Any:
        """Return the script's answer once it is right; the failure shows the last one."""
        from selenium.common.exceptions import JavascriptException, TimeoutException
        from selenium.webdriver.support.wait import WebDriverWait

        answers: list[Any] = []

        def asked(_: Any) -> bool:
            answers.append(self.ask(script, *given))
            return right(answers[-1])

        try:
            WebDriverWait(self.driver, PATIENCE, ignored_exceptions=[JavascriptException]).until(asked)
        except TimeoutException:
            raise AssertionError(f"{script} gave {answers[-1:]}") from None
        return answers[-1]


@pytest.fixture(scope="module")
def page(link, tmp_path_factory) -> Iterator[Page]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "Chromium is not on the path"
    assert chromedriver, "Chromium's driver is not on the path"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    switches = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    switches += " disable-component-update disable-sync disable-dev-shm-usage window-size=1500,1000"
    for switch in switches.split():
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield Page(driver, link)
    driver.quit()


def test_the_link_pins_the_cards_that_a_reader_wants_first(page, link, names):
    page.open(link)
    cards = page.until(
        """
        return [...document.querySelectorAll('metrics-pinned-view card-view')].map(card => [
          card.innerText,
          [...card.querySelectorAll('img')].map(image => image.naturalWidth),
        ])
        """,
        lambda found: len(found) == 6 and found[1][1] and found[1][1][0] > 100 and names[-1] in found[0][0],
    )
    titles = [
        "divergence/js",
        "samples/density",
        "diversity/modes",
        "fidelity/high_quality",
        "loss/d",
        "loss/g",
    ]
    for (text, _), title in zip(cards, titles, strict=True):
        assert text.replace("\n", "").startswith(title)
    assert all(name in cards[0][0] for name in names)  # the table under the curve has a line for each run
    assert page.ask("return document.querySelector('metrics-pinned-view').innerText").startswith("Pinned")


def test_hparams_has_a_row_a_run_and_the_differing_keys(page, sweep, names):
    plan = SweepFolder(sweep).plan()
    metrics = plan.tags[:5]  # as many as the page ticks
    trials = [f"{name.partition('-')[0]}-{sweep.name}" for name in names]
    page.tab("hparams")
    width = 2 + 2 + len(metrics)
    cells = page.until(
        """
        return within(all('tf-hparams-table-view')[0], 'vaadin-grid-cell-content')
          .filter(cell => cell.offsetParent).map(cell => cell.innerText.trim())
        """,
        lambda found: len(found) == width * 7 and set(trials) <= set(found),
    )
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    assert rows[0] == ["Trial ID", "Show Metrics", "objective", "seed", *metrics]
    assert [row[0] for row in sorted(rows[1:])] == trials
    for name, (_, _, objective, seed, *values) in zip(names, sorted(rows[1:]), strict=True):
        result = json.loads((sweep / name / "result.json").read_text())
        assert (objective, float(seed)) == (result["name"].removeprefix("ring-"), result["seed"])
        for tag, value in zip(metrics, values, strict=True):
            assert bool(value) == (tag in result["metrics"])
            if value:
                assert float(value) == pytest.approx(result["metrics"][tag], rel=1e-3, abs=1e-4)


def test_custom_scalars_has_the_charts_with_their_lines(page, names):
    free = ["loss/d", "loss/g", "logits/real", "logits/holdout", "logits/fake"]
    lines = dict.fromkeys([*free, "diversity/modes", "diversity/mode_kl"], 6)
    lines |= {
        "divergence/js": 18,  # the estimate, 0 and log 2
        "fidelity/high_quality": 18,  # the share, 0 and 1
        "divergence/total_variation": 14,  # of hinge, and the ends of the axis of all
        "divergence/triangular": 2,
    }
    page.tab("custom_scalars")
    charts = page.until(
        """
        return all('tf-custom-scalar-multi-line-chart-card').map(card => {
          const drawn = within(card, 'path').filter(path => path.classList.contains('line'));
          const visible = drawn.filter(path => (path.getAttribute('d') || '').includes('L'));
          return [card.title, visible.length, card.shadowRoot.textContent];
        })
        """,
        lambda found: len(found) == len(lines) and all(chart[1] for chart in found),
    )
    for title, drawn, text in charts:
        assert f"Matches ({lines[title]})" in text
        assert drawn >= lines[title]  # each is drawn, some of them twice: smooth and as it is
    text = next(text for title, _, text in charts if title == "divergence/js")
    assert all(f"{tag} ({name})" in text for tag in ("divergence/js", CEILING) for name in names)


def test_images_go_back_to_step_0(page, names):
    from selenium.webdriver.common.keys import Keys

    page.tab("images")
    shown = """
    return all('tf-image-loader').map(loader => {
      const image = within(loader, 'img')[0], slider = within(loader, 'paper-slider')[0];
      const step = /step\\s+([\\d,]+)/.exec(loader.shadowRoot.textContent);
      const picture = [image && image.src, image && image.naturalWidth];
      return [loader.run, loader.tag, slider && slider.max, step && step[1], ...picture];
    })
    """
    before = page.until(shown, lambda found: len(found) == 6 and all(loader[-1] for loader in found))
    assert [loader[:4] for loader in before] == [
        [name, "samples/density", PICTURES - 1, str(STEPS)] for name in names
    ]
    for slider in page.ask("return all('tf-image-loader').map(each => within(each, 'paper-slider')[0])"):
        slider.send_keys(Keys.HOME)
    # The step under a slider changes at once, the picture once it has come.
    pictures = {loader[4] for loader in before}
    after = page.until(
        shown,
        lambda found: all(
            step == "0" and width and picture not in pictures for *_, step, picture, width in found
        ),
    )
    assert len(pictures | {loader[4] for loader in after}) == 12


def test_text_shows_the_command_and_the_config(page, names):
    assert len(names) == 6
    page.tab("text")
    pages = page.until(
        "return all('tf-markdown-view').map(view => view.shadowRoot.textContent + view.innerText)",
        lambda found: sum("Versions" in text for text in found) == 6,
    )
    told = [text for text in pages if "Versions" in text]
    for objective, seed in itertools.product(OBJECTIVES, SEEDS):
        (text,) = [t for t in told if f"seed: {seed}\nname: ring-{objective}\n" in t]
        assert "gantrain -m debug=tiny dataset=ring" in text
        assert f"horizon: {STEPS}" in text


@pytest.mark.parametrize("width", [1366, 390])
def test_first_cards_fit_a_window_of_any_width(page, link, width):
    page.resize(width)
    page.open(link)
    cards = page.until(
        """
        return [...document.querySelectorAll('metrics-pinned-view card-view')].map(card => {
          const box = card.getBoundingClientRect(), image = card.querySelector('img');
          return [card.innerText.replaceAll('\\n', ''), box.left, box.right, box.width, image && image.naturalWidth];
        })
        """,
        lambda found: len(found) == 6 and found[1][-1] and all(card[3] for card in found),
    )
    for (text, *_), title in zip(cards, ("divergence/js", "samples/density"), strict=False):
        assert text.startswith(title)
    whole = page.ask("return document.documentElement.clientWidth")
    assert all(left >= 0 and right <= whole and wide > 180 for _, left, right, wide, _ in cards)
    assert page.ask("return window.visualViewport.width") >= whole  # nothing to scroll sideways to
    smoothing = page.ask("return document.querySelector('.scalars-smoothing input[type=number]').value")
    assert float(smoothing) == 0
    page.resize(1500)


def test_tabs_have_no_smoothing_and_no_empty_run(page, link, names):
    page.open(link)
    page.until("return document.querySelectorAll('metrics-pinned-view card-view').length", lambda n: n == 6)
    page.click_tab("CUSTOM SCALARS")
    weight = page.until("return all('tf-smoothing-input').map(each => each.weight)", bool)
    assert weight == [0]
    runs = page.until("return all('tf-runs-selector')[0].runs", bool)
    assert runs == names
