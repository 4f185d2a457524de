"""What a user is told of an exception that nobody foresaw: the machine's fault, the disk's, or this program's."""

import errno
import os

import pytest
import torch

from gantrain.errors import ConfigError, to_user_error

TOO_LARGE = 10**15  # numbers: no machine has so much memory


def raised(act) -> BaseException:
    with pytest.raises((MemoryError, RuntimeError, OSError)) as found:
        act()
    return found.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        raised(lambda: torch.empty(TOO_LARGE)),
        raised(lambda: bytearray(TOO_LARGE * 1000)),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes"),
    ],
    ids=lambda error: " ".join(str(error).split())[:40] or type(error).__name__,
)
def test_out_of_memory_is_reported_as_such(error):
    fault = to_user_error(error)
    assert str(fault).startswith("memory: there is not enough; lower train.batch_size")


def test_other_faults_keep_their_kind():
    own = ConfigError("a", "b", "c")
    assert to_user_error(own) is own
    full = to_user_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.png"))
    assert (full.exit_code, full.where) == (5, "x.png")
    assert to_user_error(KeyboardInterrupt()).exit_code == 130
    bug = to_user_error(ValueError("two\nlines"))
    assert bug.exit_code == 1
    assert str(bug).startswith("internal: ValueError: two lines; ")
