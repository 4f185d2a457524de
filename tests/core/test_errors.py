"""Any exception becomes one user error: of the memory, the disk, the system, or this program."""

import errno
import os

import pytest
import torch

from gantrain.errors import ConfigError, OutputError, to_user_error

TOO_LARGE = 10**15  # numbers: no machine has so much memory


def error_of(act) -> BaseException:
    with pytest.raises((MemoryError, RuntimeError, OSError)) as found:
        act()
    return found.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        error_of(lambda: torch.empty(TOO_LARGE)),
        error_of(lambda: bytearray(TOO_LARGE * 1000)),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes"),
    ],
    ids=lambda error: " ".join(str(error).split())[:40] or type(error).__name__,
)
def test_user_error_of_memory_names_what_to_lower(error):
    assert str(to_user_error(error)).startswith("memory: there is not enough; lower train.batch_size")


DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}


@pytest.mark.parametrize("number", sorted(set(errno.errorcode) - {errno.ENOMEM}), ids=errno.errorcode.get)
@pytest.mark.parametrize("path", ["x.png", None])
def test_user_error_is_of_the_disk_for_disk_errnos_only(number, path):
    found = to_user_error(OSError(number, os.strerror(number), path))
    assert found.what == os.strerror(number)
    assert found.where == path or path is None
    assert isinstance(found, OutputError) == (number in DISK)
    assert found.exit_code == (5 if number in DISK else 1)
    assert ("free space" in found.remedy) == (number in DISK)


def test_user_error_keeps_the_kind_of_other_errors():
    own = ConfigError("a", "b", "c")
    assert to_user_error(own) is own
    assert to_user_error(KeyboardInterrupt()).exit_code == 130
    # An OSError without a number does not come from the system.
    for bug in (ValueError("two\nlines"), OSError("two\nlines")):
        found = to_user_error(bug)
        assert found.exit_code == 1
        assert str(found).startswith(f"internal: {type(bug).__name__}: two lines; ")
