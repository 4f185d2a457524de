"""Pieces of a page: sections, tables, lists, a picture with a slider through its steps; every word is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape


def section(title: str, content: str) -> str:
    """Return a part of the page under its heading, if it has one; nothing for no content."""
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f"<section>{heading}{content}</section>" if content else ""


def details(title: str, content: str) -> str:
    """Return a part of the page that opens when asked; nothing for no content."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>" if content else ""


def html_table(lines: Sequence[Sequence[str]], sortable: bool = False, foot: Sequence[str] = ()) -> str:
    """Return a table with a head, whose columns sort when their names are clicked, and a last line that stays.

    A cell of two lines has the second in small type.
    """
    name = '<button type="button">{}</button>' if sortable else "{}"
    head = "".join(f'<th scope="col">{name.format(_head(cell))}</th>' for cell in lines[0])
    body = "".join("<tr>" + "".join(_cell(cell) for cell in line) + "</tr>" for line in lines[1:])
    last = "<tfoot><tr>" + "".join(_cell(cell) for cell in foot) + "</tr></tfoot>" if any(foot) else ""
    kind = ' class="sortable"' if sortable else ""
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{last}</table></div>'


def _head(text: str) -> str:
    return escape(text).replace("/", "/<wbr>").replace(".", ".<wbr>")


def _cell(text: str) -> str:
    kind = ' class="number"' if re.match(r"-?\d", text) else ' class="bad"' if _is_fault(text) else ""
    first, _, small = text.partition("\n")
    return f"<td{kind}>{escape(first)}{f'<small>{escape(small)}</small>' if small else ''}</td>"


def _is_fault(text: str) -> bool:
    return text.startswith(("failed", "diverged", "killed", "missing", "unreadable", "interrupted"))


def listed(lines: Sequence[str]) -> str:
    """Return lines as a list, without those that are empty."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines if line)
    return f"<ul>{items}</ul>" if items else ""


def player(what: str, shots: Sequence[tuple[int, str]]) -> str:
    """Return a picture with a slider through its steps; nothing without a picture."""
    if not shots:
        return ""
    step, last = shots[-1]
    image = f'<img src="{last}" alt="{escape(what)} at step {step:,}" data-what="{escape(what)}">'
    return section(
        "Samples over training", f'<figure class="player">{image}{slider(len(shots), step)}</figure>'
    )


def slider(count: int, step: int) -> str:
    """Return a play button, a slider over so many pictures that stands at the last, and that one's step."""
    return (
        '<figcaption><button type="button" class="play" aria-label="play">▶</button>'
        f'<input type="range" min="0" max="{count - 1}" value="{count - 1}" aria-label="training step">'
        f"<output>step {step:,}</output></figcaption>"
    )
