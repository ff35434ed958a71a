"""Signatures of methods, with annotations resolved: what contracts, implementations and clients are made from."""

from __future__ import annotations

import builtins
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pico_celery.errors import Fault

MISSING: Final = inspect.Parameter.empty
KINDS: Final = {
    inspect.Parameter.POSITIONAL_ONLY: "positional-only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional or keyword",
    inspect.Parameter.KEYWORD_ONLY: "keyword-only",
    inspect.Parameter.VAR_POSITIONAL: "*args",
    inspect.Parameter.VAR_KEYWORD: "**kwargs",
}
VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodParameter:
    """A parameter as it stands in code."""

    name: str
    kind: inspect._ParameterKind
    """One of `inspect.Parameter`'s kinds."""
    annotation: Any
    """Its resolved type, or `MISSING`."""
    default: Any
    """Its default, or `MISSING`."""

    @property
    def required(self) -> bool:
        """Whether a caller must give it."""
        return self.default is MISSING and self.kind not in VARIADIC


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSignature:
    """A method's signature without ``self``."""

    parameters: tuple[MethodParameter, ...]
    """In the order of the code."""
    result: Any
    """The resolved type of the result, or `MISSING`."""
    is_async: bool
    """Whether it is an ``async def`` (and no generator)."""
    where: str
    doc: str
    faults: tuple[Fault, ...]
    """What could not be resolved."""


def location_of(function: Callable[..., object]) -> str:
    """Return ``file:line`` of a function, or its name where it has no code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else getattr(function, "__qualname__", repr(function))


def caller_location(depth: int = 2) -> str:
    """Return ``file:line`` of a caller, for messages."""
    frame = sys._getframe(depth)  # noqa: SLF001 - the documented way, and cheap
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def read_signature(
    function: Callable[..., object],
    subject: str,
    *,
    namespace: Mapping[str, object] | None = None,
) -> MethodSignature:
    """Read a method's signature and resolve its annotations."""
    faults: list[Fault] = []
    raw = inspect.signature(function)

    def resolve(path: str, annotation: object) -> object:
        if annotation is MISSING:
            return MISSING
        try:
            return _resolve(annotation, function, namespace or {})
        except Exception as error:  # noqa: BLE001 - whatever a broken annotation raises is a fault of the contract
            faults.append(_unresolved(subject, path, annotation, error, location_of(function)))
            return MISSING

    every = list(raw.parameters.values())
    if (
        not every
        or every[0].kind not in _SELF_KINDS
        or (every[0].name != "self" and every[0].annotation is not MISSING)
    ):
        faults.append(_no_self(subject, location_of(function)))
        every = [_SELF, *every]
    parameters = tuple(
        MethodParameter(
            name=parameter.name,
            kind=parameter.kind,
            annotation=resolve(parameter.name, parameter.annotation),
            default=parameter.default,
        )
        for parameter in every[1:]
    )
    return MethodSignature(
        parameters=parameters,
        result=resolve("return", raw.return_annotation),
        is_async=inspect.iscoroutinefunction(inspect.unwrap(function)),
        where=location_of(function),
        doc=inspect.getdoc(function) or "",
        faults=tuple(faults),
    )


_SELF_KINDS: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SELF: Final = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _no_self(subject: str, where: str) -> Fault:
    return Fault(
        task=subject,
        expected="a method, whose first parameter is self",
        got="a function without it",
        remedy="add self",
        where=(where,),
        code="no_self",
    )


def _resolve(annotation: object, function: Callable[..., object], namespace: Mapping[str, object]) -> object:
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    namespaces = getattr(inspect.unwrap(function), "__globals__", {})
    resolved = typing.get_type_hints(holder, namespaces, dict(namespace), include_extras=True)["it"]
    return type(None) if resolved is None else resolved


def _unresolved(subject: str, path: str, annotation: object, error: Exception, where: str) -> Fault:
    if isinstance(error, NameError):
        name = error.name or str(error)
        remedy = (
            f"import {name!r} where the module is loaded, not only under TYPE_CHECKING"
            if not hasattr(builtins, name)
            else "correct the annotation"
        )
        return Fault(
            task=subject,
            path=path,
            expected="an annotation that resolves at run time",
            got=f"{annotation!r}, in which {name!r} is not defined",
            remedy=remedy,
            where=(where,),
            code="unresolved_annotation",
        )
    return Fault(
        task=subject,
        path=path,
        expected="an annotation that resolves at run time",
        got=f"{annotation!r}, which raises {type(error).__name__}: {error}",
        remedy="correct the annotation",
        where=(where,),
        code="unresolved_annotation",
    )
