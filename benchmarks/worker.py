"""A process that plays when it is its turn: ``python -m benchmarks.worker KIND WORD...``.

It reads lines ``play N``, ``housekeeping`` and ``flops`` from its standard input and answers each with a line of JSON;
between two turns it sleeps. What the player itself prints goes to its error stream, which the parent keeps in a file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from benchmarks.clock import own_cpu_seconds, peak_memory


class Channel:
    """The two pipes to the parent, taken off this process's standard input and output."""

    def __init__(self) -> None:
        self._in, self._out = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)

    def request(self) -> list[str]:
        """Return the words of the next line; end the process when the parent has closed the pipe."""
        line = self._in.readline()
        if not line:
            os._exit(0)  # in the middle of a run, whose folder the parent removes
        return line.split()

    def answer(self, **values: Any) -> None:
        """Send one line, with the CPU-seconds and the most memory of this process so far."""
        import torch

        common = dict(cpu=own_cpu_seconds(), memory=peak_memory(), threads=torch.get_num_threads())
        print(json.dumps(common | values), file=self._out, flush=True)


def play_run(channel: Channel, words: list[str]) -> NoReturn:
    """Run the ``gantrain`` command with these words; it waits for its turn after a step."""
    from gantrain.cli.main import main
    from gantrain.training import open_run
    from gantrain.training.housekeeping import Housekeeping
    from gantrain.training.state import TrainState

    class Turns(Housekeeping):
        """The run's own housekeeping, timed, and then the wait for the next turn."""

        left = 1  # steps of this turn

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.parts: dict[str, list[tuple[float, float]]] = {}  # seconds and CPU-seconds of each call
            self.gallery.sample = self._timed("sample", self.gallery.sample)  # type: ignore[method-assign]
            for name in ("log_scalars", "evaluate", "save"):
                setattr(self, name, self._timed(name, getattr(self, name)))

        def _timed(self, name: str, work: Any) -> Any:
            def timed_work(*args: Any, **options: Any) -> None:
                wall, cpu = time.perf_counter(), own_cpu_seconds()
                work(*args, **options)
                seconds = time.perf_counter() - wall, own_cpu_seconds() - cpu
                self.parts.setdefault(name, []).append(seconds)

            return timed_work

        def __call__(self, state: TrainState) -> None:
            super().__call__(state)
            self.left -= 1
            while not self.left:
                channel.answer(parts=self.parts, every=self._intervals())
                self.parts.clear()
                task, *count = channel.request()
                if task == "play":
                    self.left = int(count[0])
                else:
                    self._work_once(state)

        def _intervals(self) -> dict[str, int]:
            """Return after how many steps each of the parts is due again."""
            train = self.config.train
            return {
                "log_scalars": train.log_every,
                "evaluate": train.evaluate_every,
                "sample": train.sample_every,
                "save": train.checkpoint_every,
            }

        def _work_once(self, state: TrainState) -> None:
            """Do once what a run does besides its steps."""
            self.log_scalars(state, live=True)
            self.evaluate(state)
            self.gallery.sample(state, {})
            self.save(state)

    open_run.Housekeeping = Turns  # type: ignore[assignment,misc]
    sys.argv[1:] = words
    sys.exit(main() or 1)


def play_loop(channel: Channel, loop: Iterator[object]) -> NoReturn:
    """Advance a loop by as many steps as the parent wants."""
    next(loop)
    channel.answer()
    while True:
        task, *count = channel.request()
        if task == "flops":
            channel.answer(flops=operations(loop))
            continue
        for _ in range(int(count[0])):
            next(loop)
        channel.answer()


def operations(loop: Iterator[object]) -> int:
    """Return the floating-point operations of one step: those of products of matrices and convolutions."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):
        """Counts by the formulas of torch; its own mode also follows modules, and fails in ``autograd.grad``."""

        total = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if formula := flop_registry.get(func.overloadpacket):
                self.total += formula(*args, **(kwargs or {}), out_val=result)
            return result

    with Counter() as counter:
        next(loop)
    return counter.total


def hand_loop(words: list[str], kind: str) -> Iterator[object]:
    """Return the loop of a tutorial, or the lean one, of the game that the words describe.

    Words ``--without=TRICK`` and ``--with=TRICK`` change the tricks of the lean loop.
    """
    from benchmarks import hand_loop, tutorials
    from gantrain.config.compose import check, compose
    from gantrain.core.plugins import split_plugins, use

    words, folders = split_plugins(words)
    use(folders)
    config = check(compose([word for word in words if not word.startswith("--")]))
    if kind == "tutorial":
        return tutorials.TUTORIALS[config.objective.name](config)
    less, more = (
        {word.partition("=")[2] for word in words if word.startswith(f"--{sign}=")}
        for sign in ("without", "with")
    )
    return hand_loop.play(config, hand_loop.LEAN - less | more)


def multiply(size: int = 1024) -> Iterator[None]:
    """Multiply two square matrices, 2 size^3 operations at each ``next``."""
    import torch

    a, b, c = (torch.rand(size, size) for _ in range(3))
    while True:
        torch.mm(a, b, out=c)
        yield


def main(argv: list[str]) -> NoReturn:
    """Play as the kind: ``run``, ``tutorial``, ``lean`` or ``multiply``."""
    kind, *words = argv
    channel = Channel()
    if kind == "run":
        play_run(channel, words)
    play_loop(channel, multiply() if kind == "multiply" else hand_loop(words, kind))


if __name__ == "__main__":
    main(sys.argv[1:])
