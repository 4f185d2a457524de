"""What the text in a cell of a table is: a number, a missing value, a date, a truth value or words."""

import math
import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

MISSING = frozenset(
    ("", ".", "-", "--", "?", "na", "n/a", "#n/a", "nan", "<na>", "null", "#null!", "none", "missing")
)
TRUTH = frozenset(("true", "false", "t", "f", "yes", "no", "y", "n"))
DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*|\d{4}[-/:. ]?[qmw]?\d{1,2}|\d{1,2}:\d\d.*"
    r"|(\d{1,2}[- ])?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-., ]*\d.*",
    re.IGNORECASE,
)
# 1,234 or 1,234,567.8, and the same with points, unbreakable blanks or apostrophes for commas
GROUPED = re.compile(
    r"[+-]?[1-9]\d{0,2}(?P<mark>[,.\u00a0\u202f'\u2019])\d{3}(?:(?P=mark)\d{3})*(?:(?!(?P=mark))[.,]\d*)?"
)
COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?")  # 1,5 with a decimal comma
POINT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?")
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2}[,.]\d{3}")  # 1,234 is 1234 or 1.234


def is_missing(text: str) -> bool:
    """Return whether a cell says that there is no value."""
    return text.strip().lower() in MISSING


def parse_numbers(texts: Sequence[str], mark: str = ".") -> np.ndarray:
    """Return the number in each cell, float64 [N]; NaN where there is no finite one.

    Args:
        texts: The cells.
        mark: The decimal mark, ``.`` or ``,``; the other one separates thousands.
    """
    try:
        if mark == "," or "_" in "".join(texts):  # Python reads 1_000 as a number
            raise ValueError
        values = np.fromiter(map(float, texts), np.float64, len(texts))
        values[np.isinf(values)] = math.nan
    except ValueError:
        number = {text: parse_number(text, mark) for text in set(texts)}
        values = np.array([number[text] for text in texts], dtype=np.float64)
    return values


def parse_number(text: str, mark: str = ".") -> float:
    """Return the number in a cell, its thousands in groups of three or not grouped; NaN when there is none."""
    if "_" in text:
        return math.nan
    text = text.strip()
    if text[:1] in ("\u2212", "\u2013"):  # the minus sign and the dash of printed tables
        text = "-" + text[1:]
    if match := GROUPED.fullmatch(text):
        if match["mark"] != mark:
            text = text.replace(match["mark"], "")
        elif text.count(mark) > 1:  # 1.234.567 is no number where the point is decimal
            return math.nan
    if mark == ",":
        if "." in text:
            return math.nan
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def is_number(text: str, marks: str = ".,") -> bool:
    """Return whether a cell is a finite number with one of these decimal marks."""
    return any(not math.isnan(parse_number(text, mark)) for mark in marks)


def has_mostly_numbers(texts: Collection[str], marks: str = ".,") -> bool:
    """Return whether at least half of the cells that hold anything are numbers."""
    numbers = sum(is_number(text, marks) for text in texts)
    return 0 < sum(not is_missing(text) for text in texts) <= 2 * numbers


def decimal_marks(texts: Iterable[str]) -> dict[str, str]:
    """Return a cell for each decimal mark that the cells prove, and one for ``?`` that both could have written.

    ``1,5`` and ``1.234,5`` prove a comma, ``1.5`` and ``1,234,567`` a point; ``1,234`` is 1234 or 1.234.
    """
    found: dict[str, str] = {}
    for text in texts:
        if AMBIGUOUS.fullmatch(text):
            mark = "?" if "," in text else ""  # 1.234 is as usual
        elif match := GROUPED.fullmatch(text):
            rest = text.rsplit(match["mark"], 1)[1]
            other = [c for c in ".," if c in rest]
            mark = other[0] if other else {",": ".", ".": ","}.get(match["mark"], "")
        else:
            mark = "." if POINT.fullmatch(text) else "," if COMMA.fullmatch(text) else ""
        if mark:
            found.setdefault(mark, text)
    return found


def describe_cells(texts: Sequence[str]) -> str:
    """Return what the cells of a column without numbers are: ``nothing``, ``dates``, ``true or false`` or ``words``."""
    words = {text.lower() for text in texts if not is_missing(text)}
    if not words:
        return "nothing"
    if words <= TRUTH:
        return "true or false"
    return "dates" if 2 * sum(bool(DATE.fullmatch(word)) for word in words) > len(words) else "words"
