"""The images of a data set of Hugging Face's ``datasets``: from its Hub, from its cache, or from a local folder."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gantrain.core.streams import redraws_lines, warn
from gantrain.datasets.files.image_bytes import ImageError, check_size, open_file
from gantrain.datasets.files.image_paths import ImageFile, Listing, file_stamp
from gantrain.datasets.files.image_source import ImageSource
from gantrain.datasets.files.torchvision import may_download
from gantrain.errors import ConfigError, DataError, GantrainError

PIECE = 10_000  # rows whose sizes are looked up at once
NONE = "none"  # no column
MAX_CLASSES = 1000  # of a column of words or numbers


class HubImages(ImageSource):
    """A column of images; the name of each is the number of its row.

    Args:
        rows: A ``datasets.Dataset``.
        column: The images.
        root: What the data set is called in messages.
        folders: Outside of which no image is read that a row names by its path.
    """

    def __init__(self, rows: Any, column: str, root: str, folders: Sequence[str]):
        import datasets

        self._rows, self._column = (
            rows.select_columns([column]).cast_column(column, datasets.Image(decode=False)),
            column,
        )
        self._folders = [os.path.realpath(folder) for folder in folders]
        stamps = [file_stamp(os.stat(file["filename"])) for file in rows.cache_files]
        stamp = (*sum(stamps, ()), int.from_bytes(str(rows._fingerprint).encode(), "little"))
        files = (self._file(row, *one, stamp) for row, one in enumerate(self._places()))
        super().__init__(root, Listing(list(files)))

    def path(self, name: str) -> str:
        return f"{self.root}, row {name}"

    def open(self, name: str, max_pixels: int) -> BinaryIO:
        content = self._rows[int(name)][self._column]
        if content is None:
            raise ImageError("holds no image")
        if (data := content["bytes"]) is None:
            return open_file(self._checked(content["path"]))
        check_size(len(data), max_pixels)
        return io.BytesIO(data)

    def _checked(self, path: str | None) -> str:
        """Return the path that a row names. Raises ImageError for one outside of the data set and of the cache."""
        place = os.path.realpath(path or "")
        if not any(place.startswith(f"{folder}/") for folder in self._folders):
            raise ImageError("names a file outside of its data set")
        return place

    def _places(self) -> Iterator[tuple[int | None, str | None]]:
        """Yield the bytes of each image, None where the row holds none, and the path that it names."""
        import pyarrow.compute

        table = self._rows.with_format("arrow")
        for start in range(0, len(table), PIECE):
            column = table[start : start + PIECE][self._column].combine_chunks()
            content, paths = (pyarrow.compute.struct_field(column, field) for field in ("bytes", "path"))
            yield from zip(pyarrow.compute.binary_length(content).to_pylist(), paths.to_pylist(), strict=True)

    def _file(self, row: int, size: int | None, path: str | None, stamp: tuple[int, ...]) -> ImageFile:
        if size is not None:
            return ImageFile(str(row), size, stamp)
        try:
            status = os.stat(self._checked(path))
        except (OSError, ImageError):
            return ImageFile(str(row), -1, stamp)
        return ImageFile(str(row), status.st_size, file_stamp(status))


def load_rows(
    repository: str | None, root: str | None, config: str | None, split: str
) -> tuple[Any, str, list[str]]:
    """Return a split, what it is called, and the folders in which files lie that its rows may name.

    Nothing is run that a data set brings along: ``datasets`` has no loading scripts from version 4 on.

    Args:
        repository: A name on the Hub, read from the cache if it is there.
        root: In its place a folder that ``save_to_disk`` wrote, or one of Parquet files.
        config: The data set's configuration, where it has several.
        split: As ``train``, or ``train[:10%]``.

    Raises:
        ConfigError: When neither or both of them are named.
        DataError: When ``datasets`` is not installed, or there is no such data set or split.
    """
    if bool(repository and repository.strip()) == bool(root and root.strip()):
        what = "name neither or both of a data set on the Hub and a local folder"
        raise ConfigError("dataset.repository and dataset.root", what, "set dataset.repository=OWNER/NAME")
    try:
        import datasets
    except ImportError as error:
        what = "needs the package datasets, which is not installed"
        raise DataError("dataset=hub", what, "pip install 'gantrain[hub]'") from error
    where = str(repository or root)
    with _reporting(where):
        if root:
            folder = os.path.expanduser(root)
            with _offline(datasets):
                rows = _load_folder(datasets, folder, split)
            return rows, f"{root}[{split}]", [folder, str(datasets.config.HF_CACHE_HOME)]
        if os.path.isdir(where) or where.count("/") > 1:
            raise DataError(where, "is no name on the Hub", "set dataset.root for a local folder")
        return (
            _load_named(datasets, where, config, split),
            f"{where}[{split}]",
            [str(datasets.config.HF_CACHE_HOME)],
        )


def _load_named(datasets: Any, name: str, config: str | None, split: str) -> Any:
    """Return a data set of the Hub: that of the cache, or else, if the user has named it, downloaded."""
    is_offline = datasets.config.HF_HUB_OFFLINE
    try:
        with _offline(datasets):
            return datasets.load_dataset(name, config, split=split)
    except ConnectionError:
        if is_offline or not may_download():
            raise
    warn(f"{name}: not in the cache of datasets: asking the Hub for it")
    return datasets.load_dataset(name, config, split=split)


def _load_folder(datasets: Any, folder: str, split: str) -> Any:
    if not os.path.isdir(folder):
        raise DataError(
            folder, "is no folder", "set dataset.root to one that save_to_disk wrote, or of .parquet files"
        )
    if (Path(folder) / "dataset_dict.json").is_file():
        parts = datasets.load_from_disk(folder)
        if split not in parts:
            raise DataError(
                folder, f"has no split {split!r}", f"set dataset.split to one of {', '.join(parts)}"
            )
        return parts[split]
    if (Path(folder) / "state.json").is_file():
        return datasets.load_from_disk(folder)
    files = sorted(map(str, Path(folder).rglob("*.parquet")))
    named = [file for file in files if Path(file).name.startswith(f"{split}-")] or files
    if not named:
        what = "holds neither a data set that save_to_disk wrote nor .parquet files"
        raise DataError(folder, what, "set dataset.root to one that does")
    return datasets.load_dataset("parquet", data_files=named, split="train")


def choose_column(rows: Any, key: str, name: str | None, kind: str, is_strict: bool = False) -> str | None:
    """Return the column that a key names, or the only one of a kind, Image or ClassLabel; None if there is none.

    Args:
        rows: A ``datasets.Dataset``.
        key: Of the dataset.
        name: The column, if the key is set.
        kind: The class of its feature.
        is_strict: Whether a column that is named must be of that kind.

    Raises:
        ConfigError: When there is no such column, or several could be meant.
    """
    names = [column for column, feature in rows.features.items() if type(feature).__name__ == kind]
    if name is not None:
        if name not in (names if is_strict else rows.features):
            what = f"{name!r} is no column" + f" of kind {kind}" * is_strict
            raise ConfigError(
                f"dataset.{key}", what, f"choose from {', '.join(names if is_strict else rows.features)}"
            )
        return name
    if len(names) > 1:
        raise ConfigError(f"dataset.{key}", f"could be any of {', '.join(names)}", "name one")
    return names[0] if names else None


def read_classes(rows: Any, column: str) -> tuple[list[str], np.ndarray]:
    """Return the names of the classes and the class of each row, [N]: of a ClassLabel, or of words or whole numbers.

    Raises:
        DataError: For a row without a label, and more than 1,000 classes that are not declared.
    """
    values = rows[column][:]
    names = getattr(rows.features[column], "names", None)
    bad = [
        row for row, value in enumerate(values) if value is None or (names and not 0 <= value < len(names))
    ]
    if bad:
        raise DataError(
            f"column {column}", f"row {bad[0]} has no label", "set dataset.label=none, or take another split"
        )
    if names:
        return list(names), np.asarray(values, np.int64)
    distinct = sorted({*values}) if all(isinstance(value, str | int) for value in values) else []
    if not 0 < len(distinct) <= MAX_CLASSES:
        what = "holds neither words nor whole numbers of at most 1,000 kinds"
        raise DataError(f"column {column}", what, "set dataset.label=none, or to another column")
    index = {value: label for label, value in enumerate(distinct)}
    return [str(value) for value in distinct], np.array([index[value] for value in values])


@contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """Let ``datasets`` reach for no network in the block."""
    before, datasets.config.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def _reporting(where: str) -> Iterator[None]:
    """Raise what ``datasets`` raises as DataError; it prints nothing, but bars on a terminal."""
    import datasets

    datasets.utils.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not redraws_lines(sys.stderr):
        datasets.disable_progress_bars()
    try:
        yield
    except GantrainError:
        raise
    except ConnectionError as error:
        what = "is not in the cache of datasets, and the Hub cannot be reached"
        raise DataError(
            where, what, "connect this machine, or copy the cache to it and set HF_HOME"
        ) from error
    except Exception as error:  # datasets raises many kinds
        why = " ".join(str(error).split()) or type(error).__name__
        remedy = "check dataset.repository, dataset.config and dataset.split"
        raise DataError(where, f"cannot be loaded ({why})", remedy) from error
