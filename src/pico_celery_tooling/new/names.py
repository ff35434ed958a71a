"""Names: what ``orders.place`` is called in every file, and which names cannot be used."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from dataclasses import dataclass
from typing import Final

from pico_celery.contract.naming import is_domain, prefix_of, snake_case
from pico_celery_tooling.output import ToolError

TAKEN: Final = frozenset(
    {"Protocol", "BaseModel", "TaskError", "CeleryClient", "Celery", "Iterator", "DictSource", "EnvSource", "Field"}
)
"""Class names that the written files import themselves."""
_VERSION: Final = re.compile(r"v(\d+)")
_FORM: Final = "a task is called domain.action, such as orders.place, or orders.v2.place for version 2 of its contract"
_TYPES: Final = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskName:
    """A task's name and what follows from it."""

    domain: str
    """What its contract is called: ``orders``."""
    version: int
    """Of the contract, from 1."""
    action: str
    """Name of the method: ``place``."""

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
        """Name of the modules of the domain."""
        return self.domain.replace(".", "_")

    @property
    def contract(self) -> str:
        """Name of the contract's class: ``Orders`` or ``OrdersV2``."""
        name = "".join(part.capitalize() for part in re.split(r"[._]", self.domain) if part)
        return name if self.version == 1 else f"{name}V{self.version}"


def parse_task_name(text: str) -> TaskName:
    """Read the name of a task that is to be."""
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
        raise ToolError(f"{text!r} cannot be the name of a task", _FORM)
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
        raise ToolError(
            f"{text!r}: the class {min(clashes)} would have the name of one that it needs",
            "choose another domain",
        )
    return name


def _check_part(text: str, part: str) -> None:
    if keyword.iskeyword(part):
        raise ToolError(f"{text!r}: {part!r} is a keyword of Python and names no method", f"such as {part + '_'!r}")
    if not part.isidentifier() or part.startswith("_"):
        suggestion = re.sub(r"\W+", "_", part).strip("_")
        remedy = f"did you mean {text.replace(part, suggestion)!r}?" if suggestion.isidentifier() else _FORM
        raise ToolError(f"{text!r}: {part!r} is not a name that a method or module can have", remedy)
    if part != part.lower():
        raise ToolError(
            f"{text!r}: names of tasks are in lower case here, as methods and modules are",
            f"did you mean {text.replace(part, snake_case(part))!r}?",
        )


def check_class_name(name: str, role: str) -> None:
    """Refuse a name that the class of a model or error cannot have."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ToolError(f"{role}: {name!r} is not the name of a class", "such as 'PaymentDeclined'")
    if name in TAKEN:
        raise ToolError(f"{role}: {name!r} is a name that the written files import", "choose another one")


def check_package_name(name: str, option: str) -> None:
    """Refuse a name that a package of the user cannot have."""
    parts = name.split(".")
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        raise ToolError(f"{option}: {name!r} is not the name of a package", f"such as {option} shop")
    if parts[0] in sys.stdlib_module_names:
        raise ToolError(
            f"{option}: {parts[0]!r} is a module of Python's standard library", "a package of that name hides it"
        )
