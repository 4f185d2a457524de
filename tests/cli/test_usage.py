"""Command lines that mean nothing."""

import pytest
from malformed import check, ids, row

USAGE = [
    row("rezume x", "rezume", "did you mean 'resume'?"),
    row("sampel x", "sampel", "did you mean 'sample'?"),
    row("trian", "trian", "did you mean 'train'?"),
    row("evalute x", "evalute", "did you mean 'evaluate'?"),
    row("lst", "lst", "did you mean 'list'?"),
    row("tensorbord", "tensorbord", "did you mean 'tensorboard'?"),
    row("train outputs/x", "outputs/x", "is not an override"),
    row("ring", "ring", "did you mean 'dataset=ring'?"),
    row("seed=1 minimax", "minimax", "did you mean 'objective=minimax'?"),
    row("dataset", "dataset", "did you mean 'dataset=VALUE'?"),
    row("train.steps", "train.steps", "did you mean 'train.steps=VALUE'?"),
    row("help nothing", "help", "neither a verb nor a config group"),
    row("version", "version", "did you mean '--version'?"),
    row("--nosuch", "usage", "--nosuch"),
    row("--dataset=ring", "usage", "--dataset=ring", "did you mean 'dataset=ring'?"),
    row("-x", "usage", "-x"),
    row("--cfg", "usage", "expected one argument"),
    row("--cfg joob", "usage", "joob", "job"),
    row("--cfg job -p nope", "nope", "there is no such key"),
    row("--cfg job -p train.stepz", "train.stepz", "there is no such key"),
    row("-p train", "usage", "--cfg"),
    row("--resolve", "usage", "--cfg"),
    row("-m --cfg job", "usage", "exclude each other"),
    row("--experimental-rerun=x.pickle", "--experimental-rerun", "pickle"),
    row("--experimental-rerun x.pickle", "--experimental-rerun", "pickle"),
    row("--config-dir nowhere", "--config-dir", "there is no folder nowhere"),
    row("--config-dir", "usage", "expected one argument"),
    row("--config-path configs", "--config-path", "--config-dir"),
    row("--config-name other", "--config-name", "there is no config 'other'"),
    row("--traceback=1", "usage", "--traceback=1"),
    row("list objectivs", "list", "did you mean 'objective'?"),
    row("list dataset model", "list", "takes one group"),
    row("resume", "resume", "names no run"),
    row("sample", "sample", "names no run"),
    row("evaluate n=5", "evaluate", "names no run"),
    row("resume a b", "resume", "takes one run"),
    row("sample --all x", "--all", "no such flag", "see gantrain sample --help"),
    row("sample x --num_samples=16", "--num_samples=16", "write n=16"),
    row("evaluate x --output", "--output", "write out=VALUE"),
    row("tensorboard a b", "tensorboard", "takes one folder"),
    row("tensorboard nowhere", "nowhere", "there is no such folder", code=4),
]


@pytest.mark.parametrize("row", USAGE, ids=ids(USAGE))
def test_usage_malformed_is_one_line(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)
