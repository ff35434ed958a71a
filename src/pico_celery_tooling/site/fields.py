"""Parameters and the fields of models, one under the other, nested models folded into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pico_celery.document.records import REFERENCE, JsonSchema
from pico_celery_tooling.describe.docstrings import read_docstring
from pico_celery_tooling.site.context import PageLocation, display_name
from pico_celery_tooling.site.highlight import json_text
from pico_celery_tooling.site.html import Child, Html, code, join, separated, tag
from pico_celery_tooling.site.prose import inline, prose
from pico_celery_tooling.site.shapes import demands_of, type_of, value_text

_DEPTH: Final = 4
_BUDGET: Final = 250


@dataclass(slots=True)
class Tree:
    """Writes fields. A model that is in itself, or too deep, or one too many on a page, is a link to its own page."""

    place: PageLocation
    left: int = _BUDGET
    """How many nested fields it may still show."""

    def parameter(
        self, name: str, schema: Any, *, required: bool, doc: str = "", default: Html | None = None, note: str = ""
    ) -> Html:
        """Return a parameter, or a field of a model or error."""
        return self._item(name, schema, required=required, doc=doc, default=default, note=note, trail=())

    def fields(self, schema: JsonSchema, trail: tuple[str, ...] = ()) -> Html:
        """Return the fields of a model."""
        required = schema.get("required", ())
        docs = read_docstring(str(schema.get("description", ""))).attributes
        items = [
            self._item(
                name, part, required=name in required, doc=docs.get(name, ""), default=_default(part), trail=trail
            )
            for name, part in schema.get("properties", {}).items()
        ]
        return tag("ul", *items, class_="fields")

    def nested(self, schema: Any, trail: tuple[str, ...] = ()) -> Html:
        """Return the models that a schema refers to, each folded, with its fields."""
        return join([self._folded(key, trail) for key in dict.fromkeys(_models(schema))])

    def _item(
        self,
        name: str,
        schema: Any,
        *,
        required: bool,
        trail: tuple[str, ...],
        doc: str = "",
        default: Html | None = None,
        note: str = "",
    ) -> Html:
        told = schema if isinstance(schema, Mapping) else {}
        text = str(told.get("description") or "")
        head = tag(
            "div",
            tag("code", name, class_="name"),
            tag("code", type_of(schema, self.place.model), class_="type"),
            tag("span", "required" if required else "optional", class_="tag required" if required else "tag"),
            tag("span", note, class_="tag") if note else None,
            tag("span", "deprecated", class_="tag warn") if told.get("deprecated") else None,
            class_="field-head",
        )
        demands: list[Child] = list(demands_of(schema))
        if default is not None:
            demands.insert(0, join("default ", default))
        if isinstance(told.get("examples"), list) and told["examples"]:
            demands.append(join("such as ", separated([code(json_text(one)) for one in told["examples"][:3]], ", ")))
        return tag(
            "li",
            head,
            tag("div", prose(doc), class_="field-doc") if doc else None,
            tag("div", prose(read_docstring(text).text), class_="field-doc") if text and text != doc else None,
            tag("p", separated(demands, "; "), class_="demands") if demands else None,
            self.nested(schema, trail),
        )

    def _folded(self, key: str, trail: tuple[str, ...]) -> Html | None:
        schema = self.place.site.document.schemas.get(key)
        if schema is None or key in trail or len(trail) >= _DEPTH or self.left <= 0:
            return None
        values = schema.get("enum")
        if values:
            shown = separated([code(json_text(value)) for value in values], ", ")
            return tag("p", tag("span", display_name(key), class_="of"), " is one of ", shown, class_="demands")
        properties = schema.get("properties")
        if not properties:
            return None
        self.left -= len(properties)
        count = "1 field" if len(properties) == 1 else f"{len(properties)} fields"
        summary = read_docstring(str(schema.get("description", ""))).summary
        return tag(
            "details",
            tag("summary", tag("span", display_name(key), class_="of"), " ", tag("span", count, class_="count")),
            tag("p", inline(summary), class_="field-doc") if summary else None,
            self.fields(schema, (*trail, key)),
            class_="nested",
        )


def _default(schema: Any) -> Html | None:
    if not isinstance(schema, Mapping) or "default" not in schema:
        return None
    return code(value_text(schema["default"]))


_PARTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_PART: Final = ("items", "additionalProperties", "x-keys")


def _models(schema: Any) -> Iterator[str]:
    """Iterate over the models that a schema refers to, in the order in which it does."""
    if not isinstance(schema, Mapping):
        return
    if isinstance(schema.get("$ref"), str):
        yield schema["$ref"].removeprefix(REFERENCE)
    for key in _PARTS:
        for part in schema.get(key) or ():
            yield from _models(part)
    for key in _PART:
        yield from _models(schema.get(key))
