"""What the commands have in common that ask running workers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pico_celery_tooling.sources.loading import application

if TYPE_CHECKING:
    from pico_celery_tooling.live.inspect_client import Answers

DEFAULT_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 0.1
_Function = TypeVar("_Function", bound=Callable[..., Any])


def live_options(function: _Function) -> _Function:
    """Give a command ``--live`` and ``--timeout``."""
    timeout = click.option(
        "--timeout",
        type=click.FloatRange(min=_LEAST_SECONDS),
        default=DEFAULT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long workers have to answer.",
    )
    live = click.option("--live", is_flag=True, help="Ask the running workers of the application (-A).")
    return live(timeout(function))


def answers_of(timeout: float, *, definitions: bool | Collection[str] = False) -> Answers:
    """Ask the workers of the application that the command line names."""
    app = application()
    from pico_celery_tooling.live.inspect_client import ask  # noqa: PLC0415 - it imports Celery

    return ask(app, timeout, definitions=definitions)


def nobody_answered(seconds: float) -> str:
    """Return what to say where no worker has answered within so many seconds."""
    return f"no worker answered within {seconds:g} s: do they run, on this broker and control_exchange?"
