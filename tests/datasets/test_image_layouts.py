"""How folders of images are laid out: classes, parts of published datasets, runs among them, what the log says."""

import os
import random
from pathlib import Path

import pytest
import torch
from PIL import Image

from gantrain.core.run_folder import RunFolder
from gantrain.datasets.files.image_paths import list_images
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError


def lay(root: Path, *names: str) -> Path:
    """Write a picture or a text for each name; a star stands for five, and a name that ends in a slash is a folder."""
    for name in names:
        for one in [name.replace("*", str(i)) for i in range(5 if "*" in name else 1)]:
            write(root / one, is_folder=one.endswith("/"))
    return root


def write(path: Path, is_folder: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        path.mkdir()
    elif path.suffix in (".png", ".jpg"):
        Image.effect_noise((8, 8), 80).save(path)
    else:
        path.write_text("text")


CLASSES = {  # the names, and the classes that they make
    "CelebA": (("Anno/list.txt", "Eval/list.txt", "img_align_celeba/*.jpg"), 0),
    "CUB": (
        ("attributes/a.txt", "images/001.Black/*.jpg", "images/002.Laysan/*.jpg", "parts/p.txt", "README"),
        0,
    ),
    "CUB's images": (("001.Black/*.jpg", "002.Laysan/*.jpg"), 2),
    "COCO with one part": (("annotations/a.json", "train2017/*.jpg"), 0),
    "an empty class": (("a/*.png", "b/*.png", "c/"), 2),
    "one class": (("a/*.png", "b/", "c/note.txt"), 0),
    "one part": (("train/a/*.png", "train/b/*.png"), 0),
    "a class called train": (("train/*.png", "plane/*.png", "car/*.png"), 3),
    "names like parts": (("train_station/*.png", "test_tube/*.png", "valley/*.png"), 3),
    "valid and not": (("valid/*.png", "invalid/*.png"), 2),
    "classes of pictures": (("photos/*.png", "sketches/*.png"), 2),
    "deep classes": (("a/x/train/*.png", "a/x/test/*.png", "b/*.png"), 2),
    "numbers": (("0/*.png", "1/*.png", "10/*.png"), 3),
}
PARTS = {  # the names, and the folder to train on
    "train and test": (("train/*.png", "test/*.png"), "train"),
    "with classes": (("train/a/*.png", "train/b/*.png", "val/a/*.png", "val/b/*.png"), "train"),
    "three parts": (("Training/*.png", "Testing/*.png", "Validation/*.png"), "Training"),
    "COCO": (("annotations/a.json", "train2017/*.jpg", "val2017/*.jpg"), "train2017"),
    "YOLO": (("images/train/*.png", "images/val/*.png", "labels/train/0.txt"), "images/train"),
    "ImageNet": (("ILSVRC2012_img_train/n01/*.png", "ILSVRC2012_img_val/*.png"), "ILSVRC2012_img_train"),
    "CycleGAN": (("trainA/*.jpg", "trainB/*.jpg", "testA/*.jpg", "testB/*.jpg"), "trainA"),
    "Kaggle": (("training_set/cats/*.png", "test_set/cats/*.png"), "training_set"),
    "before the scene": (("seg_train/a/*.png", "seg_test/a/*.png", "seg_pred/*.png"), "seg_train"),
    "no train": (("test/*.png", "valid/*.png"), "test"),
    "loose": (("train/*.png", "test/*.png", "logo.png"), "train"),
    "pets": (("annotations/*.png", "images/*.jpg"), "images"),
    "VOC": (("Annotations/0.xml", "JPEGImages/*.jpg", "SegmentationClass/*.png"), "JPEGImages"),
}


@pytest.mark.parametrize("case", CLASSES)
def test_folders_with_images_are_classes(case, tmp_path):
    names, count = CLASSES[case]
    dataset = ImageFolder(root=str(lay(tmp_path, *names)), resolution=8)
    assert dataset.spec().classes == count
    data = dataset.load(0)
    assert (data.train.y is None) == (count == 0)


@pytest.mark.parametrize("case", PARTS)
def test_parts_of_a_dataset_are_no_classes(case, tmp_path):
    names, part = PARTS[case]
    lay(tmp_path, *names)
    with pytest.raises(DataError, match="parts of a dataset and no classes") as fault:
        ImageFolder(root=str(tmp_path), resolution=8).spec()
    remedy = f"set dataset.root={tmp_path / part}, or take all of them with dataset.labels=none"
    assert fault.value.remedy == remedy
    # Both remedies work.
    assert len(ImageFolder(root=str(tmp_path / part), resolution=8).load(0).train) > 1
    every = ImageFolder(root=str(tmp_path), resolution=8, labels="none")
    assert every.spec().classes == 0
    assert len(every.files.entries) == sum(path.suffix in (".png", ".jpg") for path in tmp_path.rglob("*"))


def test_files_are_those_of_a_plain_walk_without_runs(tmp_path):
    dice = random.Random(3)
    for tree in range(10):
        root, expected = tmp_path / str(tree), []
        for _ in range(30):
            parts = [dice.choice(["a", "b", "run", "é", ".hidden"]) for _ in range(dice.randrange(4))]
            name = "/".join([*parts, dice.choice(["1.png", "2.JPG", "3.txt", ".4.png"])])
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        marker = dice.choice([".hydra", "gantrain.log", "multirun.yaml", "sweep.json"])
        for folder in [path for path in root.rglob("run") if path.is_dir()]:
            (folder / marker).mkdir() if marker == ".hydra" else (folder / marker).touch()
        for folder, folders, files in os.walk(root):
            folders[:] = [one for one in folders if one != "run" and not one.startswith(".")]
            names = [
                one for one in files if one.lower().endswith((".png", ".jpg")) and not one.startswith(".")
            ]
            expected += [os.path.relpath(os.path.join(folder, one), root) for one in names]
        found = list_images(str(root))
        assert [file.name for file in found.files] == sorted(expected, key=os.fsencode)
        assert all(name.endswith("run") for name in found.outputs)


WORDS = [
    *("dataset=image_folder", "dataset.resolution=8", "device=cpu", "model.width=4", "train.batch_size=2"),
    *("train.steps=1", "train.sample_every=1", "metric=none", "penalty=none"),
]


@pytest.mark.parametrize("layout", ["flat", "classes"])
def test_a_run_in_its_own_folder_changes_nothing(layout, run_cli, tmp_path):
    lay(tmp_path, *(("*.png",) if layout == "flat" else ("a/*.png", "b/*.png")))
    files = []
    for where in ([] if layout == "flat" else ["run.root=a"], ["run.dir=mine"]):
        code, _, err = run_cli(*WORDS, "dataset.root=.", *where)
        assert code == 0, err
        assert list(tmp_path.rglob("samples/*.png"))
        files.append([file.name for file in list_images(str(tmp_path)).files])
    assert files[0] == files[1]
    assert len(files[0]) == (5 if layout == "flat" else 10)
    # A sweep: the pictures of its jobs, and its own.
    lay(tmp_path / "sweep", "summary.png", "samples.png", "0-job/samples/*.png")
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    listing = list_images(str(tmp_path))
    assert [file.name for file in listing.files] == files[0]
    assert "sweep" in listing.outputs
    assert "mine" in listing.outputs
    code, _, err = run_cli("resume", "mine", "train.steps=2")  # after the others were made
    assert code == 0, err


def test_a_run_is_no_folder_of_images(run_cli, tmp_path):
    lay(tmp_path / "photos", "*.png")
    assert run_cli(*WORDS, "dataset.root=photos", "run.root=out", "run.dir=out/run")[0] == 0
    code, _, err = run_cli(*WORDS, "dataset.root=out/run")
    assert code == 3
    assert f"{tmp_path / 'out' / 'run'}: is the folder of a run or a sweep" in err
    code, _, err = run_cli(*WORDS, "dataset.root=out")
    assert code == 3
    assert "holds no image" in err
    assert "left out: runs and sweeps (run); " in err


# The first line ----------------------------------------------------------------------------------------------------


def summary(root: Path, **options: object) -> str:
    return ImageFolder(root=str(root), resolution=8, bad_files="skip", **options).load(0).summary


def test_the_first_line_counts_images_and_classes(tmp_path):
    lay(tmp_path, "cats/*.png", "cats/more/*.png", "dogs/*.png")
    assert summary(tmp_path) == "15 images, 2 classes (cats 10, dogs 5)"
    assert summary(tmp_path, labels="none") == "15 images, no classes"
    assert summary(tmp_path / "cats") == "10 images, no classes"
    lay(tmp_path / "in", *(f"photos/{i}/*.png" for i in range(3)))
    assert summary(tmp_path / "in") == "15 images, no classes (3 with dataset.root=.../photos)"


def test_the_first_line_says_what_was_left_out(tmp_path, capfd):
    lay(
        tmp_path,
        "a/*.png",
        "b/*.png",
        "c/",
        "d/*.txt",
        "x.heic",
        "y.HEIC",
        "LICENSE",
        ".hidden.png",
        "b/.DS_Store",
    )
    (tmp_path / "a" / "0.png").write_bytes(b"broken")
    (tmp_path / "e").symlink_to("a", target_is_directory=True)
    (tmp_path / "b" / "again.png").symlink_to("0.png")
    os.link(tmp_path / "b" / "0.png", tmp_path / "b" / "z.png")
    lay(tmp_path / "outputs" / "run", "samples/*.png", "gantrain.log")
    assert summary(tmp_path) == (
        "9 images, 2 classes (a 4, b 5); left out: 1 that cannot be read, 2 repeated by links, 5 .txt, 2 .heic, "
        "1 without suffix, runs and sweeps (outputs/run), folders without an image (c, d)"
    )
    capfd.readouterr()


def test_the_first_line_of_many_classes_is_short(tmp_path):
    lay(tmp_path, *(f"{i:04d}/1.png" for i in range(30)), *(f"{i:04d}/" for i in range(100, 140)))
    text = summary(tmp_path)
    assert text.startswith("30 images, 30 classes (0000 1, 0001 1, ")
    assert "0007 1, and 22 more); left out: folders without an image (0100, " in text
    assert text.endswith(", 0107, and 32 more)")


def test_the_first_line_of_a_run_is_in_its_log(run_cli, tmp_path):
    lay(tmp_path / "photos", "a/*.png", "b/*.png", "notes.md", "c\x1b[2J/0.txt")
    code, _, err = run_cli(*WORDS, "dataset.root=photos", "run.dir=run")
    assert code == 0, err
    line = "10 images, 2 classes (a 5, b 5); left out: 1 .md, 1 .txt, folder without an image (c\\x1b[2J)"
    assert err.splitlines()[0] == line
    assert RunFolder(tmp_path / "run").log_file.read_text().splitlines()[0].endswith(f"INFO {line}")
    code, out, err = run_cli(*WORDS, "dataset.root=photos", "train.dry_run=true")
    assert code == 0, err
    assert line in out


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
def test_the_first_line_names_what_lies_under_transparency(memory_limit, tmp_path):
    lay(tmp_path, "*.png")
    for i, alpha in enumerate((0, 200, 255)):  # the last one is opaque
        Image.merge("LA", [Image.effect_noise((8, 8), 80), Image.new("L", (8, 8), alpha)]).save(
            tmp_path / f"{i}.png"
        )
    found = {
        key: summary(tmp_path, memory_limit=memory_limit, **options)
        for key, options in {"black": {}, "white": {"background": 255}, "grey 9": {"background": 9}}.items()
    }
    for key, line in found.items():
        assert line == f"5 images, no classes; transparency of 2 on {key} (dataset.background)"
    assert summary(tmp_path, memory_limit=memory_limit) == found["black"]  # mapped, and decoded no more
    assert summary(tmp_path, memory_limit=memory_limit, channels=4) == "5 images, no classes"


def test_labels_are_those_of_the_folders_in_order(tmp_path):
    lay(tmp_path, "b/*.png", "a/*.png", "empty/", "é/*.png")
    data = ImageFolder(root=str(tmp_path), resolution=8).load(0)
    assert torch.cat([data.train.y, data.holdout.y]).bincount().tolist() == [5, 5, 5]
