"""The cache folder is the user's own, wherever there is one, and never one that somebody else made."""

import os
import tempfile
from pathlib import Path

import pytest

from gantrain.core.files import cache_home


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """A folder with the places that a cache may have: ``xdg``, ``home`` and ``tmp``."""
    for name in ("xdg", "home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


def block(place: Path) -> None:
    """Put a file where a folder would be made; root may write anywhere."""
    place.rmdir()
    place.write_text("")


def test_cache_home_falls_back_from_place_to_place(places, monkeypatch):
    assert cache_home() == places / "xdg" / "gantrain"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # would be in the working folder
    assert cache_home() == places / "home" / ".cache" / "gantrain"
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "xdg"))
    (places / "xdg" / "gantrain").rmdir()
    block(places / "xdg")
    assert cache_home() == places / "home" / ".cache" / "gantrain"
    (places / "home" / ".cache" / "gantrain").rmdir()
    block(places / "home" / ".cache")
    last = places / "tmp" / f"gantrain-{os.getuid()}"
    assert cache_home() == cache_home() == last
    assert last.stat().st_mode & 0o777 == 0o700
    last.rmdir()
    block(places / "tmp")
    with pytest.raises(NotADirectoryError):
        cache_home()


def test_cache_home_without_a_home_is_in_the_temporary_folder(places, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user unknown to the system
    assert cache_home() == places / "tmp" / f"gantrain-{os.getuid()}"


@pytest.mark.parametrize("trap", ["link", "open", "foreign", "file"])
def test_cache_home_refuses_what_another_user_may_have_made(places, monkeypatch, trap):
    for name in ("xdg", "home"):
        block(places / name)
    theirs = places / "tmp" / f"gantrain-{os.getuid()}"
    if trap == "link":
        (places / "victim").mkdir(mode=0o700)
        theirs.symlink_to(places / "victim")
    elif trap == "file":
        theirs.write_text("")
    else:
        theirs.mkdir(mode=0o700)
        theirs.chmod(0o777 if trap == "open" else 0o700)
        if trap == "foreign":
            uid = os.getuid()
            monkeypatch.setattr(os, "getuid", lambda: uid + 1)
            theirs.rename(places / "tmp" / f"gantrain-{uid + 1}")
    with pytest.raises(PermissionError, match="someone else"):
        cache_home()
