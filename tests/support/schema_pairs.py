"""Two versions of a type, drawn by hypothesis: any type that a contract may have, and what may become of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, TypeAdapter, create_model

from pico_celery.document.lock_schema import LockSchema
from pico_celery.document.records import Document
from pico_celery_tooling.evolution.subset import Described


@dataclass(frozen=True)
class Spec:
    """A type as data."""

    kind: str
    limits: tuple[tuple[str, Any], ...] = ()
    parts: tuple[Spec, ...] = ()
    fields: tuple[FieldSpec, ...] = ()
    name: str = ""
    config: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class FieldSpec:
    """A field of a model as data."""

    name: str
    spec: Spec
    required: bool = True
    alias: str | None = None


_SCALARS: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "decimal": Decimal,
    "datetime": datetime,
    "aware": AwareDatetime,
    "naive": NaiveDatetime,
    "date": date,
    "time": time,
    "timedelta": timedelta,
    "uuid": UUID,
    "any": Any,
    "null": None,
}
_names = itertools.count()


def built(spec: Spec) -> Any:  # noqa: PLR0911 - one for each kind
    """Return the type that a specification means."""
    limits = dict(spec.limits)
    parts = [built(part) for part in spec.parts]
    made: Any
    if spec.kind in _SCALARS:
        made = _SCALARS[spec.kind]
    elif spec.kind == "literal":
        return Literal[tuple(limits["values"])]
    elif spec.kind == "enum":
        return Enum(spec.name, {f"m{at}": value for at, value in enumerate(limits["values"])})
    elif spec.kind == "list":
        made = list[parts[0]]  # type: ignore[valid-type]
    elif spec.kind == "set":
        made = set[parts[0]]  # type: ignore[valid-type]
    elif spec.kind == "dict":
        made = dict[parts[0], parts[1]]  # type: ignore[valid-type]
    elif spec.kind == "tuple":
        made = tuple[tuple(parts)]  # type: ignore[misc]
    elif spec.kind == "optional":
        return Optional[parts[0]]  # noqa: UP045 - parts may be None
    elif spec.kind == "union":
        return Union[tuple(parts)]  # noqa: UP007 - as many as there are
    elif spec.kind == "tagged":
        made = Union[tuple(parts)]  # noqa: UP007 - as many as there are
        return Annotated[made, Field(discriminator="kind")] if len(parts) > 1 else parts[0]
    elif spec.kind == "model":
        return _model(spec)
    else:
        raise AssertionError(spec.kind)
    return Annotated[made, Field(**limits)] if limits else made


def _model(spec: Spec) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for one in spec.fields:
        if one.spec.kind == "self":
            shape = dict(one.spec.limits)["shape"]
            annotation: Any = {"optional": f"Optional['{spec.name}']", "list": f"list['{spec.name}']"}[shape]
            default: Any = None if shape == "optional" else []
            fields[one.name] = (annotation, Field(default=default, alias=one.alias))
        elif one.required:
            fields[one.name] = (built(one.spec), Field(alias=one.alias))
        else:
            fields[one.name] = (Optional[built(one.spec)], Field(default=None, alias=one.alias))  # noqa: UP045 - it may be None
    config = ConfigDict(**dict(spec.config))  # type: ignore[typeddict-item]
    made: type[BaseModel] = create_model(spec.name, __config__=config, __module__=__name__, **fields)
    made.model_rebuild(_types_namespace={spec.name: made, "Optional": Optional})
    return made


# Drawing a type

_HASHABLE = ("int", "str", "bool", "date", "uuid", "decimal")
_LIMITED: dict[str, tuple[Spec, ...]] = {
    **dict.fromkeys(("int", "float", "decimal", "str", "bytes", "datetime", "date", "timedelta"), ()),
    "list": (Spec("int"),),
    "set": (Spec("int"),),
    "dict": (Spec("str"), Spec("int")),
}
_WORDS = ("a", "b", "c", "d", 1, 2, True, None)


def _limits(kind: str) -> st.SearchStrategy[tuple[tuple[str, Any], ...]]:
    few = st.integers(-3, 6)
    bounds: dict[str, st.SearchStrategy[Any]] = {}
    if kind in {"int", "float"}:
        bounds = {"ge": few, "gt": few, "le": few.map(lambda n: n + 8), "lt": few.map(lambda n: n + 8)}
        if kind == "int":
            bounds["multiple_of"] = st.sampled_from([1, 2, 3, 4])
        bounds["strict"] = st.just(True)
    elif kind == "decimal":
        bounds = {"ge": few, "lt": few.map(lambda n: n + 8), "decimal_places": st.integers(1, 3)}
        bounds["max_digits"] = st.integers(4, 7)
    elif kind == "str":
        bounds = {"min_length": st.integers(0, 3), "max_length": st.integers(3, 6)}
        bounds["pattern"] = st.sampled_from([r"^[a-z]+$", r"^\w*$", r"^[A-Z]{3}-\d{2}$"])
    elif kind == "bytes":
        bounds = {"min_length": st.integers(0, 2), "max_length": st.integers(3, 6)}
    elif kind == "datetime":
        bounds = {
            "ge": st.sampled_from(
                [datetime.fromisoformat("2020-01-01T00:00"), datetime.fromisoformat("2021-01-01T00:00")]
            )
        }
    elif kind == "date":
        bounds = {"ge": st.sampled_from([date(2020, 1, 1), date(2021, 1, 1)]), "lt": st.just(date(2030, 1, 1))}
    elif kind == "timedelta":
        bounds = {"ge": st.sampled_from([timedelta(0), timedelta(hours=1)])}
    elif kind in {"list", "set", "dict"}:
        bounds = {"min_length": st.integers(0, 2), "max_length": st.integers(2, 4)}
    return st.fixed_dictionaries({}, optional=bounds).map(lambda found: tuple(sorted(_consistent(found).items())))


def _consistent(found: dict[str, Any]) -> dict[str, Any]:
    for one, other in (("ge", "gt"), ("le", "lt")):
        if one in found and other in found:
            del found[other]
    if "pattern" in found:
        found.pop("min_length", None)
        found.pop("max_length", None)
    return found


@st.composite
def scalars(draw: Any, kinds: tuple[str, ...] = tuple(_SCALARS)) -> Spec:
    """Draw a scalar type."""
    kind = draw(st.sampled_from(kinds))
    return Spec(kind, draw(st.one_of(st.just(()), _limits(kind))))


@st.composite
def choices(draw: Any) -> Spec:
    """Draw a type with a few values."""
    if draw(st.booleans()):
        values = draw(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4, unique_by=repr))
        return Spec("literal", (("values", tuple(values)),))
    values = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    return Spec("enum", (("values", tuple(values)),), name="Choice")


@st.composite
def specs(draw: Any, depth: int = 2) -> Spec:  # noqa: PLR0911 - one for each kind
    """Draw a type."""
    simple = st.one_of(scalars(), choices())
    if depth == 0:
        return draw(simple)  # type: ignore[no-any-return]
    kind = draw(
        st.sampled_from(["simple", "list", "set", "dict", "tuple", "optional", "union", "model", "model", "tagged"])
    )
    inner = specs(depth - 1)
    if kind == "simple":
        return draw(simple)  # type: ignore[no-any-return]
    if kind == "list":
        return Spec(kind, draw(_limits(kind)), (draw(inner),))
    if kind == "set":
        return Spec(kind, draw(_limits(kind)), (draw(scalars(_HASHABLE)),))
    if kind == "dict":
        keys = st.one_of(
            st.just(Spec("str")),
            scalars(("int", "str", "uuid", "date")),
            choices().filter(lambda one: one.kind == "enum"),
        )
        return Spec(kind, draw(_limits(kind)), (draw(keys), draw(inner)))
    if kind == "tuple":
        return Spec(kind, (), tuple(draw(st.lists(inner, min_size=1, max_size=3))))
    if kind == "optional":
        return Spec(kind, (), (draw(inner),))
    if kind == "union":
        return Spec(kind, (), tuple(draw(st.lists(inner, min_size=2, max_size=3))))
    if kind == "tagged":
        tags = draw(st.lists(st.sampled_from("pqrs"), min_size=2, max_size=3, unique=True))
        return Spec(kind, (), tuple(_member(tag, draw(models(depth - 1))) for tag in tags))
    return draw(models(depth - 1))  # type: ignore[no-any-return]


def _member(tag: str, model: Spec) -> Spec:
    kind = FieldSpec("kind", Spec("literal", (("values", (tag,)),)))
    return Spec("model", fields=(kind, *model.fields), name=f"Member{tag.upper()}", config=model.config)


@st.composite
def models(draw: Any, depth: int = 1) -> Spec:
    """Draw a model."""
    names = draw(st.lists(st.sampled_from(["one", "two", "three", "four"]), min_size=0, max_size=3, unique=True))
    fields = [draw(_fields(name, depth)) for name in names]
    if draw(st.integers(0, 3)) == 0:
        shape = draw(st.sampled_from(["optional", "list"]))
        fields.append(FieldSpec("again", Spec("self", (("shape", shape),)), required=False))
    config = draw(
        st.sampled_from(
            [
                (),
                (),
                (),
                (("extra", "forbid"),),
                (("extra", "allow"),),
                (("strict", True),),
                (("str_strip_whitespace", True),),
            ]
        )
    )
    return Spec("model", fields=tuple(fields), name=f"Model{draw(st.integers(1, 2))}", config=config)


@st.composite
def _fields(draw: Any, name: str, depth: int) -> FieldSpec:
    alias = draw(st.sampled_from([None, None, None, f"{name}Alias"]))
    return FieldSpec(name, draw(specs(depth)), draw(st.booleans()), alias)


# What may become of it


@st.composite
def changed(draw: Any, spec: Spec, depth: int = 2) -> Spec:
    """Draw another version of a type: the same in most places."""
    if draw(st.integers(0, 3)) == 0:
        return draw(_changed_here(spec, depth))  # type: ignore[no-any-return]
    if spec.kind == "model":
        return draw(_changed_model(spec, depth))  # type: ignore[no-any-return]
    if spec.kind == "tagged":
        parts = [part if draw(st.booleans()) else draw(_changed_model(part, depth)) for part in spec.parts]
        if len(parts) > 1 and draw(st.integers(0, 2)) == 0:
            parts.pop(draw(st.integers(0, len(parts) - 1)))
        return Spec(spec.kind, parts=tuple(parts))
    if spec.parts:
        hashed = spec.kind == "set"
        inner = scalars(_HASHABLE) if hashed else None
        parts = [
            draw(st.one_of(st.just(part), inner)) if inner is not None else draw(changed(part, depth - 1))
            for part in spec.parts[(1 if spec.kind == "dict" else 0) :]
        ]
        kept = spec.parts[:1] if spec.kind == "dict" else ()
        return Spec(spec.kind, spec.limits, (*kept, *parts), spec.fields, spec.name, spec.config)
    return spec


@st.composite
def _changed_here(draw: Any, spec: Spec, depth: int) -> Spec:  # noqa: PLR0911 - one for each kind
    if spec.kind in {"literal", "enum"}:
        return Spec(spec.kind, draw(choices().filter(lambda one: one.kind == spec.kind)).limits, name=spec.name)
    ways = ["other", "optional", "union"]
    if spec.kind in _SCALARS or spec.kind in {"list", "set", "dict"}:
        ways += ["limits"] * 4
    if spec.kind in {"union", "optional"}:
        ways += ["fewer"] * 2
    if spec.kind in {"list", "set"}:
        ways += ["list", "set"]
    way = draw(st.sampled_from(ways))
    if way == "limits":
        return Spec(spec.kind, draw(_limits(spec.kind)), spec.parts)
    if way == "fewer":
        return spec.parts[0]
    if way == "optional":
        return Spec("optional", parts=(spec,))
    if way == "union":
        return Spec("union", parts=(spec, draw(specs(0))))
    if way == "list" or (way == "set" and spec.parts[0].kind in _HASHABLE):
        return Spec(way, draw(_limits(way)), spec.parts)
    return draw(specs(min(depth, 1)))  # type: ignore[no-any-return]


@st.composite
def _changed_model(draw: Any, spec: Spec, depth: int) -> Spec:
    fields: list[FieldSpec] = []
    for one in spec.fields:
        if one.spec.kind == "self" or one.name == "kind":
            fields.append(one)
            continue
        way = draw(st.sampled_from(["same", "same", "type", "type", "required", "alias", "gone"]))
        if way == "type":
            fields.append(FieldSpec(one.name, draw(changed(one.spec, depth - 1)), one.required, one.alias))
        elif way == "required":
            fields.append(FieldSpec(one.name, one.spec, not one.required, one.alias))
        elif way == "alias":
            fields.append(
                FieldSpec(one.name, one.spec, one.required, draw(st.sampled_from([None, f"{one.name}Alias"])))
            )
        elif way == "same":
            fields.append(one)
    if draw(st.integers(0, 3)) == 0:
        fields.append(FieldSpec("added", draw(specs(0)), draw(st.booleans())))
    order = draw(st.permutations(fields))
    config = spec.config if draw(st.integers(0, 3)) else draw(models(0)).config
    return Spec("model", fields=tuple(order), name=spec.name, config=config)


@st.composite
def pairs(draw: Any, depth: int = 2) -> tuple[Spec, Spec]:
    """Draw a type, and another version of it."""
    way = draw(st.sampled_from(["any", "model", "limits"]))
    if way == "model":
        model = draw(models(1))
        return model, draw(_changed_model(model, 1))
    if way == "limits":
        kind = draw(st.sampled_from(sorted(_LIMITED)))
        limits = dict(draw(_limits(kind)))
        more = dict(draw(_limits(kind).filter(bool)))
        key = draw(st.sampled_from(sorted(more)))
        changes = _consistent({**{name: limits[name] for name in limits if name[0] != key[0]}, key: more[key]})
        one, other = (Spec(kind, tuple(sorted(some.items())), _LIMITED[kind]) for some in (limits, changes))
        shape = draw(st.sampled_from(["", "list", "optional"]))
        return (Spec(shape, parts=(one,)), Spec(shape, parts=(other,))) if shape else (one, other)
    old = draw(specs(depth))
    return old, draw(changed(old, depth))


@dataclass
class Version:
    """A type with its real validator, and its schemas as a lock file has them."""

    annotation: Any
    adapter: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.adapter = TypeAdapter(self.annotation)

    def described(self, mode: Literal["validation", "serialization"]) -> Described:
        """Return the schema of one direction."""
        return described(self.annotation, mode)


def described(annotation: Any, mode: Literal["validation", "serialization"] = "validation") -> Described:
    """Return the schema of a type as a lock file has it."""
    schemas, definitions = LockSchema().generate_definitions([(0, mode, TypeAdapter(annotation).core_schema)])
    found: Any = definitions  # whose keys are names of a type of their own
    return Described(schemas[0, mode], Document(contracts={}, schemas=found))
