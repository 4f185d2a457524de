"""``gantrain docs [PAGE]``."""

import re
from pathlib import Path
from typing import NamedTuple

from gantrain.cli.command import Command
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError, GantrainError

ROW = re.compile(r"^\| (.+?) \| (.+) \|$", re.M)  # of the index: what a reader wants, and links to pages
LINK = re.compile(r"\]\(((?:\.\./)?([\w.-]+)\.md)\)")


class Page(NamedTuple):
    """A page of the documentation: its file, and what a reader finds there."""

    path: Path
    topic: str


def docs(argv: list[str]) -> int:
    """Print where the pages are and what each is for, or one page as Markdown. Raises ConfigError."""
    if len(argv) > 1:
        raise ConfigError("docs", f"takes one page, got {' '.join(argv)}", "gantrain docs first-run")
    index, known = index_file(), pages()
    if index is None:
        raise GantrainError("docs", "gantrain's own pages are missing", "install gantrain again")
    if not argv:
        width = max(map(len, known))
        lines = [f"  {name:{width}}  {page.topic}" for name, page in known.items()]
        print(f"the pages are in {index.parent}; gantrain docs PAGE prints one", *lines, sep="\n")
        return 0
    name = argv[0].removesuffix(".md")
    if name not in known:
        raise ConfigError("docs", f"there is no page {name!r}", suggest(name, known))
    print(known[name].path.read_text(encoding="utf-8"), end="")
    return 0


def index_file() -> Path | None:
    """Return the page that lists the others: inside the package in a wheel, next to it in a checkout."""
    here = Path(__file__).resolve().parents[2]
    candidates = (folder / "docs" / "README.md" for folder in (here, here.parent))
    return next((path for path in candidates if path.is_file()), None)


def pages() -> dict[str, Page]:
    """Return the pages by name, in the order of the index."""
    index = index_file()
    if index is None:
        return {}
    rows = ROW.findall(index.read_text(encoding="utf-8"))
    links = [(topic, *link) for topic, cell in rows for link in LINK.findall(cell)]
    return {name: Page(index.parent / target, topic) for topic, target, name in links}


COMMAND = Command(
    docs,
    usage=(("[PAGE]", "the pages of the documentation, or one of them as text"),),
    order=95,
    arguments=tuple(pages()),
    prints=True,
)
