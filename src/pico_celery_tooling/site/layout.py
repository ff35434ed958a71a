"""The frame of a page: head, header with the search, navigation, main part, footer."""

from __future__ import annotations

from pico_celery_tooling.site.context import PageLocation
from pico_celery_tooling.site.html import Child, Html, join, tag

# Nothing is loaded but the site's own files, and no script that stands in a page is run, should a text ever get there.
_POLICY = "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src data:; base-uri 'none'; form-action 'none'"
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='4' fill='%231f6f5c'/%3E%3Cpath d='M4.5 5.5h7M4.5 8h7M4.5 10.5h4' stroke='white' stroke-width='1.4' "
    "stroke-linecap='round'/%3E%3C/svg%3E"
)


def page(place: PageLocation, title: str, main: Child, *, current: str = "", about: str = "") -> str:
    """Return a whole page."""
    site = place.site.title
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("meta", name_="generator", content="pico-celery docs"),
        tag("meta", name_="description", content=about) if about else None,
        tag("title", title if title == site else f"{title} · {site}"),
        tag("link", rel="icon", href=_ICON),
        tag("link", rel="stylesheet", href=place.to("assets/style.css")),
        tag("script", src=place.to("assets/theme.js")),
        tag("script", src=place.to("assets/search-data.js"), defer=True),
        tag("script", src=place.to("assets/explorer.js"), defer=True),
    )
    body = tag(
        "body",
        tag("a", "Skip to content", href="#main", class_="skip"),
        _header(place),
        tag(
            "div",
            _navigation(place, current),
            tag("main", main, id="main", tabindex="-1"),
            class_="frame",
        ),
        data_root=place.root,
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def crumbs(place: PageLocation, *steps: Child) -> Html:
    """Return the way from the start page to a page."""
    first = tag("li", tag("a", "Contracts", href=place.to("index.html")))
    return tag("nav", tag("ol", first, *(tag("li", step) for step in steps)), class_="crumbs", aria_label="Breadcrumb")


def section(identifier: str, title: str, *content: Child) -> Html:
    """Return a section with a heading that can be linked to."""
    anchor = tag("a", title, href=f"#{identifier}")
    return tag("section", tag("h2", anchor, id=identifier), *content, aria_labelledby=identifier)


def _header(place: PageLocation) -> Html:
    field = tag(
        "input",
        type="search",
        id="search",
        placeholder="Search",
        autocomplete="off",
        spellcheck="false",
        role="combobox",
        aria_expanded="false",
        aria_controls="found",
        aria_autocomplete="list",
        aria_label="Search tasks, models and errors",
        aria_keyshortcuts="/",
    )
    search = tag(
        "div",
        field,
        tag("kbd", "/", aria_hidden="true"),
        tag("ul", id="found", role="listbox", aria_label="Found", hidden=True),
        tag("p", id="found-count", role="status", class_="unseen"),
        class_="search",
        id="search-box",
        hidden=True,
    )
    theme = tag("button", "Dark", type="button", id="theme", aria_pressed="false", hidden=True)
    return tag(
        "header",
        tag("a", place.site.title, href=place.to("index.html"), class_="brand"),
        search,
        theme,
        class_="top",
    )


def _navigation(place: PageLocation, current: str) -> Html:
    items = []
    for key, contract in place.site.document.contracts.items():
        path = place.site.contract_pages[key]
        here = "page" if path == place.path else "true" if key == current else None
        link = tag("a", key, href=place.to(path), aria_current=here)
        tasks = None
        if key == current:
            tasks = tag("ul", *(_task(place, name, contract.key) for name in contract.tasks))
        items.append(tag("li", link, tasks))
    links = [tag("li", _top(place, "Overview", "index.html"))]
    if place.site.document.schemas:
        links.append(tag("li", _top(place, "Models", "models.html")))
    if place.site.changes is not None:
        links.append(tag("li", _top(place, "Changes", "changes.html")))
    parts = join(tag("ul", *links), tag("p", "Contracts", class_="nav-title"), tag("ul", *items))
    return tag("nav", parts, class_="side", aria_label="Contracts")


def _top(place: PageLocation, text: str, path: str) -> Html:
    below = place.path.startswith(f"{path.removesuffix('.html')}/")
    here = "page" if path == place.path else "true" if below else None
    return tag("a", text, href=place.to(path), aria_current=here)


def _task(place: PageLocation, name: str, contract: str) -> Html:
    path = place.site.task_pages[name]
    task = place.site.document.tasks[name]
    short = name.removeprefix(f"{contract}.")
    classes = "gone" if task.deprecated else None
    link = tag("a", short, href=place.to(path), aria_current="page" if path == place.path else None, class_=classes)
    return tag("li", link)
