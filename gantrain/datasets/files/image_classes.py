"""Whether the sub-folders of a folder of images are classes, or the parts of a published dataset."""

import os
import re
from collections.abc import Sequence

from gantrain.core.text import one_line
from gantrain.datasets.files.image_paths import Listing
from gantrain.errors import DataError

# A part of a dataset in the name of a folder: train, TestSet, seg_val, trainA, train2017
PART = re.compile(
    r"(?<![A-Za-z])(?i:(?P<train>train(?:ing)?)|test(?:ing)?|val(?:id(?:ation)?)?|dev|holdout)(?i:set)?(?![a-z])"
)
IMAGES = {"image", "images", "img", "imgs", "jpegimages"}  # next to masks, annotations or segmentations
NAMES, NAME_LETTERS = 8, 40  # in a message


def class_folders(root: str, listing: Listing) -> list[str]:
    """Return the sub-folders that are classes: those that hold images, if there are two and all images lie in them.

    Raises:
        DataError: For an image next to class folders, and for folders that are parts of a dataset, as train and test.
    """
    parent, folders, loose = branches(listing)
    where = os.path.join(root, parent) if parent else root
    if part := _part_to_take(folders):
        what = f"holds parts of a dataset and no classes: {join_names(folders)}"
        remedy = f"set dataset.root={os.path.join(where, part)}, or take all of them with dataset.labels=none"
        raise DataError(where, what, remedy)
    if parent or len(folders) < 2:
        return []
    if loose:
        what = f"lies next to class folders such as {folders[0]}"
        raise DataError(os.path.join(root, loose), what, "move it into one, or set dataset.labels=none")
    return folders


def branches(listing: Listing) -> tuple[str, list[str], str]:
    """Return the folder below the root in which all images lie, its sub-folders that hold some, an image next to them.

    The folder is empty for the root itself, and the image where there is none.
    """
    names = [file.name for file in listing.files]
    parent = os.path.commonpath([os.path.dirname(min(names)), os.path.dirname(max(names))])
    rests = [name[len(parent) + 1 :] if parent else name for name in names]
    folders = {rest.split(os.sep, 1)[0] for rest in rests if os.sep in rest}
    loose = next((name for name, rest in zip(names, rests, strict=True) if os.sep not in rest), "")
    return parent, sorted(folders, key=os.fsencode), loose


def join_names(names: Sequence[str]) -> str:
    """Return the first eight names and the number of the others."""
    more = [f"and {len(names) - NAMES:,} more"] if len(names) > NAMES else []
    return ", ".join([*(one_line(name, NAME_LETTERS) for name in names[:NAMES]), *more])


def _part_to_take(folders: list[str]) -> str | None:
    """Return which folder to train on if some are parts of one dataset, not classes; else None."""
    if len(folders) < 2:
        return None
    if images := [name for name in folders if name.lower() in IMAGES]:
        return images[0]
    # Parts differ in the word for the part alone: seg_train and seg_test, but not train_station and test_tube
    groups: dict[str, dict[str, str]] = {}
    for name in folders:
        if part := PART.search(name):
            rest = name[: part.start()] + "/" + name[part.end() :]
            groups.setdefault(rest.lower(), {})["" if part["train"] else part[0].lower()] = name
    group = next((group for group in groups.values() if len(group) > 1), {})
    return group[min(group)] if group else None  # the part for training sorts first
