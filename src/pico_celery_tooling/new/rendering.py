"""The source text of new code: templates, with long lines and docstrings wrapped as formatters wrap them."""

from __future__ import annotations

import textwrap
from functools import partial
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from pico_celery_tooling.source_layout import INDENT, laid_out

_QUOTES: Final = '"""'
_TEMPLATES: Final = Environment(
    loader=PackageLoader("pico_celery_tooling.new"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, *, width: int, **values: object) -> str:
    """Return a template with values, within a line length."""
    values["doc"] = partial(docstring, width=width)
    return laid_out(_TEMPLATES.get_template(f"{template}.jinja").render(values).rstrip(), width)


def docstring(summary: str, *details: str, level: int = 0, width: int) -> str:
    """Return a docstring; a detail of several lines keeps them."""
    indent = INDENT * level
    if not details and len(indent) + len(summary) + 2 * len(_QUOTES) <= width:
        return f"{indent}{_QUOTES}{summary}{_QUOTES}"
    room = width - len(indent) - (1 if details else 2) * len(_QUOTES)
    first, dot, rest = summary.partition(". ")
    if dot and len(summary) > room:  # a summary is one line, where it can be
        return docstring(f"{first}.", rest, *details, level=level, width=width)
    lines = _wrapped(summary, room)
    for detail in details:
        lines += ["", *(detail.splitlines() if "\n" in detail else _wrapped(detail, width - len(indent)))]
    text = textwrap.indent("\n".join(lines), indent).removeprefix(indent)
    return f"{indent}{_QUOTES}{text}\n{indent}{_QUOTES}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
