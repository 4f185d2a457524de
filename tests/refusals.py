"""What the error of a refused attack looks like: one line, short and printable."""

import re

MAX_LINE = 500  # letters of an error


def check_refusal(got: int, out: str, err: str, code: int, words: tuple[str, ...]) -> str:
    """Return the one error line of a command that ended as it must: ``where: what; remedy``, short and printable."""
    lines = [line for line in err.splitlines() if line.startswith("gantrain: error: ")]
    assert got == code, (got, out, err)
    assert len(lines) == 1, err
    assert "Traceback" not in out + err
    assert len(lines[0]) <= MAX_LINE, len(lines[0])
    assert re.fullmatch(r".*\S; \S.+", lines[0]), lines[0]
    assert_printable(out + err)
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]


def assert_printable(text: str) -> None:
    """No character that a terminal obeys: of the controls only the line feed and the tab."""
    found = re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert not found, found
