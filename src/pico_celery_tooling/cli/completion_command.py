"""``completion``: what a shell needs to complete commands, options and names of tasks."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

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
