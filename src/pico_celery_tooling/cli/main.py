"""The two entry points, and the module of each command.

A command's module is imported when the command is used, so that those that need no Celery start without it.
"""

from __future__ import annotations

import gc
import os
import traceback
from importlib import import_module
from typing import Final

import click

from pico_celery.contract.naming import did_you_mean
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.output import ToolError

COMMANDS: Final = {
    "list": "list_command",
    "describe": "describe_command",
    "lock": "lock_command",
    "check": "check_command",
    "verify": "verify_command",
    "call": "call_command",
    "schema": "schema_command",
    "asyncapi": "asyncapi_command",
    "docs": "docs_command",
    "new": "new_command",
    "completion": "completion_command",
}
"""By name: the module of this package whose attribute ``command`` it is."""

EPILOG: Final = "Exit codes: 0 fine, 1 findings, 2 wrong use, or something could not be loaded or reached."
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class CommandGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order in which they are needed."""
        return [*COMMANDS, *(name for name in super().list_commands(ctx) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        found: click.Command = import_module(f"pico_celery_tooling.cli.{module}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or suggest one that exists."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            message = f"{error.message.rstrip('.')}; {did_you_mean(args[0], self.list_commands(ctx))}"
            raise click.UsageError(message, ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an unexpected error must not exit like a finding."""
        without_color = getattr(ctx.find_root().obj, "no_color", False)  # celery --no-color
        if os.environ.get("NO_COLOR") or without_color:
            ctx.color = False
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if error.option_name not in {"-A", "--app"}:
                raise
            place = f"it goes before the command: {ctx.find_root().info_name} -A your.module:app ..."
            raise click.UsageError(f"No such option {error.option_name!r} here; {place}", error.ctx) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except RecursionError:
            raise ToolError("the contracts nest too deeply to be read") from None
        except PicoCeleryError as error:
            raise ToolError.of(error) from error
        except OSError as error:
            if error.filename is None:
                raise _bug() from None
            raise ToolError(
                f"{error.filename} cannot be read or written: {error.strerror}",
                "name another file, or correct its rights",
            ) from error
        except Exception:  # noqa: BLE001 - it must not exit with the code of findings
            raise _bug() from None


def _bug() -> ToolError:
    traceback.print_exc()
    return ToolError("this is a bug in pico-celery", "please report it, with the lines above")


@click.group("contracts", cls=CommandGroup, context_settings=dict(_SETTINGS), epilog=EPILOG)
def contracts() -> None:
    """Lock, compare, ask, call and document the contracts of this application."""


@click.group("pico-celery", cls=CommandGroup, context_settings=dict(_SETTINGS), epilog=EPILOG)
@click.option(
    "-A",
    "--app",
    envvar="APP",
    metavar="MODULE:NAME",
    help="The Celery application, for the commands that ask running workers or look at the application itself.",
)
@click.version_option(package_name="pico-celery", prog_name="pico-celery")
def pico_celery(app: str | None) -> None:
    """Lock, compare, ask, call and document the contracts of your tasks.

    \b
    pico-celery new orders.place --into shop   start a task
    pico-celery lock shop_contracts            write down what is agreed
    pico-celery check shop_contracts           who breaks, after a change
    pico-celery -A shop.app verify --live      do the workers serve it
    """
    del app  # the commands that need it take it from their context


pico_celery.add_command(contracts)  # so that what is written of one command line holds for the other


def collect_rarely() -> None:
    """Run the cycle collector rarely: nearly all that a command allocates lives until it ends.

    With the default thresholds it takes a fifth of the time of ``check``, and frees next to nothing.
    """
    gc.set_threshold(50_000, 20, 100)


def main() -> None:
    """Run ``pico-celery``."""
    collect_rarely()
    pico_celery(prog_name="pico-celery")
