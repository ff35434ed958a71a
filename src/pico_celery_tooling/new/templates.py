"""The texts of what is written: each function returns the lines of one class, method or function."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pico_celery_tooling.new.examples import NEW_FIELD
from pico_celery_tooling.new.names import TaskName
from pico_celery_tooling.new.source_text import (
    INDENT,
    Brackets,
    Expression,
    call,
    docstring,
    prefixed,
    signature,
    statement,
)

NOT_WRITTEN = "nobody has written it yet"
"""What a worker says whose result cannot be made up."""


def model(name: str, task: TaskName, *, width: int) -> str:
    """Return a model that the user is to fill in."""
    return _fields(name, "BaseModel", f"A part of what ``{task.full}`` takes or returns.", NEW_FIELD["model"], width)


def error(name: str, task: TaskName, *, width: int) -> str:
    """Return a declared error that the user is to fill in."""
    return _fields(name, "TaskError", f"A declared error of ``{task.full}``.", NEW_FIELD["error"], width)


def _fields(name: str, base: str, summary: str, field: tuple[str, str, str], width: int) -> str:
    note = f"The field ``{field[0]}`` is a start: replace it by the fields that belong here."
    text = docstring(summary, note, level=1, width=width)
    return f"class {name}({base}):\n{text}\n\n{INDENT}{field[0]}: {field[1]}"


def contract(task: TaskName, method: str, *, width: int) -> str:
    """Return a contract with its first task."""
    version = f", version={task.version}" if task.version > 1 else ""
    head = f'@contract("{task.domain}"{version})\nclass {task.contract}(Protocol):'
    text = docstring(f"The tasks of ``{task.prefix}``.", level=1, width=width)
    return f"{head}\n{text}\n\n{method}"


def contract_method(  # noqa: PLR0917 - one argument for each thing that is written
    task: TaskName,
    parameters: Sequence[Expression],
    result: str,
    errors: Sequence[str],
    queue: str | None,
    doc: str | None,
    *,
    width: int,
) -> str:
    """Return the method of a contract, with its options."""
    options: dict[str, Expression] = {}
    if queue is not None:
        options["queue"] = json.dumps(queue, ensure_ascii=False)
    if errors:
        options["errors"] = Brackets("[", tuple(errors), "]")
    raised = ["\n".join(["Raises:", *(f"{INDENT}{name}: Say here when." for name in errors)])] if errors else []
    text = doc or f"Do ``{task.action}``. Say here what callers can rely on."
    lines = [statement(call("@task_options", **options), level=1, width=width)] if options else []
    lines += [
        signature(task.action, parameters, result, level=1, width=width),
        docstring(text, *raised, level=2, width=width),
        f"{INDENT * 2}...",
    ]
    return "\n".join(lines)


def worker(task: TaskName, contract_name: str, method: str, *, width: int) -> str:
    """Return a component with its first task."""
    text = docstring(f"Does the tasks of `{contract_name}`.", level=1, width=width)
    return f"@component\nclass {task.contract}Worker:\n{text}\n\n{method}"


def worker_method(
    task: TaskName,
    contract_name: str,
    parameters: Sequence[Expression],
    result: str,
    sample: Expression | None,
    *,
    width: int,
) -> str:
    """Return the method that does a task; ``sample`` is what it returns until the user writes it."""
    lines = [
        f"{INDENT}@task({contract_name}.{task.action})",
        signature(task.action, parameters, result, level=1, width=width),
    ]
    summary = f"Do the work of ``{task.full}``."
    if sample == "None":
        lines.append(docstring(f"{summary} It belongs here.", level=2, width=width))
    elif sample is None:
        lines.append(docstring(f"{summary} It belongs here.", level=2, width=width))
        failure = call("raise NotImplementedError", f'"{task.full}: {NOT_WRITTEN}"')
        lines.append(statement(failure, level=2, width=width))
    else:
        note = "What it returns is an example: replace it."
        lines.append(docstring(summary, note, level=2, width=width))
        lines.append(statement(prefixed("return ", sample), level=2, width=width))
    return "\n".join(lines)


def client(task: TaskName, contract_name: str, *, width: int) -> str:
    """Return a client with its first task."""
    text = docstring(f"Calls the tasks of `{contract_name}`.", level=1, width=width)
    sender = client_attribute(task, contract_name)
    return f"@celery\nclass {task.contract}Client(CeleryClient):\n{text}\n\n{sender}"


def client_attribute(task: TaskName, contract_name: str) -> str:
    """Return the attribute that calls a task."""
    return f"{INDENT}{task.action} = send_task({contract_name}.{task.action})"


def application(modules: Sequence[str], *, width: int) -> str:
    """Return what follows the imports of an application module."""
    scanned = prefixed("modules=", Brackets("[", tuple(f'"{name}"' for name in modules), "]"))
    config = prefixed("config=", call("configuration", "EnvSource()", call("DictSource", "SETTINGS")))
    lines = [
        'SETTINGS = {"celery": {"broker_url": "embedded"}}',
        docstring(
            "The broker of a development machine, without a server to install.",
            "In production set CELERY_BROKER_URL and CELERY_BACKEND_URL, which win.",
            width=width,
        ),
        "",
        statement(Brackets("container = init(", (scanned, config), ")"), width=width),
        "celery_app = container.get(Celery)",
    ]
    return "\n".join(lines)


def fixture(task: TaskName, client_name: str, modules: Sequence[str], *, width: int) -> str:
    """Return the fixture that the tests of a domain share."""
    settings = ('"broker_url": "memory://"', '"backend_url": "cache+memory://"', '"task_always_eager": True')
    scanned = prefixed("modules=", Brackets("[", tuple(f'"{name}"' for name in modules), "]"))
    lines = [
        "@pytest.fixture",
        statement(
            Brackets(f"def {task.identifier}_client() -> Iterator[", (client_name,), "]"), width=width, suffix=":"
        ),
        docstring("Have a client whose calls are run here.", level=1, width=width),
        statement(Brackets("settings = {", settings, "}"), level=1, width=width),
        f'{INDENT}config = configuration(DictSource({{"celery": settings}}))',
        statement(call("container = init", scanned, config="config"), level=1, width=width),
        f"{INDENT}yield container.get({client_name})",
        f"{INDENT}container.shutdown()",
    ]
    return "\n".join(lines)


def test_name(task: TaskName) -> str:
    """Return the name of a task's test."""
    return f"test_{task.identifier}_{task.action}"


def test(
    task: TaskName,
    client_name: str,
    arguments: Sequence[Expression],
    sample: Expression | None,
    *,
    refused: bool,
    width: int,
) -> str:
    """Return the test of a task."""
    fixture_name = f"{task.identifier}_client"
    made = call(f"{fixture_name}.{task.action}", *arguments)
    head = statement(
        Brackets(f"def {test_name(task)}(", (f"{fixture_name}: {client_name}",), ") -> None:"), width=width
    )
    if refused:
        text = f"Refuse what does not fit. Call ``{task.full}`` with what fits, here."
        body = [
            f"{INDENT}wrong: Any = object()",
            "",
            f"{INDENT}with pytest.raises(PayloadError):",
            statement(made, level=2, width=width),
        ]
    else:
        text = f"Have the worker do ``{task.full}``."
        body = [statement(prefixed("result = ", made), level=1, width=width), "", *_outcome(sample, width)]
    return "\n".join([head, docstring(text, level=1, width=width), *body])


def _outcome(sample: Expression | None, width: int) -> list[str]:
    got = "result.get(timeout=10)"
    if sample is None:
        raises = call("with pytest.raises", "RemoteError", match=f'"{NOT_WRITTEN}"')
        return [statement(raises, level=1, width=width, suffix=":"), f"{INDENT * 2}{got}"]
    if sample == "None":
        return [f"{INDENT}{got}", f"{INDENT}assert result.successful()"]
    if sample in {"True", "False"}:
        return [f"{INDENT}assert {got} is {sample}"]
    return [statement(prefixed(f"assert {got} == ", sample), level=1, width=width)]
