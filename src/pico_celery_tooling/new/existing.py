"""The contract, worker, client and application that a package has already."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pico_celery.contract.naming import prefix_of, snake_case
from pico_celery_tooling.new.project import Project
from pico_celery_tooling.new.python_file import PythonFile, dotted, last_name
from pico_celery_tooling.new.request import TaskName

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLocation:
    """A class in a file."""

    file: PythonFile
    node: ast.ClassDef

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name


def _declared(project: Project) -> Iterator[tuple[ClassLocation, str, int]]:
    """Iterate over the contracts of a package, with domain and version."""
    for file in project.files.values():
        for node in file.classes() if "contract" in file.text else ():
            for decorator in node.decorator_list:
                if last_name(decorator) != "contract":
                    continue
                domain, version = snake_case(node.name), 1
                if isinstance(decorator, ast.Call):
                    if decorator.args:
                        domain = _constant(decorator.args[0], str) or ""
                    given = _keyword(decorator, "version")
                    version = 1 if given is None else _constant(given, int) or 0
                yield ClassLocation(file=file, node=node), domain, version


def contract_of(project: Project, name: TaskName) -> ClassLocation | None:
    """Return the contract that a task belongs to, if the package has it."""
    wanted = (name.domain, name.version)
    return next((found for found, *declared in _declared(project) if (*declared,) == wanted), None)


def file_of_domain(project: Project, domain: str) -> PythonFile | None:
    """Return the file with any version of a contract."""
    return next((found.file for found, other, _ in _declared(project) if other == domain), None)


def task_named(project: Project, full: str) -> tuple[PythonFile, int] | None:
    """Return file and line where a contract of the package gives a task this whole name by ``name=``."""
    for file in project.files.values():
        for node in ast.walk(file.tree) if full in file.text else ():
            if isinstance(node, ast.Call) and last_name(node) == "task_options":
                given = _keyword(node, "name")
                if given is not None and _constant(given, str) == full:
                    return file, node.lineno
    return None


def queue_of(contract: ClassLocation) -> str | None:
    """Return the queue of a contract's tasks, if all of them have the same one."""
    queues: set[str | None] = set()
    for member in contract.node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            calls = [found for found in member.decorator_list if isinstance(found, ast.Call)]
            given = [value for found in calls if (value := _keyword(found, "queue")) is not None]
            queues.add(_constant(given[0], str) if given else None)
    return queues.pop() if len(queues) == 1 else None


def worker_of(project: Project, name: TaskName, contract: ClassLocation | None) -> ClassLocation | None:
    """Return the component that implements tasks of the contract, if the package has one."""
    for file in project.files.values():
        if "task" not in file.text and (contract is None or contract.name not in file.text):
            continue
        for node in file.classes():
            if contract is not None and node is contract.node:
                continue
            implements = any(_is_contract(project, file, base, contract) for base in node.bases)
            if implements and not any(last_name(base) == "Protocol" for base in node.bases):
                return ClassLocation(file=file, node=node)
            if any(_refers(project, file, found, "task", name, contract) for found in _decorators(node)):
                return ClassLocation(file=file, node=node)
    return None


def client_of(project: Project, name: TaskName, contract: ClassLocation | None) -> ClassLocation | None:
    """Return the client that calls tasks of the contract, if the package has one."""
    for file in project.files.values():
        for node in file.classes() if "send_task" in file.text else ():
            values = [getattr(member, "value", None) for member in node.body]
            if any(_refers(project, file, f, "send_task", name, contract) for f in [*_decorators(node), *values]):
                return ClassLocation(file=file, node=node)
    return None


def _decorators(node: ast.ClassDef) -> list[ast.expr]:
    """Return the decorators of a class's members."""
    return [decorator for member in node.body for decorator in getattr(member, "decorator_list", [])]


def _refers(  # noqa: PLR0917 - one argument for each thing that is compared
    project: Project,
    file: PythonFile,
    node: ast.AST | None,
    function: str,
    name: TaskName,
    contract: ClassLocation | None,
) -> bool:
    """Return whether this is ``task(Orders.place)`` or ``task("orders.place")`` of the contract."""
    if not isinstance(node, ast.Call) or last_name(node) != function or not node.args:
        return False
    text = _constant(node.args[0], str)
    if text is not None:
        return text.rpartition(".")[0] == prefix_of(name.domain, name.version)
    return isinstance(node.args[0], ast.Attribute) and _is_contract(project, file, node.args[0].value, contract)


def _is_contract(project: Project, file: PythonFile, node: ast.expr, contract: ClassLocation | None) -> bool:
    first, _, rest = dotted(node).partition(".")
    found = project.resolve(file, first)
    if contract is None or found is None:
        return False
    # The name may be imported as a class, or reached through any module above it.
    return ".".join(filter(None, [found.module, found.name, rest])) == f"{contract.file.module}.{contract.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingApplication:
    """A module that builds a container or a Celery application."""

    file: PythonFile
    name: str | None
    """The variable with the Celery application; ``None`` if there is none."""
    scanned: list[str]
    """The modules that its container scans, as far as they are written there as strings."""


def application_of(project: Project) -> ExistingApplication | None:
    """Return the module that builds the application, if the package has one; one with a Celery application first."""
    pattern = re.compile(r"\binit\(|\bCelery\(|\bcreate_app\(")
    containers: list[ExistingApplication] = []
    for file in project.files.values():
        calls = (
            [node for node in ast.walk(file.tree) if isinstance(node, ast.Call)] if pattern.search(file.text) else []
        )
        if any(_is_init(project, file, call) or _is_celery(project, file, dotted(call.func)) for call in calls):
            found = ExistingApplication(file=file, name=_celery_name(project, file), scanned=_scanned(file, calls))
            if found.name is not None:
                return found
            containers.append(found)
    return containers[0] if containers else None


def _celery_name(project: Project, file: PythonFile) -> str | None:
    for node in file.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made):
                parts = [dotted(part) for part in [made.func, *made.args]]
                if name == "celery_app" or any(_is_celery(project, file, part) for part in parts):
                    return name
            case _:
                pass
    return None


def _is_celery(project: Project, file: PythonFile, name: str) -> bool:
    found = project.resolve(file, name.partition(".")[0])
    top = "" if found is None else found.module.partition(".")[0]
    return top in {"celery", "pico_celery"} and name.rpartition(".")[2] in {"Celery", "create_app"}


def _is_init(project: Project, file: PythonFile, call: ast.Call) -> bool:
    found = project.resolve(file, dotted(call.func).partition(".")[0])
    return last_name(call) == "init" and found is not None and found.module.partition(".")[0] == "pico_ioc"


def _scanned(file: PythonFile, calls: list[ast.Call]) -> list[str]:
    for call in calls:
        given = _keyword(call, "modules") or (call.args[0] if call.args else None)
        if last_name(call) == "init" and isinstance(given, ast.List | ast.Tuple):
            texts = [file.module if dotted(item) == "__name__" else _constant(item, str) for item in given.elts]
            return [text for text in texts if text] if all(texts) else []
    return []


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _constant(node: ast.AST, kind: type[_Value]) -> _Value | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, kind) else None
