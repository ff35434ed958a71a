"""The contract, worker, client and application that a package has already."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pico_celery.contract.naming import prefix_of, snake_case
from pico_celery_tooling.new.names import TaskName
from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import PythonFile
from pico_celery_tooling.new.source_text import dotted

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLocation:
    """A class in a file."""

    file: PythonFile
    name: str
    """Name of the class."""

    @property
    def node(self) -> ast.ClassDef:
        """The class."""
        found = self.file.class_named(self.name)
        assert found is not None  # noqa: S101 - it was found there
        return found


def declared(file: PythonFile) -> Iterator[tuple[ast.ClassDef, str, int]]:
    """Iterate over the contracts in a file, with domain and version."""
    if "contract" not in file.text:
        return
    for node in file.classes():
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if (dotted(called) or "").rpartition(".")[2] != "contract":
                continue
            domain, version = snake_case(node.name), 1
            if isinstance(decorator, ast.Call):
                for argument in decorator.args[:1]:
                    domain = _constant(argument, str) or ""
                for keyword in decorator.keywords:
                    if keyword.arg == "version":
                        version = _constant(keyword.value, int) or 0
            yield node, domain, version


def contract_of(project: Project, name: TaskName) -> ClassLocation | None:
    """Return the contract that a task belongs to, if the package has it."""
    for file in project.files.values():
        for node, domain, version in declared(file):
            if domain == name.domain and version == name.version:
                return ClassLocation(file=file, name=node.name)
    return None


def file_of_domain(project: Project, domain: str) -> PythonFile | None:
    """Return the file that has another version of a contract."""
    files = project.files.values()
    return next((file for file in files for _, found, _ in declared(file) if found == domain), None)


def task_named(project: Project, full: str) -> tuple[PythonFile, int] | None:
    """Return file and line where a contract of the package gives a task this whole name by ``name=``."""
    for file in project.files.values():
        if f'"{full}"' not in file.text and f"'{full}'" not in file.text:
            continue
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call) or (dotted(node.func) or "").rpartition(".")[2] != "task_options":
                continue
            for keyword in node.keywords:
                if keyword.arg == "name" and _constant(keyword.value, str) == full:
                    return file, node.lineno
    return None


def queue_of(contract: ClassLocation) -> str | None:
    """Return the queue of a contract's tasks, if all of them have the same one."""
    queues: set[str | None] = set()
    for member in contract.node.body:
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            calls = [found for found in member.decorator_list if isinstance(found, ast.Call)]
            given = [keyword.value for found in calls for keyword in found.keywords if keyword.arg == "queue"]
            queues.add(_constant(given[0], str) if given else None)
    return queues.pop() if len(queues) == 1 else None


def worker_of(project: Project, name: TaskName, contract: ClassLocation | None) -> ClassLocation | None:
    """Return the component that implements tasks of the contract, if the package has one."""
    for file in project.files.values():
        if "task" not in file.text and (contract is None or contract.name not in file.text):
            continue
        for node in file.classes():
            if contract is not None and file.module == contract.file.module and node.name == contract.name:
                continue
            if any(_is_contract(project, file, base, contract) for base in node.bases) and not _is_protocol(node):
                return ClassLocation(file=file, name=node.name)
            for member in node.body:
                decorators = getattr(member, "decorator_list", [])
                if any(_refers(project, file, found, "task", name, contract) for found in decorators):
                    return ClassLocation(file=file, name=node.name)
    return None


def client_of(project: Project, name: TaskName, contract: ClassLocation | None) -> ClassLocation | None:
    """Return the client that calls tasks of the contract, if the package has one."""
    for file in project.files.values():
        if "send_task" not in file.text:
            continue
        for node in file.classes():
            for member in node.body:
                found = [*getattr(member, "decorator_list", []), getattr(member, "value", None)]
                if any(_refers(project, file, part, "send_task", name, contract) for part in found):
                    return ClassLocation(file=file, name=node.name)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A module that builds a container or a Celery application."""

    file: PythonFile
    name: str | None
    """What the Celery application is called there; ``None`` if it has none."""


def application_of(project: Project) -> Application | None:
    """Return the module that builds the application, if the package has one: rather one with a Celery application."""
    pattern = re.compile(r"\binit\(|\bCelery\(|\bcreate_app\(")
    container: Application | None = None
    for file in project.files.values():
        if pattern.search(file.text) is None:
            continue
        if any(isinstance(node, ast.Call) and _is_builder(project, file, node) for node in ast.walk(file.tree)):
            found = Application(file=file, name=_celery_name(project, file))
            if found.name is not None:
                return found
            container = container or found
    return container


def _celery_name(project: Project, file: PythonFile) -> str | None:
    """Return the variable at the top of a file that holds a Celery application."""
    for node in file.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made):
                names = {dotted(part) for part in [made.func, *made.args]}
                is_app = any(_is_celery(project, file, part) for part in names if part)
                if is_app or name == "celery_app":
                    return name
            case _:
                pass
    return None


def _is_celery(project: Project, file: PythonFile, name: str) -> bool:
    found = project.resolve(file, name.partition(".")[0])
    top = "" if found is None else found.module.partition(".")[0]
    return top in {"celery", "pico_celery"} and name.rpartition(".")[2] in {"Celery", "create_app"}


def scanned(file: PythonFile) -> list[str] | None:
    """Return the modules that the container of an application scans, as far as they are written there as texts."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] == "init":
            given = [keyword.value for keyword in node.keywords if keyword.arg == "modules"] or node.args[:1]
            if given and isinstance(given[0], (ast.List, ast.Tuple)):
                texts = [file.module if dotted(item) == "__name__" else _constant(item, str) for item in given[0].elts]
                return [text for text in texts if text] if all(texts) else None
    return None


def _is_builder(project: Project, file: PythonFile, node: ast.Call) -> bool:
    name = dotted(node.func) or ""
    found = project.resolve(file, name.partition(".")[0])
    is_init = name.rpartition(".")[2] == "init" and found is not None and found.module.partition(".")[0] == "pico_ioc"
    return is_init or _is_celery(project, file, name)


def _refers(  # noqa: PLR0917 - one argument for each thing that is compared
    project: Project,
    file: PythonFile,
    node: ast.AST | None,
    function: str,
    name: TaskName,
    contract: ClassLocation | None,
) -> bool:
    """Return whether this is ``task(Orders.place)`` or ``task("orders.place")`` of the contract."""
    if not isinstance(node, ast.Call) or (dotted(node.func) or "").rpartition(".")[2] != function or not node.args:
        return False
    text = _constant(node.args[0], str)
    if text is not None:
        return text.rpartition(".")[0] == prefix_of(name.domain, name.version)
    return isinstance(node.args[0], ast.Attribute) and _is_contract(project, file, node.args[0].value, contract)


def _is_contract(project: Project, file: PythonFile, node: ast.expr, contract: ClassLocation | None) -> bool:
    name = dotted(node)
    if contract is None or name is None:
        return False
    first, _, rest = name.partition(".")
    found = project.resolve(file, first)
    if found is not None and found.name == "":
        return f"{found.module}.{rest}" == f"{contract.file.module}.{contract.name}"
    return found == Found(contract.file.module, contract.name, contract.file, contract.node)


def _is_protocol(node: ast.ClassDef) -> bool:
    return any((dotted(base) or "").rpartition(".")[2] == "Protocol" for base in node.bases)


def _constant(node: ast.AST, kind: type[_Value]) -> _Value | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, kind) else None
