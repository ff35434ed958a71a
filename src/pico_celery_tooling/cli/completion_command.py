"""``completion``: what a shell needs to complete commands, options and names of tasks."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from pico_celery_tooling.output import ToolError, json_option, print_json

_WAYS: Final = {
    "bash": ('eval "$({program} completion bash)"', "~/.bashrc"),
    "zsh": ('eval "$({program} completion zsh)"', "~/.zshrc"),
    "fish": ("{program} completion fish | source", "~/.config/fish/config.fish"),
}
"""By shell: the line that turns completion on, and the file that it belongs into."""


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(_WAYS)))
@json_option
def command(shell: str, *, as_json: bool) -> None:
    """Print the script by which SHELL completes commands, options and names of tasks.

    \b
    bash, in ~/.bashrc:                      eval "$(pico-celery completion bash)"
    zsh, in ~/.zshrc, after compinit:        eval "$(pico-celery completion zsh)"
    fish, in ~/.config/fish/config.fish:     pico-celery completion fish | source

    Names of tasks come from contracts.lock.json in the working directory, or from the lock file that --in names.
    """
    root = click.get_current_context().find_root()
    program = (root.info_name or "pico-celery").split()[-1].rpartition("/")[2]
    found = get_completion_class(shell)
    if found is None:
        raise ToolError(f"this version of click completes nothing in {shell}", "upgrade click")
    script = found(root.command, {}, program, f"_{program.replace('-', '_').upper()}_COMPLETE").source()
    line, place = _WAYS[shell]
    if as_json:
        print_json({"shell": shell, "script": script, "line": line.format(program=program), "file": place})
        return
    click.echo(f"# To turn it on, add this line to {place} and start a new shell:\n#   {line.format(program=program)}")
    click.echo(script)


_LOCK_FILE: Final = "contracts.lock.json"  # the module that owns the name takes longer to import than this has time


class TaskNameParam(click.ParamType[str]):
    """Name of a task; a shell completes it.

    Names come from the lock file that ``--in`` names, or from the one in the working directory.
    """

    name = "task"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Return the names of tasks that begin like what was typed."""
        del param
        return [CompletionItem(name, help=doc) for name, doc in _names(ctx.params) if name.startswith(incomplete)]


class DescribedName(TaskNameParam):
    """Name of a task or of a contract."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Return the names of tasks and contracts that begin like what was typed."""
        contracts = [name for name in _contracts(ctx.params) if name.startswith(incomplete)]
        return [*(CompletionItem(name) for name in contracts), *super().shell_complete(ctx, param, incomplete)]


class SchemaTarget(TaskNameParam):
    """What `schema` works on: a package, a lock file or a task; a shell completes tasks and files."""

    name = "package"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Return the names of tasks that begin like what was typed, or let the shell look for files."""
        return super().shell_complete(ctx, param, incomplete) or [CompletionItem(incomplete, type="file")]


def _contracts(params: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the contracts of the lock file, each with the first lines of what its tasks say."""
    given = params.get("source")  # what commands call it
    path = Path(given) if isinstance(given, str) and given.endswith(".json") else Path(_LOCK_FILE)
    # Whatever is wrong with the file, a shell that is being typed into is not the place to say so.
    with contextlib.suppress(OSError, ValueError, LookupError, AttributeError, TypeError):
        contracts = json.loads(path.read_text(encoding="utf-8"))["contracts"].items()
        return {
            key: {name: str(task.get("doc") or "").partition("\n")[0] for name, task in contract["tasks"].items()}
            for key, contract in contracts
        }
    return {}


def _names(params: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted(named for tasks in _contracts(params).values() for named in tasks.items())


TASK_NAME: Final = TaskNameParam()
DESCRIBED_NAME: Final = DescribedName()
SCHEMA_TARGET: Final = SchemaTarget()
