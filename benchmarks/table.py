"""Tables of text, aligned for a terminal or as markdown, and the one that sums all of them up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.clock import median, spread


@dataclass(frozen=True)
class Reading:
    """A ratio that a part has measured, and what it has to reach.

    Attributes:
        what: Such as ``ring over its lean loop``.
        values: One for each turn.
        least: What the median has to reach; None without such a bound.
        most: What it may reach.
    """

    what: str
    values: Sequence[float]
    least: float | None = None
    most: float | None = None

    def row(self) -> list[str]:
        """Return the cells of the summary."""
        middle = median(self.values)
        bounds = [
            f"{sign} {bound:g}" for sign, bound in (("≥", self.least), ("≤", self.most)) if bound is not None
        ]
        is_reached = (self.least is None or middle >= self.least) and (
            self.most is None or middle <= self.most
        )
        return [
            self.what,
            spread(self.values),
            " ".join(bounds),
            ("yes" if is_reached else "no") if bounds else "",
        ]


@dataclass
class Table:
    """A title, a head, rows of text, what to know when reading it, and the ratios that go into the summary."""

    title: str
    head: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    readings: list[Reading] = field(default_factory=list)

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


def summary(tables: Iterable[Table]) -> Table:
    """Return all ratios in one table, beside what they have to reach."""
    rows = [reading.row() for table in tables for reading in table.readings]
    return Table("All ratios of this run", ("ratio", "median (least-most)", "aim", "reached"), rows)
