"""The bytes of a table's file: unpacked, and the encoding of their text."""

import codecs
import gzip
import io
import re
import zlib
from pathlib import Path

from gantrain.core.system import physical_memory
from gantrain.core.text import format_size
from gantrain.errors import DataError

MAX_RATIO, MAX_UNPACKED = (
    200,
    2**28,
)  # more than both is a bomb; tables unpack to 100 times their size at most
CHUNK = 2**20  # bytes unpacked at once
SIGNATURES = {
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"(\xb5/\xfd": "a zstd archive",
    b"PK\x03\x04": "a ZIP archive, as Excel's workbooks are",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
}
MARKUP = {
    rb"\s*<(\?xml|!doctype|html|table)\b": "HTML or XML",
    rb'\s*(\[\s*)?\{\s*"': "JSON",
}
BOMS = {  # the longer before the shorter that it begins with
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, unpacked if they are gzip. Raises DataError when it cannot be read or is no table."""
    try:
        if (size := path.stat().st_size) > physical_memory():
            what = f"has {format_size(size)}, more than this machine's memory"
            raise DataError(path, what, "give a smaller table")
        data = path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise DataError(path, what, "give a .csv that you may read") from error
    if data.startswith(b"\x1f\x8b"):
        data = _unpack(path, data)
    for signature, kind in SIGNATURES.items():
        if data.startswith(signature):
            raise DataError(path, f"is {kind}", "save the table as CSV in UTF-8")
    for pattern, kind in MARKUP.items():
        if re.match(pattern, data, re.IGNORECASE):
            raise DataError(path, f"is {kind}", "save the table as CSV in UTF-8")
    return data


def _unpack(path: Path, data: bytes) -> bytes:
    packed, chunks, size = io.BytesIO(data), list[bytes](), 0
    try:
        with gzip.GzipFile(fileobj=packed) as file:
            while chunk := file.read(CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_UNPACKED and size > MAX_RATIO * packed.tell():
                    what = f"unpacks to more than {format_size(size)}, {size // packed.tell()} times its size"
                    raise DataError(path, what, "unpack it yourself if you trust it, and give the .csv")
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(path, f"cannot be unpacked ({error})", "get it again, or give the .csv") from error
    return b"".join(chunks)


def find_encoding(path: Path, data: bytes) -> str:
    """Return the encoding of a text: of its byte order mark, or UTF-8, or else Windows' Western European one.

    Raises DataError for bytes that are no text.
    """
    encoding = next((name for bom, name in BOMS.items() if data.startswith(bom)), "utf-8")
    if encoding.startswith("utf-8") and (zero := data.find(0)) >= 0:
        what = f"is not text (a zero byte in line {data.count(10, 0, zero) + 1})"
        raise DataError(path, what, "save it as CSV in UTF-8")
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(10, 0, error.start) + 1
        controls = re.search(rb"[\x01-\x08\x0e-\x19\x1b-\x1f]", data)
        if encoding != "utf-8" or controls:
            what = f"is not text in {encoding[:6].upper()} (byte 0x{data[error.start]:02x} in line {line})"
            raise DataError(path, what, "save it as CSV in UTF-8") from error
        # The five bytes that cp1252 lacks are control characters in Latin-1.
        return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", data) else "cp1252"
    return encoding
