"""Numbers, times, sizes and tables as text for a terminal."""

import math
from collections.abc import Sequence

from gantrain.core.estimate import Z95, Estimate

MAX_LINE = 480  # letters of a message, which "gantrain: error: " precedes: 500 in all
MAX_CELL = 80  # letters of a table's cell


def escape_controls(text: str, kept: str = "") -> str:
    """Escape control characters, except those ``kept``, so that a text cannot break lines or colour a terminal."""
    if text.translate(dict.fromkeys(map(ord, kept))).isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in text)


def cut_middle(text: str, most: int) -> str:
    """Return a text of at most ``most`` letters: of a longer one its beginning and its end."""
    if len(text) <= most:
        return text
    end = (most - 3) // 2
    return f"{text[: most - 3 - end]}...{text[len(text) - end :]}"


def cut_to_fit(texts: Sequence[str], most: int) -> list[str]:
    """Return texts of at most ``most`` letters together: the longest are cut in the middle, to an equal length."""
    left, share = most, most
    for i, length in enumerate(sorted(map(len, texts))):
        share = left // (len(texts) - i)
        if length > share:
            break
        left -= length
    return [cut_middle(text, share) if len(text) > share else text for text in texts]


def one_line(text: str, most: int = MAX_LINE) -> str:
    """Return a text as one line for a terminal: control characters escaped, a long one cut in the middle."""
    # Cut before as well: a text from a file may have millions of letters.
    return cut_middle(escape_controls(cut_middle(text, most)), most)


def count(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it is not 1."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_number(value: float, places: int = 3) -> str:
    """Return a number with ``places`` decimals, in powers of ten where they would all be 0 or too many precede them."""
    is_plain = value == 0 or 0.5 * 10**-places <= abs(value) < 1e15 or not math.isfinite(value)
    return f"{value:.{places}f}" if is_plain else f"{value:.{places}e}"


def format_rough(value: float) -> str:
    """Return a number whose error is not known: its integer digits, or two that count, of at most three decimals."""
    if not math.isfinite(value) or abs(value) >= 1e15 or 0 < abs(value) < 0.5e-3:
        return f"{value:.1e}" if math.isfinite(value) else f"{value}"
    return f"{value:.{_decimals(abs(value) or 0.1, most=3)}f}"


def _decimals(value: float, most: int) -> int:
    """Return with how many decimals, at most ``most``, two digits of a positive number can be read."""
    return min(max(1 - math.floor(math.log10(value)), 0), most)


def format_with_error(value: float, error: float | None) -> str:
    """Return a number ± its error, if any, with equal decimals: those that the error's first two digits carry."""
    if error is None or not math.isfinite(error):
        return format_rough(value) + ("" if error is None else f" ± {error}")
    # The larger of the two decides for both whether powers of ten are needed.
    if 0 < (larger := max(abs(value), error)) < 1e-5 or larger >= 1e15:
        return f"{value:.3e} ± {error:.3e}"
    unit = error or abs(value)  # an error of 0 carries no digits, and a small value must not vanish
    small = 0 < unit < 0.5e-3
    places = min(-math.floor(math.log10(unit)), 6) if small else _decimals(error or 0.01, most=3)
    return f"{value:.{places}f} ± {error:.{places}f}"


def format_value(value: float, error: float | None) -> str:
    """Return a number with the decimals that its error carries, or roughly if that is not known."""
    return format_with_error(value, error).partition(" ±")[0]


def format_estimate(estimate: Estimate, unit: str = "", is_short: bool = False) -> str:
    """Return an estimate with its error and unit; "≥" before a lower bound.

    In place of an error it has an interval that is not symmetric, or the caveat; ``is_short`` leaves these out.
    """
    bound, name = "≥ " * estimate.is_lower_bound, f" {unit}" * bool(unit)
    interval = format_interval(estimate)
    if interval and not estimate.is_symmetric:
        ends = "" if is_short else f" ({interval})"
        return f"{bound}{format_value(estimate, _error_of_ends(estimate))}{name}{ends}"
    if estimate.caveat:
        why = "" if is_short else f" here: {estimate.caveat}"
        return f"{bound}{format_rough(estimate)}{name} (± not reliable{why})"
    return f"{bound}{format_with_error(estimate, estimate.error)}{name}"


def format_interval(estimate: Estimate) -> str:
    """Return the 95 % interval of an estimate as "0.11 to 0.14", "at least" or "at most" one end; "" for none."""
    error = _error_of_ends(estimate)
    low, high = (
        "" if end is None or not math.isfinite(end) else format_value(end, error)
        for end in (estimate.low, estimate.high)
    )
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def _error_of_ends(estimate: Estimate) -> float | None:
    """Return the error of which an interval's known ends are 1.96 away from the value, on average; None for none."""
    gaps = [abs(estimate - end) for end in (estimate.low, estimate.high) if end is not None]
    return sum(gaps) / (len(gaps) * Z95) if gaps else estimate.error


def format_duration(seconds: float) -> str:
    """Return a time in ms, s, min or h, with about two digits."""
    # The limits are half a unit of the last digit below 1 s, 10 s and 60 s, so that nothing rounds up to them.
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
    """Return rows of cells as text with aligned columns; a long cell is cut in the middle, in the last column later."""
    rows = [[*(one_line(cell, MAX_CELL) for cell in line[:-1]), *map(one_line, line[-1:])] for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)
