"""What an attack must not do: run code, write outside the place that was named, or print more than one clean line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from malformed import contents
from refusals import check_refusal


@pytest.fixture
def canary(tmp_path_factory) -> Iterator[Path]:
    """A path outside the working folder that an attack's payload writes; the test fails where it then exists."""
    path = tmp_path_factory.mktemp("outside") / "canary"
    yield path
    assert not path.exists(), f"the payload ran: {path.read_bytes()[:200]!r}"


@pytest.fixture
def victim(canary) -> Iterator[Path]:
    """A folder of somebody's files next to the canary, which no attack may change, remove or add to."""
    folder = canary.parent / "victim"
    folder.mkdir()
    (folder / "notes.txt").write_text("precious\n")
    before = contents(folder)
    yield folder
    assert contents(folder) == before


@pytest.fixture
def refuse(run_cli, canary, victim) -> Callable[..., str]:
    """Return ``refuse(*argv, code, words=()) -> line``: the command in this process must end with one clean error line.

    The canary is absent and the victim's folder unchanged at the end of the test.
    """

    def run(*argv: object, code: int, words: tuple[str, ...] = ()) -> str:
        got, out, err = run_cli(*argv)
        return check_refusal(got, out, err, code, words)

    return run
