"""What all commands share: output, errors, exit codes, and calls in bounded time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import IO, Any, Final, TypeVar

import click

from pico_celery.errors import PicoCeleryError

EXIT_FINE: Final = 0
EXIT_FINDINGS: Final = 1
EXIT_USAGE: Final = 2
_JSON: Final = f"{__name__}.json"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class ToolError(click.ClickException):
    """A command cannot go on: wrong use, or something could not be loaded or reached."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        context = click.get_current_context(silent=True)  # it is gone by the time the error is shown
        self._as_json = context is not None and bool(context.meta.get(_JSON))
        self._color = None if context is None else context.color

    @classmethod
    def of(cls, error: PicoCeleryError) -> ToolError:
        """Report an error of this library."""
        return cls(str(error))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it: as JSON with ``--json``, else as text to the standard error."""
        if self._as_json:
            print_json({"error": {"message": self.message, **({"remedy": self.remedy} if self.remedy else {})}})
            return
        heading = click.style("error:", fg="red", bold=True)
        click.echo(f"{heading} {self.message}", file=file, err=file is None, color=self._color)
        if self.remedy:
            click.echo(f"  {self.remedy}", file=file, err=file is None)


def json_option(function: _Function) -> _Function:
    """Give a command ``--json``, which it gets as ``as_json``."""
    option = click.option("--json", "as_json", is_flag=True, callback=_remember, help="Print JSON, for programs.")
    return option(function)


def _remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
    context.meta[_JSON] = value  # of the whole command line: an error may come to light above the command
    return value


def print_json(data: object) -> None:
    """Print JSON data."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def end(code: int) -> None:
    """End the command with an exit code."""
    click.get_current_context().exit(code)


T = TypeVar("T")


class NoReturnError(TimeoutError):
    """A call has not returned in time; it is still running, on a thread that nobody waits for."""


def in_time(call: Callable[[], T], seconds: float) -> T:
    """Call on a thread that may be left behind: a server that accepts and never answers blocks it forever."""
    returned: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run, name="pico-celery-in-time", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not returned:
        raise NoReturnError(f"no answer within {seconds:g} s")
    return returned[0]
