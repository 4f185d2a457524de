"""What libtiff finds wrong with a file: caught, where it would print it and often go on."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from PIL import Image

_thread = threading.local()


@contextmanager
def libtiff_errors() -> Iterator[list[str]]:
    """Yield the list of what libtiff reports in this thread until the end of the block, which it does not print."""
    _install()
    _thread.errors = errors = list[str]()
    try:
        yield errors
    finally:
        del _thread.errors


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
def _note(_: int, text: bytes, values: int) -> None:
    """Take an error from libtiff: the name of its function, a format of printf, and a va_list."""
    line = ctypes.create_string_buffer(200)
    ctypes.pythonapi.PyOS_vsnprintf(line, ctypes.c_size_t(len(line)), text, ctypes.c_void_p(values))
    getattr(_thread, "errors", []).append(line.value.decode(errors="replace"))


@cache
def _install() -> None:
    # The libtiff that Pillow is linked with; where it cannot be found, the lines are printed.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(_note)
