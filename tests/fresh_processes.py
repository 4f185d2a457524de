"""The command in processes that share nothing with the last one but what was imported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Runs each command in a child of its own, which shares nothing with the last one but what was imported. A child may
# end itself, so that the moment is exact: before the books of a step, or before a checkpoint is seen.
PROCESSES = """
import json, os, pathlib, signal, socket, sys
import antlr4.LL1Analyzer, joblib, matplotlib.figure, tensorboard.summary.writer.record_writer  # as a run does
from gantrain.cli import main as cli
from gantrain.cli import train as train_command
from gantrain.distributed import join
from gantrain.training import housekeeping, run, start, together
called, renamed = housekeeping.Housekeeping.__call__, pathlib.Path.rename

def child(argv, where, moment, errors, rank, size, port):
    if size > 1:
        os.environ |= dict(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(2, 1)
    os.chdir(where)

    def call(self, state):
        if moment == f"step {state.step}":
            os.kill(os.getpid(), signal.SIGKILL)
        called(self, state)

    def rename(self, target):
        if moment == f"save {target.name}":
            os.kill(os.getpid(), signal.SIGKILL)
        return renamed(self, target)

    housekeeping.Housekeeping.__call__, pathlib.Path.rename = call, rename
    return cli.main(argv)

for line in sys.stdin:
    *request, size = json.loads(line)
    with socket.create_server(("127.0.0.1", 0)) as server:  # whose port is free then
        port = server.getsockname()[1]
    numbers = []
    for rank in range(size):
        number = os.fork()
        if not number:
            try:
                code = child(*request, rank, size, port)
            except SystemExit as end:
                code = end.code
            sys.stderr.flush()
            os._exit(code)
        numbers.append(number)
    codes = [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in numbers]
    print(next(filter(None, codes), 0), flush=True)
"""


@contextmanager
def fresh_commands() -> Iterator[Callable[..., tuple[int, str]]]:
    """Yield ``run(*argv, where, moment="", size=1) -> (exit code, what was said)``: the command in new processes.

    ``moment`` is when it is killed: ``"step 46"`` or ``"save 000048"``; ``size`` is how many play the run.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command, pipe = [sys.executable, "-c", PROCESSES], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as server:

        def run(*argv: str, where: Path, moment: str = "", size: int = 1) -> tuple[int, str]:
            errors = where / "errors.txt"
            errors.unlink(missing_ok=True)
            server.stdin.write(json.dumps([argv, str(where), moment, str(errors), size]) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline()), errors.read_text()

        yield run
