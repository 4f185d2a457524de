"""Any folder or archive of images, in a fixed order."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from gantrain.core.data_files import DataFile, DataFiles, named_files
from gantrain.core.spec import Spec
from gantrain.datasets.files.attributes import read_attributes
from gantrain.datasets.files.image_classes import class_folders
from gantrain.datasets.files.image_dataset import MIN_IMAGES, Content, ImageDataset
from gantrain.datasets.files.image_paths import top_folder
from gantrain.datasets.files.image_sources import open_images
from gantrain.errors import ConfigError
from gantrain.registry import option, register


@register("dataset")
@dataclass
class ImageFolder(ImageDataset):
    """Images of a folder and all folders below it, sorted by the bytes of their paths; or of a ZIP or tar archive.

    Files with the suffix of an image format count; hidden files and folders, pipes, sockets and devices do not. Links
    are followed, each file counts once, and a link to a folder that contains the root is ignored. An archive is read in
    place, from the folder in which all its images lie; links in it are left out.

    With ``labels=auto`` the sub-folders of the root that hold images are the classes, sorted by name, when there are at
    least two and all images lie below them. Folders of runs and sweeps are not looked into. With ``attributes`` an
    image's condition is its row of that file in place of a class.
    """

    name: str = option("image_folder", "registered name")
    root: str | None = option(
        None, "folder of images, or a .zip or .tar of one, with or without class folders"
    )
    labels: str = option("auto", "whether class folders are classes", choices=("auto", "none"))
    attributes: str | None = option(None, "a CSV of paths and numbers: the condition, in place of classes")

    @cached_property
    def files(self) -> DataFiles:
        images = tuple(DataFile(file.name, file.size) for file in self.content.source.listing.files)
        if self.attributes is None:
            return DataFiles(images)
        table = named_files([("dataset.attributes", Path(os.path.expanduser(self.attributes)))])
        return DataFiles((*images, *table.entries))

    @cached_property
    def content(self) -> Content:
        if self.root is None or not self.root.strip():
            remedy = "set dataset.root=FOLDER to a folder of images"
            raise ConfigError("dataset.root", "names no folder", remedy)
        source = open_images(os.path.expanduser(self.root))
        self.check_count(source, f"set dataset.root to a folder of at least {MIN_IMAGES}")
        names = [file.name for file in source.listing.files]
        if self.attributes is not None:
            y, condition = read_attributes(self.attributes, source.root, names)
            return Content(source, Spec(self.shape, condition=condition), y=y)
        if self.labels == "none" or not (classes := class_folders(source.root, source.listing)):
            return Content(source, Spec(self.shape))
        label = {name: i for i, name in enumerate(classes)}
        labels = torch.tensor([label[top_folder(name)] for name in names])
        return Content(source, Spec(self.shape, classes=len(classes)), classes, labels)
