"""Tables of text: aligned for a terminal, or markdown for the README."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """A title, a head, rows of text, and what to know when reading it."""

    title: str
    head: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""

    def text(self, is_markdown: bool = False) -> str:
        """Return the table as text."""
        widths = [max(len(str(row[i])) for row in (self.head, *self.rows)) for i in range(len(self.head))]
        between, edge = (" | ", "| ") if is_markdown else ("  ", "")
        lines = [
            edge
            + between.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            + edge[::-1]
            for row in (self.head, *self.rows)
        ]
        lines.insert(1, edge + between.join("-" * width for width in widths) + edge[::-1])
        title = f"### {self.title}" if is_markdown else self.title
        blocks = [title, "\n".join(line.rstrip() for line in lines), self.note]
        return "\n\n".join(filter(None, blocks)) if is_markdown else "\n".join(filter(None, blocks))
