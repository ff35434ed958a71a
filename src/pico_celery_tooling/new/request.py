"""What ``new`` is asked for: the task's name, its parameters and its options, parsed and checked."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter, ValidationError

from pico_celery.contract.naming import did_you_mean, is_domain, prefix_of, snake_case
from pico_celery_tooling.new.python_file import names_in, source
from pico_celery_tooling.new.task_types import BUILTINS, KNOWN, TAKEN, namespace
from pico_celery_tooling.output import ToolError

_VERSION: Final = re.compile(r"v(\d+)")
_NAME_FORM: Final = (
    "a task is called domain.action, such as orders.place, or orders.v2.place for version 2 of its contract"
)
_PARAMETER_FORM: Final = "write name:type, or name:type=default, such as --param order:Order --param dry_run:bool=False"
_TYPES: Final = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))
_KEYWORD_ONLY: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskName:
    """A task's name, and the names that follow from it."""

    domain: str
    """Of its contract: ``orders``."""
    version: int
    """Of its contract, from 1."""
    action: str
    """Its method: ``place``."""

    @property
    def prefix(self) -> str:
        """What the names of the contract's tasks begin with: ``orders`` or ``orders.v2``."""
        return prefix_of(self.domain, self.version)

    @property
    def full(self) -> str:
        """The name on the wire."""
        return f"{self.prefix}.{self.action}"

    @property
    def identifier(self) -> str:
        """The prefix as an identifier, for functions and files: ``orders_v2``."""
        return self.prefix.replace(".", "_")

    @property
    def module(self) -> str:
        """The modules of the domain."""
        return self.domain.replace(".", "_")

    @property
    def contract(self) -> str:
        """The contract's class: ``Orders`` or ``OrdersV2``."""
        name = "".join(part.capitalize() for part in re.split(r"[._]", self.domain) if part)
        return name if self.version == 1 else f"{name}V{self.version}"

    @property
    def fixture(self) -> str:
        """The fixture of the contract's tests."""
        return f"{self.identifier}_client"

    @property
    def test(self) -> str:
        """The test of the task."""
        return f"test_{self.identifier}_{self.action}"


def parse_task_name(text: str) -> TaskName:
    """Parse the name of a new task."""
    *domain, action = text.split(".")
    version = 1
    if len(domain) > 1 and (match := _VERSION.fullmatch(domain[-1])):
        version = int(match[1])
        domain.pop()
        if version < 2 or match[1] != str(version):  # noqa: PLR2004 - a first version is not written
            plain = ".".join([*domain, action])
            raise ToolError(
                f"{text!r} names version {match[1]}, which no task name does", f"write {plain!r} for version 1"
            )
    if not domain or not is_domain(".".join(domain)) or not action:
        raise ToolError(f"{text!r} cannot be the name of a task", _NAME_FORM)
    for part in (*domain, action):
        _check_part(text, part)
    if action in _TYPES:
        raise ToolError(
            f"{text!r}: a method called {action!r} hides the type {action!r} from the methods after it",
            f"call it {action + '_all'!r}, or what it does exactly",
        )
    name = TaskName(domain=".".join(domain), version=version, action=action)
    clashes = {name.contract, f"{name.contract}Worker", f"{name.contract}Client"} & TAKEN
    if clashes:
        raise ToolError(f"{text!r}: its class {min(clashes)} would hide one that it needs", "choose another domain")
    return name


def _check_part(text: str, part: str) -> None:
    if keyword.iskeyword(part):
        raise ToolError(
            f"{text!r}: {part!r} is a keyword of Python and cannot name a method", f"such as {part + '_'!r}"
        )
    if not part.isidentifier() or part.startswith("_"):
        suggestion = re.sub(r"\W+", "_", part).strip("_")
        remedy = f"did you mean {text.replace(part, suggestion)!r}?" if suggestion.isidentifier() else _NAME_FORM
        raise ToolError(f"{text!r}: {part!r} is not a name that a method or module can have", remedy)
    if part != part.lower():
        raise ToolError(
            f"{text!r}: task names are in lower case, as methods and modules are",
            f"did you mean {text.replace(part, snake_case(part))!r}?",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewParameter:
    """A parameter of a new task."""

    name: str
    type: ast.expr
    default: ast.expr | None = None
    keyword_only: bool = False

    @property
    def role(self) -> str:
        """What messages call it."""
        return f"--param {self.name}"


def parse_parameters(texts: Sequence[str], *, keyword_only: bool) -> tuple[NewParameter, ...]:
    """Parse the parameters; a lone ``*`` makes those after it keyword-only."""
    parameters: list[NewParameter] = []
    for text in texts:
        if text.strip() == _KEYWORD_ONLY:
            keyword_only = True
            continue
        parameter = replace(_parse(text), keyword_only=keyword_only)
        if any(other.name == parameter.name for other in parameters):
            raise ToolError(f"{parameter.role} is there twice", "a parameter's name is its name on the wire")
        if not keyword_only and parameter.default is None and parameters and parameters[-1].default is not None:
            raise ToolError(
                f"{parameter.role} has no default and follows {parameters[-1].role}, which has one",
                f"put it first, or make it keyword-only: --param '{_KEYWORD_ONLY}' or --keyword-only",
            )
        parameters.append(parameter)
    return tuple(parameters)


def _parse(text: str) -> NewParameter:
    name = text.partition(":")[0].partition("=")[0].strip()
    try:
        function = ast.parse(f"def f(*, {text}): ...").body[0]
    except SyntaxError as error:
        raise ToolError(f"--param {text!r} is not a parameter: {error.msg}", _PARAMETER_FORM) from None
    arguments = next(node for node in ast.walk(function) if isinstance(node, ast.arguments))  # those of f
    found = [node for node in ast.iter_child_nodes(arguments) if isinstance(node, ast.arg)]
    if len(found) != 1 or arguments.kwonlyargs != found:
        raise ToolError(f"--param {text!r} is not one parameter", _PARAMETER_FORM)
    argument, default = arguments.kwonlyargs[0], arguments.kw_defaults[0]
    if argument.annotation is None:
        raise ToolError(f"--param {name} has no type", _PARAMETER_FORM)
    if isinstance(default, ast.Name) and isinstance(argument.annotation, ast.Name) and argument.annotation.id == "str":
        default = ast.Constant(default.id)  # the shell took its quotes
    if name == "self" or name.startswith("__"):
        raise ToolError(f"--param {name}: a parameter cannot have this name", "choose another name")
    parameter = NewParameter(name=argument.arg, type=argument.annotation, default=default)
    source(parameter.type, parameter.role)
    if default is not None:
        _check_default(parameter, default)
    return parameter


def _check_default(parameter: NewParameter, default: ast.expr) -> None:
    """Refuse a default of another type, as far as that shows without a class of the user."""
    shown = source(default, parameter.role)
    if isinstance(default, ast.Name) and default.id not in {*KNOWN, *BUILTINS}:
        raise ToolError(
            f"{parameter.role}: the default {default.id} is not a value",
            f"{did_you_mean(default.id, ['True', 'False', 'None'])}; "
            f"text needs quotes that the shell leaves: '{parameter.name}:str=\"a text\"'",
        )
    if not {*names_in(parameter.type), *names_in(default)} <= {*BUILTINS, *KNOWN}:
        return
    type_text = source(parameter.type, parameter.role)
    space = namespace()
    try:
        value: object = eval(shown, space)  # noqa: S307 - constants, and calls of these types: `source` refuses anything else
        TypeAdapter(eval(type_text, space)).validate_python(value, strict=True)  # noqa: S307 - as above
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]["msg"]
        raise ToolError(f"{parameter.role}: {type_text} cannot have the default {shown}: {detail}") from None
    except Exception as error:  # noqa: BLE001 - whatever a constructor raises
        raise ToolError(f"{parameter.role}: {type_text}={shown}: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A task to be started."""

    name: TaskName
    parameters: tuple[NewParameter, ...] = ()
    returns: str = "None"
    errors: tuple[str, ...] = ()
    """Names of the classes of its declared errors."""
    queue: str | None = None
    doc: str | None = None
    models: tuple[str, ...] = ()
    """Models to make although there are similar names."""

    @classmethod
    def of(
        cls,
        name: str,
        *,
        params: Sequence[str] = (),
        returns: str | None = None,
        errors: Sequence[str] = (),
        queue: str | None = None,
        doc: str | None = None,
        models: Sequence[str] = (),
        keyword_only: bool = False,
    ) -> Request:
        """Parse the command line."""
        return cls(
            name=parse_task_name(name),
            parameters=parse_parameters(params, keyword_only=keyword_only),
            returns=returns or "None",
            errors=tuple(dict.fromkeys(errors)),
            queue=_queue(queue),
            doc=_text(doc),
            models=tuple(models),
        )

    def signature(self, annotations: Sequence[str]) -> list[str]:
        """Return the parameters as a signature has them, with these types and ``self`` first."""
        texts = ["self"]
        for parameter, annotation in zip(self.parameters, annotations, strict=True):
            if parameter.keyword_only and _KEYWORD_ONLY not in texts:
                texts.append(_KEYWORD_ONLY)
            default = "" if parameter.default is None else f" = {source(parameter.default, parameter.role)}"
            texts.append(f"{parameter.name}: {annotation}{default}")
        return texts


def _queue(name: str | None) -> str | None:
    if name is not None and (not name or not name.isprintable() or any(character.isspace() for character in name)):
        raise ToolError(f"--queue: {name!r} is not the name of a queue", "such as --queue orders")
    return name


def _text(doc: str | None) -> str | None:
    """Return a text as a docstring has it: one paragraph that ends with a full stop."""
    if doc is None or not doc.strip():
        return None
    if "\\" in doc or '"""' in doc or doc.rstrip().endswith('"'):
        raise ToolError(f"--doc: {doc!r} cannot be a docstring", "leave out backslashes, and quotes at the end")
    text = " ".join(doc.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
