"""What commands have in common: how they print, what they say when they cannot go on, how they end."""

from __future__ import annotations

import json
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
        context = click.get_current_context(silent=True)  # there is none any more when it is shown
        self._as_json = context is not None and bool(context.meta.get(_JSON))
        self._color = None if context is None else context.color

    @classmethod
    def of(cls, error: PicoCeleryError) -> ToolError:
        """Tell of an error of this library."""
        return cls(str(error))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it: as text to the standard error, as JSON where the command was to print that."""
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


def print_json(data: Any) -> None:
    """Print JSON data."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def end(code: int) -> None:
    """End the command with an exit code."""
    click.get_current_context().exit(code)
