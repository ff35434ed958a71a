"""The pages that lead to tasks: the start, a contract, a model, all models, all changes."""

from __future__ import annotations

from pico_celery.document.records import ContractRecord, TaskRecord
from pico_celery_tooling.describe.docstrings import read_docstring
from pico_celery_tooling.site.change_list import finding_list
from pico_celery_tooling.site.changes import ADDED, TEXT, Changes
from pico_celery_tooling.site.context import PageLocation, display_name, form_of, plain_key
from pico_celery_tooling.site.fields import Tree
from pico_celery_tooling.site.highlight import json_block, json_text
from pico_celery_tooling.site.html import Child, Html, code, join, separated, tag
from pico_celery_tooling.site.layout import crumbs, page, section
from pico_celery_tooling.site.prose import inline, prose
from pico_celery_tooling.site.shapes import demands_of, type_of


def index_page(place: PageLocation) -> str:
    """Return the start page: all contracts with their tasks."""
    site = place.site
    tasks, contracts = len(site.document.tasks), len(site.document.contracts)
    count = f"{_count(tasks, 'task')} in {_count(contracts, 'contract')}"
    main = [
        tag("h1", site.title),
        tag("p", count, class_="quiet"),
        _summary(place, site.changes) if site.changes is not None else None,
        *(_contract(place, contract) for contract in site.document.contracts.values()),
    ]
    return page(place, site.title, main, about=f"Contracts: {count}.")


def contract_page(place: PageLocation, contract: ContractRecord) -> str:
    """Return the page of a contract."""
    doc = read_docstring(contract.doc)
    facts = [("Class", code(contract.type)), ("Digest", code(contract.digest))]
    main = [
        crumbs(place, code(contract.key)),
        tag("h1", code(contract.key), tag("span", f"version {contract.version}", class_="tag")),
        tag("div", prose(doc.text), class_="prose") if doc.text else None,
        section("tasks", "Tasks", _tasks(place, contract)),
        section(
            "about",
            "About",
            tag("dl", *(tag("div", tag("dt", term), tag("dd", value)) for term, value in facts), class_="facts"),
        ),
    ]
    return page(place, contract.key, main, current=contract.key, about=doc.summary)


def model_page(place: PageLocation, key: str) -> str:
    """Return the page of a model."""
    document = place.site.document
    schema = document.schemas[key]
    doc = read_docstring(str(schema.get("description", "")))
    form = form_of(key)
    if schema.get("properties"):
        content = tag("div", Tree(place).fields(schema, (key,)))
    elif "enum" in schema:
        content = tag("ul", *(tag("li", code(json_text(value))) for value in schema["enum"]), class_="values")
    else:
        content = tag("p", tag("code", type_of(schema, place.model), class_="type"))
    demands: list[Child] = list(demands_of(schema))
    users = place.site.users[key]
    main = [
        crumbs(place, tag("a", "Models", href=place.to("models.html")), code(display_name(key))),
        tag("h1", code(display_name(key)), tag("span", form, class_="tag") if form else None),
        tag("div", prose(doc.text), class_="prose") if doc.text else None,
        section("fields", "Values" if "enum" in schema else "Fields", content),
        tag("p", separated(demands, "; "), class_="demands") if demands else None,
        section("tasks", "Used by", tag("ul", *(tag("li", place.task(name)) for name in users), class_="plain")),
        section("schema", "JSON Schema", json_block(document.standalone(schema), "JSON Schema of the model")),
    ]
    return page(place, display_name(key), main, about=doc.summary)


def models_page(place: PageLocation) -> str:
    """Return the page with all models."""
    document = place.site.document
    forms: dict[str, list[str]] = {}
    for key in sorted(document.schemas):
        forms.setdefault(plain_key(key), []).append(key)
    rows = [_model(place, forms[name]) for name in sorted(forms, key=lambda one: (display_name(one).casefold(), one))]
    main = [crumbs(place, "Models"), tag("h1", "Models"), tag("ul", *rows, class_="rows")]
    return page(place, "Models", main, about="The models that tasks take, return and raise.")


def _model(place: PageLocation, keys: list[str]) -> Html:
    """Return the row of a model, with the links to both of its forms where it has two."""
    summary = read_docstring(str(place.site.document.schemas[keys[0]].get("description", ""))).summary
    more = [
        tag("a", form_of(key), href=place.to(place.site.model_pages[key]), class_="tag") for key in keys if form_of(key)
    ]
    head = tag("div", tag("code", place.model(keys[0])), more, class_="row-head")
    return tag("li", head, tag("p", inline(summary)) if summary else None)


def changes_page(place: PageLocation, changes: Changes) -> str:
    """Return the page with all that changed."""
    names = sorted({*changes.tasks, *changes.removed, *changes.findings})
    main = [
        crumbs(place, "Changes"),
        tag("h1", "Changes"),
        tag("p", "Since ", code(changes.since), "." if names else ": none.", class_="quiet"),
        *(_changed(place, changes, name) for name in names),
    ]
    return page(place, "Changes", main, about=f"What changed since {changes.since}.")


def _changed(place: PageLocation, changes: Changes, name: str) -> Html:
    known = name in place.site.document.tasks
    kind = "removed" if name in changes.removed else changes.tasks.get(name, "")
    found = changes.findings.get(name, ())
    return tag(
        "section",
        tag(
            "h2",
            place.task(name) if known else code(name),
            tag("span", kind, class_="tag warn" if kind == "removed" else "tag new") if kind else None,
        ),
        finding_list(found) if found else None,
        tag("p", "Nobody breaks.", class_="quiet") if not found and kind not in {ADDED, TEXT} else None,
    )


def _summary(place: PageLocation, changes: Changes) -> Html:
    kinds = list(changes.tasks.values())
    counts = [(kinds.count(kind), kind) for kind in (ADDED, "changed", TEXT)] + [(len(changes.removed), "removed")]
    told = [f"{_count(number, 'task')} {kind}" for number, kind in counts if number]
    text = ", ".join(told) or "nothing changed"
    return tag(
        "p",
        "Since ",
        code(changes.since),
        ": ",
        tag("a", text, href=place.to("changes.html")),
        ".",
        class_="notice calm",
    )


def _contract(place: PageLocation, contract: ContractRecord) -> Html:
    identifier = f"contract-{contract.key}"
    summary = read_docstring(contract.doc).summary
    return tag(
        "section",
        tag("h2", place.contract(contract.key), id=identifier),
        tag("p", inline(summary)) if summary else None,
        _tasks(place, contract),
        aria_labelledby=identifier,
    )


def _tasks(place: PageLocation, contract: ContractRecord) -> Html:
    if not contract.tasks:
        return tag("p", "It has no task of its own.", class_="quiet")
    return tag("ul", *(_task(place, task) for task in contract.tasks.values()), class_="rows")


def _task(place: PageLocation, task: TaskRecord) -> Html:
    changes = place.site.changes
    kind = changes.tasks.get(task.name) if changes is not None else None
    names: list[Child] = [tag("span", one.name, class_=None if one.required else "quiet") for one in task.parameters]
    head = join(
        place.task(task.name),
        tag("code", "(", separated(names, ", "), ")", class_="arguments"),
        tag("span", "deprecated", class_="tag warn") if task.deprecated else None,
        tag("span", kind, class_="tag new") if kind else None,
    )
    summary = read_docstring(task.doc).summary
    return tag("li", tag("div", head, class_="row-head"), tag("p", inline(summary)) if summary else None)


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
