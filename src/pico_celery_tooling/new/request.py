"""What ``new`` was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pico_celery_tooling.new.names import TaskName, parse_task_name
from pico_celery_tooling.new.parameters import Parameter, parse_parameters
from pico_celery_tooling.output import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A task that is to be.

    Attributes:
        name: Its name.
        parameters: Its parameters.
        returns: Its result, as text.
        errors: The errors that it declares, by the names of their classes.
        queue: Its queue.
        doc: Its text.
        models: Models to make although there are others that look alike.
    """

    name: TaskName
    parameters: tuple[Parameter, ...] = ()
    returns: str = "None"
    errors: tuple[str, ...] = ()
    queue: str | None = None
    doc: str | None = None
    models: tuple[str, ...] = ()

    @classmethod
    def of(  # noqa: PLR0917 - one argument for each option of the command
        cls,
        name: str,
        params: Sequence[str] = (),
        returns: str | None = None,
        errors: Sequence[str] = (),
        queue: str | None = None,
        doc: str | None = None,
        models: Sequence[str] = (),
        *,
        keyword_only: bool = False,
    ) -> Request:
        """Read what the command line says.

        Args:
            name: Of the task.
            params: ``name:type=default`` each.
            returns: Type of the result; ``None`` without it.
            errors: Names of classes.
            queue: Its queue.
            doc: Its text.
            models: Names of classes.
            keyword_only: Whether no parameter can be given by position.

        Returns:
            It.

        Raises:
            ToolError: If a part of it cannot be.
        """
        return cls(
            name=parse_task_name(name),
            parameters=parse_parameters(params, keyword_only=keyword_only),
            returns=returns or "None",
            errors=tuple(dict.fromkeys(errors)),
            queue=_queue(queue),
            doc=_text(doc),
            models=tuple(models),
        )


def _queue(name: str | None) -> str | None:
    if name is not None and (not name or not name.isprintable() or any(character.isspace() for character in name)):
        raise ToolError(f"--queue: {name!r} is not the name of a queue", "such as --queue orders")
    return name


def _text(doc: str | None) -> str | None:
    """Return a text as a docstring has it: one paragraph, with a full stop at its end."""
    if doc is None or not doc.strip():
        return None
    if "\\" in doc or '"""' in doc or doc.rstrip().endswith('"'):
        raise ToolError(f"--doc: {doc!r} cannot be a docstring", "leave out backslashes, and quotes at the end")
    text = " ".join(doc.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
