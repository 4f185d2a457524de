"""Any exception becomes one user error: of the memory, the disk, the system, or this program."""

import errno
import os

import pytest
import torch

from gantrain.errors import FILE_REMEDIES, ConfigError, OutputError, to_user_error, writing

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
        RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes"),
    ],
    ids=lambda error: " ".join(str(error).split())[:40] or type(error).__name__,
)
def test_user_error_of_memory_names_what_to_lower(error):
    assert str(to_user_error(error)).startswith("memory: there is not enough; lower train.batch_size")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GiB, other allocations: 1 MiB)"),
    ],
    ids=lambda error: str(error)[:24],
)
def test_user_error_of_a_gpu_s_memory_is_a_failed_run(error):
    found = to_user_error(error)
    assert str(found).startswith("memory of the GPU: there is not enough; lower train.batch_size")
    assert found.exit_code == 1


def test_user_error_of_an_operation_without_deterministic_form():
    # The words of torch 2.14: at::Context::alertNotDeterministic.
    words = (
        "kthvalue CUDA does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for this operation"
    )
    found = to_user_error(RuntimeError(words))
    assert str(found) == (
        "device.deterministic: kthvalue CUDA has no deterministic form on this device; set device.deterministic=false"
    )


NUMBERS = sorted(set(errno.errorcode) - {errno.ENOMEM})
FULL = {errno.ENOSPC, errno.EDQUOT}


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
@pytest.mark.parametrize("path", ["x.png", None])
def test_user_error_of_the_system_names_file_and_remedy(number, path):
    found = to_user_error(OSError(number, os.strerror(number), path))
    assert found.what == os.strerror(number)
    assert found.where == path or path is None
    assert isinstance(found, OutputError) == (number in FILE_REMEDIES)
    assert found.exit_code == (5 if number in FILE_REMEDIES else 1)
    assert ("free " in found.remedy) == (number in FULL)


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
def test_remedy_of_a_write_goes_by_its_errno(number):
    with (
        pytest.raises(OutputError) as found,
        writing("runs/a.npz", "choose another out=PATH", "gantrain resume a"),
    ):
        raise OSError(number, os.strerror(number), "runs/.part")
    error = found.value
    assert error.where == "runs/a.npz"
    assert error.what == f"cannot be written ({os.strerror(number)})"
    assert error.remedy.startswith(FILE_REMEDIES.get(number, "see where"))
    assert error.remedy.endswith(", then: gantrain resume a")
    # No other place helps against a limit of the process.
    assert ("another out" in error.remedy) != (number in {errno.EMFILE, errno.ENFILE, errno.EFBIG})


def test_remedies_are_one_for_each_cause():
    causes = {number: FILE_REMEDIES[number] for number in FILE_REMEDIES if number != errno.EPERM}
    assert len(set(causes.values())) == len(causes)
    named = "ENOSPC EDQUOT EACCES EROFS ENOENT ELOOP ENXIO EMFILE ENAMETOOLONG EISDIR ENOTDIR EFBIG EIO"
    assert {getattr(errno, name) for name in named.split()} <= causes.keys()


def test_user_error_keeps_the_kind_of_other_errors():
    own = ConfigError("a", "b", "c")
    assert to_user_error(own) is own
    assert to_user_error(KeyboardInterrupt()).exit_code == 130
    # An OSError without a number does not come from the system.
    for bug in (ValueError("two\nlines"), OSError("two\nlines")):
        found = to_user_error(bug)
        assert found.exit_code == 1
        assert str(found).startswith(f"internal: {type(bug).__name__}: two lines; ")
