"""Archives written by hand: ZIP and tar of any names, kinds and contents."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping

LINK = b"link:"  # the content of an entry that is a link begins with it


def zip_bytes(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP; a name that ends in a slash is a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            kind = stat.S_IFLNK if content.startswith(LINK) else stat.S_IFREG
            info.external_attr, info.compress_type = (kind | 0o644) << 16, method
            archive.writestr(info, content.removeprefix(LINK))
    return buffer.getvalue()


def tar_bytes(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar, compressed with ``mode`` w:gz, w:bz2 or w:xz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            if content.startswith(LINK):
                info.type, info.linkname = tarfile.SYMTYPE, content.removeprefix(LINK).decode()
            elif name.endswith("/"):
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVES = {  # the suffix of each kind, and how it is written
    ".zip": zip_bytes,
    ".stored.zip": lambda files: zip_bytes(files, zipfile.ZIP_STORED),
    ".tar": tar_bytes,
    ".tar.gz": lambda files: tar_bytes(files, "w:gz"),
    ".tar.bz2": lambda files: tar_bytes(files, "w:bz2"),
    ".tar.xz": lambda files: tar_bytes(files, "w:xz"),
}
