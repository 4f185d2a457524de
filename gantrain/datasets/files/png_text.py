"""PNG files without their texts, whose length Pillow limits."""

import io
import os
import struct
from typing import BinaryIO

PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks of a PNG without a word on its pixels


def without_text(file: BinaryIO) -> BinaryIO | None:
    """Return a PNG without its texts and its colour profile; None for another format."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    kept = [file.read(len(PNG))]
    if kept != [PNG]:
        return None
    # A chunk is its length and name, its data, then four bytes of checksum.
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in TEXTS:
            file.seek(length + 4, os.SEEK_CUR)
        else:
            kept += [head, file.read(min(length + 4, end))]
    return io.BytesIO(b"".join(kept))
