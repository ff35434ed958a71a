"""The command ``python -m pico_celery.app.embedded``: look after a server by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pico_celery.app.embedded.broker import EmbeddedBroker
from pico_celery.app.embedded.directory import DEFAULT_DIRECTORY
from pico_celery.errors import EmbeddedBrokerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m pico_celery.app.embedded``."""
    parser = argparse.ArgumentParser(prog="python -m pico_celery.app.embedded", description="Look after a server.")
    parser.add_argument("action", choices=("status", "stop"))
    parser.add_argument(
        "directory", nargs="?", default=DEFAULT_DIRECTORY, help=f"the data directory ({DEFAULT_DIRECTORY})"
    )
    parser.add_argument("--unused", action="store_true", help="stop the server only if no process uses it")
    options = parser.parse_intermixed_args(arguments)
    try:
        broker = EmbeddedBroker(options.directory)
        if options.action == "status":
            return _report_status(broker)
        return _report_stop(broker, only_unused=options.unused)
    except EmbeddedBrokerError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _report_status(broker: EmbeddedBroker) -> int:
    pid = broker.server_pid()
    state = "no server answers" if pid is None else f"running, process {pid}, {broker.url(0)}"
    sys.stdout.write(f"{broker.directory}: {state}\n")
    return 1 if pid is None else 0


def _report_stop(broker: EmbeddedBroker, *, only_unused: bool) -> int:
    was_stopped = broker.shutdown(only_unused=only_unused)
    nothing = "no unused server was running" if only_unused else "no server was running"
    sys.stdout.write(f"{broker.directory}: {'stopped' if was_stopped else nothing}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
