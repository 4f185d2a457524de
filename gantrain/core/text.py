"""Numbers, times, sizes and tables as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def escape_controls(text: str, kept: str = "") -> str:
    """Return a text whose control characters, but for those ``kept``, neither break a line nor colour a terminal."""
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in text)


def format_number(value: float, places: int = 3) -> str:
    """Return a number with so many decimals, or in powers of ten where it is so small that none would be left."""
    return f"{value:.{places}e}" if 0 < abs(value) < 0.5 * 10**-places else f"{value:.{places}f}"


def format_with_error(value: float, error: float | None) -> str:
    """Return a number beside its standard error or deviation, where it has one, with as many decimals."""
    if error is None:
        return format_number(value)
    shown = format_number(max(abs(value), error))
    places = ".3e" if "e" in shown else ".3f"
    return f"{value:{places}} ± {error:{places}}"


def format_duration(seconds: float) -> str:
    """Return a time in words, with two digits or a little more."""
    if seconds < 0.95:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_size(count: float) -> str:
    """Return bytes as B, kB, MB, GB or TB, with three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def align_columns(lines: Sequence[Sequence[str]]) -> str:
    """Return a table of cells as text, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)
