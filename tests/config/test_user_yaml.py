"""A user's own YAML files that must be refused."""

import pytest
from malformed import RANGE, Row, check, own, row

ADAM = "defaults: [/schema/optimizer/adam@_here_, _self_]\n"
GLOBAL = "# @package _global_\n"


def yaml_row(content: str | bytes, where: str, *words: str) -> Row:
    """A row for ``mine/optimizer/my.yaml``."""
    return row("--config-dir mine optimizer=my", where, *words, setup=own("optimizer/my.yaml", content))


def experiment_row(content: str, where: str, *words: str) -> Row:
    """A row for ``mine/experiment/my.yaml``."""
    return row("--config-dir mine experiment=my", where, *words, setup=own("experiment/my.yaml", content))


MY = "mine/optimizer/my.yaml"
YAML = [
    yaml_row(ADAM + "\tg_lr: 1\n", f"{MY}:2:1", "is not YAML"),
    yaml_row(ADAM + "g_lr: 1: 2\n", f"{MY}:2:8", "is not YAML"),
    yaml_row(ADAM + "g_lr: [1\n", f"{MY}:3:1", "is not YAML"),
    yaml_row(ADAM + "g_lr: 1\ng_lr: 2\n", f"DIR/{MY}:3:1", "duplicate key g_lr"),
    yaml_row("!!python/object/apply:os.system [id]\n", MY, "holds no keys"),
    yaml_row(ADAM + "g_lr: !!python/name:os.system\n", f"DIR/{MY}:2:7", "is not YAML"),
    yaml_row("- g_lr\n", MY, "holds no keys"),
    yaml_row("g_lr\n", MY, "holds no keys"),
    yaml_row("5\n", MY, "holds no keys"),
    yaml_row("", MY, "holds no keys"),
    yaml_row(ADAM.encode() + b"# caf\xe9\n", MY, "cannot be read", "UTF-8"),
    yaml_row(ADAM.encode() + b"g_lr: \0\n", MY, "cannot be read"),
    yaml_row("a: " + "[" * 1500 + "]" * 1500, MY, "cannot be read"),
    yaml_row("defaults: adam\n", MY, "defaults that are not a list"),
    yaml_row("defaults: [adamm]\n", "optimizer", "'adamm' is not one of its choices", "did you mean 'adam'?"),
    yaml_row(ADAM.replace("adam", "adamm"), "schema/optimizer", "did you mean 'adam'?"),
    yaml_row(ADAM + "g_lrr: 1\n", "optimizer.g_lrr in optimizer/my.yaml", "did you mean 'optimizer.g_lr'?"),
    yaml_row(ADAM + "g_lr: fast\n", "optimizer.g_lr in optimizer/my.yaml", "'fast' is not a number"),
    yaml_row(ADAM + "g_lr: no\n", "optimizer.g_lr in optimizer/my.yaml", "'no' is not a number"),
    yaml_row(ADAM + "_target_: os.system\n", "optimizer._target_ in optimizer/my.yaml", "no such key"),
    yaml_row("_target_: os.system\ncommand: id\n", "optimizer.name", "no optimizer is called None"),
    yaml_row("name: adamw\ng_lr: 1\n", "optimizer.name", "did you mean 'adam'?"),
    yaml_row("name: [adam]\n", "optimizer.name", "no optimizer is called ['adam']"),
    yaml_row("name: adam\ng_lrr: 1\n", "optimizer.g_lrr", "did you mean 'optimizer.g_lr'?"),
    yaml_row(ADAM + "g_lr: -1\n", "optimizer.g_lr", RANGE),
    yaml_row(ADAM + "g_lr: .nan\n", "optimizer.g_lr", "nan is not a finite number"),
    yaml_row(ADAM + "g_lr: ${optimizer.rate}\n", "optimizer.g_lr", "refers to optimizer.rate"),
    row(
        "--config-dir mine",
        "mine/optimizer/adam.yaml",
        "its own optimizer=adam",
        "another name",
        setup=own("optimizer/adam.yaml", ADAM + "g_lr: 1\n"),
    ),
    experiment_row("train: {steps: 5}\n", "experiment/my.yaml", "@package _global_"),
    experiment_row(
        GLOBAL + "train: {stepz: 5}\n", "train.stepz in experiment/my.yaml", "did you mean 'train.steps'?"
    ),
    experiment_row(GLOBAL + "train: 5\n", "experiment/my.yaml", "int is not a subclass of Train"),
    experiment_row(GLOBAL + "steps: 5\n", "steps in experiment/my.yaml", "did you mean 'train.steps'?"),
    experiment_row(GLOBAL + "defaults: [model: mlp]\n", "experiment/model", "'override /model: mlp'"),
    experiment_row(GLOBAL + "defaults: [override /model: mpl]\n", "model", "did you mean 'mlp'?"),
    experiment_row(GLOBAL + "defaults: [override /modle: mlp]\n", "modle", "there is no such config group"),
]


@pytest.mark.parametrize("row", YAML, ids=[f"{row.where} {row.words[0]}"[:60] for row in YAML])
def test_user_yaml_malformed_is_one_line_that_names_it(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)
