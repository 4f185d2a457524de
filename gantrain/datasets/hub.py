"""A data set of images of Hugging Face's ``datasets``, from its Hub, its cache or a local folder."""

from dataclasses import dataclass
from functools import cached_property

import torch

from gantrain.core.data_files import DataFile, DataFiles
from gantrain.core.spec import Spec
from gantrain.datasets.files.hub_images import NONE, HubImages, choose_column, load_rows, read_classes
from gantrain.datasets.files.image_dataset import Content, ImageDataset
from gantrain.errors import ConfigError
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Hub(ImageDataset):
    """The images of a column, in the order of the rows; the classes are those of a column of labels.

    A data set that is in the cache of ``datasets`` (``HF_HOME``) is read from there, without a look at the network;
    another one is downloaded, since the user has named it. No code of a data set is run.
    """

    name: str = option("hub", "registered name")
    repository: str | None = option(None, "name on the Hugging Face Hub, as uoft-cs/cifar10")
    root: str | None = option(None, "in its place, a folder by save_to_disk or of .parquet files")
    config: str | None = option(None, "configuration of the data set, where it has several")
    split: str = option("train", "which part of it, also as train[:10%]")
    image: str | None = option(None, "column of the images; null for the only one")
    label: str | None = option(
        None, "column of the classes; null for the only one that declares them, none for no classes"
    )

    @cached_property
    def files(self) -> DataFiles:
        labels = self.content.y
        classes = [""] * len(self.content.source.listing.files) if labels is None else labels.tolist()
        files = zip(self.content.source.listing.files, classes, strict=True)
        return DataFiles(tuple(DataFile(f"{label}/{file.name}", file.size) for file, label in files))

    @cached_property
    def content(self) -> Content:
        rows, root, folders = load_rows(self.repository, self.root, self.config, self.split)
        column = choose_column(rows, "image", self.image, "Image", is_strict=True)
        if column is None:
            what = f"no column of {root} holds images, of {', '.join(rows.features) or 'none'}"
            raise ConfigError("dataset.image", what, "take another data set")
        source = HubImages(rows, column, root, folders)
        self.check_count(source, "take a larger part of it by dataset.split")
        label = None if self.label == NONE else choose_column(rows, "label", self.label, "ClassLabel")
        if label is None:
            return Content(source, Spec(self.shape))
        classes, y = read_classes(rows, label)
        return Content(source, Spec(self.shape, classes=len(classes)), classes, torch.from_numpy(y))
