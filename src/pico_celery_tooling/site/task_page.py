"""The page of a task."""

from __future__ import annotations

from typing import Final

from pico_celery.document.records import ErrorRecord, ParameterRecord, TaskRecord
from pico_celery_tooling.describe.docstrings import Docstring, read_docstring
from pico_celery_tooling.site.change_list import change_list
from pico_celery_tooling.site.context import PageLocation
from pico_celery_tooling.site.fields import Tree
from pico_celery_tooling.site.highlight import json_block, python_block
from pico_celery_tooling.site.html import Child, Html, code, join, separated, tag
from pico_celery_tooling.site.layout import crumbs, page, section
from pico_celery_tooling.site.policies import policies
from pico_celery_tooling.site.prose import inline, prose
from pico_celery_tooling.site.shapes import type_of, value_text
from pico_celery_tooling.site.snippets import plain_call


def task_page(place: PageLocation, task: TaskRecord) -> str:
    """Return the page of a task."""
    contract = place.site.document.contract_of(task.name)
    doc = read_docstring(task.doc)
    tree = Tree(place)
    main = [
        crumbs(place, place.contract(contract.key), code(task.method)),
        tag("h1", code(task.name), _badges(place, task)),
        _deprecation(task),
        tag("div", prose(doc.text), class_="prose") if doc.text else None,
        _signature(place, task),
        tag(
            "div",
            tag("div", *_facts(place, task, doc, tree), class_="told"),
            tag("aside", *_examples(place, task), class_="shown", aria_label="Examples"),
            class_="columns",
        ),
    ]
    return page(place, task.name, main, current=contract.key, about=doc.summary)


def _badges(place: PageLocation, task: TaskRecord) -> Html:
    changes = place.site.changes
    kind = changes.tasks.get(task.name) if changes is not None else None
    return join(
        tag("span", "deprecated", class_="tag warn") if task.deprecated else None,
        tag("span", kind, class_="tag new") if kind else None,
        tag("span", f"since {task.since}", class_="tag") if task.since else None,
    )


def _deprecation(task: TaskRecord) -> Html | None:
    if not task.deprecated:
        return None
    return tag("p", tag("strong", "Deprecated: "), inline(task.deprecated), class_="notice")


def _signature(place: PageLocation, task: TaskRecord) -> Html:
    parts: list[Child] = []
    by_name = False
    for parameter in task.parameters:
        if parameter.keyword_only and not by_name:
            by_name = True
            parts.append("*")
        default = None if parameter.required else join(" = ", value_text(parameter.default))
        parts.append(
            join(tag("span", parameter.name, class_="c-name"), ": ", type_of(parameter.accepts, place.model), default)
        )
    head = join(tag("span", "async def ", class_="c-word"), tag("span", task.method, class_="c-def"))
    arrow = join(" -> ", type_of(task.result.sends, place.model))
    inner: list[Child] = [join("\n    ", part, ",") for part in parts]
    body = join("(", separated(parts, ", "), ")") if len(parts) < _WRAPPED else join("(", *inner, "\n)")
    return tag(
        "pre", tag("code", head, body, arrow), class_="signature", tabindex="0", role="region", aria_label="Signature"
    )


_WRAPPED: Final = 2  # parameters, from which on each has a line of its own


def _facts(place: PageLocation, task: TaskRecord, doc: Docstring, tree: Tree) -> list[Child]:
    site = place.site
    parameters = [_parameter(one, doc.arguments.get(one.name, ""), tree) for one in task.parameters]
    nothing = tag("p", "It takes none.", class_="quiet")
    told = policies(task)
    return [
        section("parameters", "Parameters", tag("ul", *parameters, class_="fields") if parameters else nothing),
        section("result", "Result", _result(place, task, doc, tree)),
        section("errors", "Errors", *_errors(task, doc, tree)),
        section("policies", "Policies", told or tag("p", "None beyond the application's own.", class_="quiet")),
        section("names", "Names", _names(task)),
        section("changes", "Changes", change_list(site.changes, task.name)) if site.changes is not None else None,
    ]


def _parameter(parameter: ParameterRecord, doc: str, tree: Tree) -> Html:
    notes = "by name only" if parameter.keyword_only else ""
    default = None if parameter.required else code(value_text(parameter.default))
    schema = parameter.accepts
    return tree.parameter(parameter.name, schema, required=parameter.required, doc=doc, default=default, note=notes)


def _result(place: PageLocation, task: TaskRecord, doc: Docstring, tree: Tree) -> Html:
    schema = task.result.sends
    head = tag("div", tag("code", type_of(schema, place.model), class_="type"), class_="field-head")
    return tag(
        "ul",
        tag(
            "li", head, tag("div", prose(doc.returns), class_="field-doc") if doc.returns else None, tree.nested(schema)
        ),
        class_="fields",
    )


def _errors(task: TaskRecord, doc: Docstring, tree: Tree) -> list[Child]:
    if not task.errors:
        return [
            tag(
                "p",
                "It declares none: whatever it raises is a ",
                code("RemoteError"),
                " to its callers.",
                class_="quiet",
            )
        ]
    return [tag("ul", *(_error(error, doc, tree) for error in task.errors), class_="fields")]


def _error(error: ErrorRecord, doc: Docstring, tree: Tree) -> Html:
    schema = tree.place.site.document.resolve(error.sends)
    text = read_docstring(error.doc).text
    when = doc.raises.get(error.type, "")
    return tag(
        "li",
        tag(
            "div",
            tag("code", error.type, class_="name"),
            tag("code", error.code, class_="type"),
            tag("span", "retryable", class_="tag") if error.retryable else None,
            class_="field-head",
        ),
        tag("div", prose(when), class_="field-doc") if when else None,
        tag("div", prose(text), class_="field-doc") if text else None,
        tree.fields(schema) if schema.get("properties") else None,
    )


def _names(task: TaskRecord) -> Html:
    rows: list[tuple[str, Child]] = [("On the wire", code(task.name))]
    if task.aliases:
        rows.append(("Also taken", separated([code(alias) for alias in task.aliases], ", ")))
    rows.append(("Digest", code(task.digest)))
    return tag("dl", *(tag("div", tag("dt", term), tag("dd", value)) for term, value in rows), class_="facts")


def _examples(place: PageLocation, task: TaskRecord) -> list[Child]:
    site = place.site
    example = site.examples.get(task.name)
    call = site.calls.get(task.name)
    shown: list[Child] = []
    if call is not None:
        shown.append(_figure("Call", python_block(call, "Python code that calls the task")))
    if example is not None:
        shown.append(_figure("Arguments", json_block(example.arguments, "Example arguments")))
        if not task.options.get("ignore_result"):
            shown.append(_figure("Result", json_block(example.result, "Example result")))
        shown.extend(
            _figure(
                join("Fields of ", code(error.type)), json_block(example.errors[error.code], f"Example of {error.type}")
            )
            for error in task.errors
            if example.errors.get(error.code)
        )
        plain = plain_call(task, example.arguments)
        shown.append(_folded("From plain Celery", python_block(plain, "Python code without the contract")))
    arguments = site.document.standalone(task.arguments)
    shown.append(_folded("JSON Schema of the arguments", json_block(arguments, "JSON Schema of the arguments")))
    result = site.document.standalone(task.result.sends)
    shown.append(_folded("JSON Schema of the result", json_block(result, "JSON Schema of the result")))
    return shown


def _figure(title: Child, content: Html) -> Html:
    return tag("figure", tag("figcaption", title), content)


def _folded(title: str, content: Html) -> Html:
    return tag("details", tag("summary", title), content, class_="schema")
