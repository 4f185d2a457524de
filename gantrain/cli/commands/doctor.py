"""``gantrain doctor``."""

from gantrain.cli.command import Command
from gantrain.errors import ConfigError


def doctor(argv: list[str]) -> int:
    """Print versions, devices, speeds, threads and disk; return 1 when something makes training impossible."""
    from gantrain.cli.checks import FAIL, devices, disk, extras, limits, processor, versions, weights

    if argv:
        raise ConfigError("doctor", f"takes no words, got {' '.join(argv)}", "gantrain doctor")
    failed = False
    for check in (versions, extras, weights, processor, devices, disk, limits):
        for finding in check():
            failed = failed or finding.mark == FAIL
            print(f"{finding.mark:4}  {finding.name:14} {finding.text}", flush=True)
    print("training is impossible until the lines marked FAIL are fixed" if failed else "ready to train")
    return int(failed)


COMMAND = Command(
    doctor,
    usage=(("", "versions, devices, the fastest precision here, disk, threads"),),
    order=100,
    prints=True,
)
