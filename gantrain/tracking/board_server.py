"""TensorBoard's server on a folder of runs, whose bare address shows the cards to look at first."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gantrain.errors import ConfigError, GantrainError
from gantrain.tracking.pinned_cards import pinned_query, runs_under


def serve(folder: Path, flags: list[str]) -> int:
    """Serve TensorBoard until a signal ends it, print its address, and return the exit code.

    Args:
        folder: The value of ``--logdir``.
        flags: TensorBoard's own, of which some print something and start no server.

    Raises:
        ConfigError: For flags that do not go together; one that is unknown ends the process with argparse's message.
    """
    from tensorboard import default, main_lib, program
    from tensorboard.plugins.base_plugin import FlagsError

    class Server(program.WerkzeugServer):
        def __init__(self, wsgi_app: Any, flags: Any):
            super().__init__(with_pinned_cards(wsgi_app, folder, flags.path_prefix), flags)

        def print_serving_message(self) -> None:
            print(self.get_url(), flush=True)

    main_lib.global_init()
    board = program.TensorBoard(default.get_plugins(), server_class=program.with_port_scanning(Server))
    try:
        board.configure(["tensorboard", "--logdir", str(folder), *flags])
    except FlagsError as error:
        raise ConfigError("tensorboard", str(error), "see: tensorboard --helpfull") from error
    return int(board.main())


def with_pinned_cards(wsgi_app: Callable[..., Any], folder: Path, prefix: str) -> Callable[..., Any]:
    """Return TensorBoard's application with a redirect from its bare address to one that pins cards.

    The runs are searched at each visit, so that those that began since are shown.

    Args:
        wsgi_app: TensorBoard's.
        folder: The runs' folder.
        prefix: The path of its address.
    """

    def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != f"{prefix}/" or environ.get("QUERY_STRING"):
            return wsgi_app(environ, start_response)
        query = pinned_query(folder, ())
        with suppress(GantrainError, OSError):  # the folder was removed, or holds too many
            query = pinned_query(folder, runs_under(folder))
        headers = [("Location", query), ("Cache-Control", "no-store"), ("Content-Length", "0")]
        start_response("302 Found", headers)
        return []

    return respond


if __name__ == "__main__":
    try:
        sys.exit(serve(Path(sys.argv[1]), sys.argv[2:]))
    except GantrainError as failure:
        print(f"gantrain: error: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
