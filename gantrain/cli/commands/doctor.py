"""``gantrain doctor [RUN]``."""

import logging

from gantrain.cli.arguments import single_folder, split_arguments
from gantrain.cli.command import Command
from gantrain.errors import ConfigError


def doctor(argv: list[str]) -> int:
    """Print what hinders training on this machine, or all that the detectors find in a run's checkpoint."""
    folders, words = split_arguments("doctor", argv)
    if words:
        raise ConfigError(
            "doctor", f"takes no words, got {' '.join(words)}", "gantrain doctor, or gantrain doctor RUN"
        )
    return check_run(folders) if folders else check_machine()


def check_machine() -> int:
    """Print versions, devices, speeds, threads and disk; return 1 when something makes training impossible."""
    from gantrain.cli.checks import FAIL, devices, disk, extras, limits, processor, versions, weights

    failed = False
    for check in (versions, extras, weights, processor, devices, disk, limits):
        for finding in check():
            failed = failed or finding.mark == FAIL
            print(f"{finding.mark:4}  {finding.name:14} {finding.text}", flush=True)
    print("training is impossible until the lines marked FAIL are fixed" if failed else "ready to train")
    return int(failed)


def check_run(folders: list[str]) -> int:
    """Print each fault of a run's checkpoint on a line, with its numbers and remedies, and what was not checked."""
    from gantrain.core.text import escape_controls
    from gantrain.training.checkpoint import load_checkpoint
    from gantrain.training.examination import examine
    from gantrain.training.restore import changed_files, config_and_spec
    from gantrain.training.run import prepare

    logging.basicConfig(format="%(message)s")
    checkpoint = load_checkpoint(single_folder("doctor", folders))
    config, _ = config_and_spec(checkpoint)
    data = prepare(config)
    if changes := changed_files(config, checkpoint):
        logging.getLogger("gantrain").warning(
            "these are not the data that the run was trained on: %s", changes
        )
    found = examine(config, data, checkpoint)
    print(f"{checkpoint.path}\n")
    for finding in found.findings:
        print(escape_controls(f"{'fault' if finding.is_fault else 'note':10} {finding}"))
    if not any(finding.is_fault for finding in found.findings):
        print("health     no fault found")
    print(f"read       {', '.join(found.metrics)}, and the signs of samples, logits and weights")
    for line in found.blind_spots:
        print(f"unchecked  {line}")
    return 0


COMMAND = Command(
    doctor,
    usage=(
        ("", "versions, devices, the fastest precision here, disk, threads"),
        ("RUN", "what is wrong with a run, by every detector"),
    ),
    order=100,
    folder="run",
    prints=True,
)
