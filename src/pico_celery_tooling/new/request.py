"""What ``new`` was asked for: the task, its parameters and its options, parsed and checked."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter, ValidationError

from pico_celery.contract.naming import did_you_mean
from pico_celery_tooling.new.examples import BUILTINS, KNOWN, namespace
from pico_celery_tooling.new.names import TaskName, parse_task_name
from pico_celery_tooling.new.source_text import Expression, annotated, names_in, source
from pico_celery_tooling.output import ToolError

MARK: Final = "*"
"""What stands, as in a signature, before the parameters that can be given by name only."""
_FORM: Final = "write name:type, or name:type=default, such as --param order:Order --param dry_run:bool=False"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter."""

    name: str
    """Its name, which is its name on the wire."""
    type: ast.expr
    default: ast.expr | None = None
    """Its default, where it has one."""
    keyword_only: bool = False
    """Whether it cannot be given by position."""

    @property
    def role(self) -> str:
        """What it is called in messages."""
        return f"--param {self.name}"


def parse_parameters(texts: Sequence[str], *, keyword_only: bool) -> tuple[Parameter, ...]:
    """Read the parameters."""
    parameters: list[Parameter] = []
    for text in texts:
        if text.strip() == MARK:
            keyword_only = True
            continue
        parameter = replace(_parse(text), keyword_only=keyword_only)
        if any(other.name == parameter.name for other in parameters):
            raise ToolError(f"{parameter.role} is there twice", "a parameter's name is its name on the wire")
        if not keyword_only and parameter.default is None and parameters and parameters[-1].default is not None:
            raise ToolError(
                f"{parameter.role} has no default and follows --param {parameters[-1].name}, which has one",
                f"put it first, or make what follows keyword-only: --param '{MARK}' or --keyword-only",
            )
        parameters.append(parameter)
    return tuple(parameters)


def _parse(text: str) -> Parameter:
    name = text.partition(":")[0].partition("=")[0].strip()
    try:
        function = ast.parse(f"def f(*, {text}): ...").body[0]
    except SyntaxError as error:
        raise ToolError(f"--param {text!r} is not a parameter: {error.msg}", _FORM) from None
    if not isinstance(function, ast.FunctionDef) or _count(function.args) != 1 or not function.args.kwonlyargs:
        raise ToolError(f"--param {text!r} is not one parameter", _FORM)
    argument, default = function.args.kwonlyargs[0], function.args.kw_defaults[0]
    if isinstance(default, ast.Name) and isinstance(argument.annotation, ast.Name) and argument.annotation.id == "str":
        default = ast.Constant(default.id)  # the shell took its quotes
    if argument.annotation is None:
        raise ToolError(f"--param {name} has no type", _FORM)
    if name == "self" or name.startswith("__"):
        raise ToolError(f"--param {name}: no parameter can be called so", "choose another name")
    parameter = Parameter(name=argument.arg, type=argument.annotation, default=default)
    source(parameter.type, parameter.role)
    if default is not None:
        _check_default(parameter, default)
    return parameter


def _count(arguments: ast.arguments) -> int:
    single = [found for found in (arguments.vararg, arguments.kwarg) if found is not None]
    return len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single])


def _check_default(parameter: Parameter, default: ast.expr) -> None:
    """Refuse a default of another type, where no class of the user is needed to tell."""
    shown = source(default, parameter.role)
    unknown = [name for name in names_in(default) if "." not in name and name not in KNOWN and name not in BUILTINS]
    if isinstance(default, ast.Name) and unknown:
        raise ToolError(
            f"{parameter.role}: the default {unknown[0]} is no value",
            f"{did_you_mean(unknown[0], ['True', 'False', 'None'])}; text needs quotes that the shell leaves: '{parameter.name}:str=\"a text\"'",
        )
    names = {*names_in(parameter.type), *names_in(default)}
    if not names <= {*BUILTINS, *KNOWN}:
        return
    type_text = source(parameter.type, parameter.role)
    space = namespace()
    try:
        value = eval(shown, space)  # noqa: S307 - constants, and calls of these types: `source` refuses anything else
        TypeAdapter(eval(type_text, space)).validate_python(value, strict=True)  # noqa: S307
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]["msg"]
        raise ToolError(f"{parameter.role}: {type_text} cannot have the default {shown}: {detail}") from None
    except Exception as error:  # noqa: BLE001 - whatever a constructor raises
        raise ToolError(f"{parameter.role}: {type_text}={shown}: {type(error).__name__}: {error}") from None


def in_signature(parameters: Sequence[Parameter], annotations: Sequence[str]) -> list[Expression]:
    """Return the parameters as they stand in a signature, ``self`` first."""
    texts: list[Expression] = ["self"]
    was_keyword_only = False
    for parameter, annotation in zip(parameters, annotations, strict=True):
        if parameter.keyword_only and not was_keyword_only:
            texts.append(MARK)
            was_keyword_only = True
        default = "" if parameter.default is None else f" = {source(parameter.default, parameter.role)}"
        texts.append(annotated(annotation, f"{parameter.name}: ", default))
    return texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A task that is to be."""

    name: TaskName
    parameters: tuple[Parameter, ...] = ()
    returns: str = "None"
    """Its result, as text."""
    errors: tuple[str, ...] = ()
    """The errors that it declares, by the names of their classes."""
    queue: str | None = None
    doc: str | None = None
    models: tuple[str, ...] = ()
    """Models to make although there are others that look alike."""

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
        """Read what the command line says."""
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
