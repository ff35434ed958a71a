"""The fields of a declared error, a pydantic model made from its annotations, and the texts that show no secret of them."""

from __future__ import annotations

import inspect
import sys
import typing
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.payload import Payload, UnusableTypeError, payload_of
from pico_celery.contract.typenames import safe_repr, type_name, value_text
from pico_celery.contract.validation_messages import ValidationMessage, validation_message
from pico_celery.contract.wire_schema import is_veiled
from pico_celery.errors import ErrorClassError, ErrorFieldsError, Fault

SHOWN: Final = 20  # as of arguments and results
_MISSING: Final = inspect.Parameter.empty
_CONFIG: Final = ConfigDict(
    validate_by_name=True,
    validate_by_alias=True,
    ser_json_bytes="base64",
    val_json_bytes="base64",
    protected_namespaces=(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFields:
    """The fields of one class.

    Attributes:
        declared: Annotation and default by name, those of its bases first.
        payload: All fields together, as they travel.
        model: What the constructor validates with: as the payload's, and refusing unknown names.
        shown: Names of the fields that texts may show, with whether their values may be shown too.
        where: ``file:line`` of the class.
    """

    declared: Mapping[str, tuple[Any, Any]]
    payload: Payload
    model: type[BaseModel]
    shown: Mapping[str, bool]
    where: str

    def build(self, subject: str, values: Mapping[str, object]) -> BaseModel:
        """Validate the fields that a constructor was given.

        Args:
            subject: Name of the class, for the message.
            values: The fields by name.

        Returns:
            A model that holds them.

        Raises:
            ErrorFieldsError: If they do not fit, with all faults.
        """
        try:
            return self.model.model_validate(dict(values))
        except ValidationError as error:
            raise ErrorFieldsError.of(subject, self.faults(subject, error)) from None

    def encode(self, subject: str, values: Mapping[str, object]) -> dict[str, object]:
        """Turn the fields into JSON data.

        Args:
            subject: Name of the class, for the message.
            values: The fields by name; what they were set to after the error was built counts.

        Returns:
            JSON data by the names on the wire.

        Raises:
            ErrorFieldsError: If they do not fit, or are no JSON.
        """
        known = {name: values[name] for name in self.declared if name in values}
        try:
            data: dict[str, Any] = self.payload.encode(self.payload.validate(known))
        except ValidationError as error:
            raise ErrorFieldsError.of(subject, self.faults(subject, error)) from None
        except (ValueError, TypeError, RecursionError) as error:
            got = "a value that is none, not shown" if self.payload.sensitive else str(error).replace("\n", " ")
            fault = Fault(task=subject, expected="fields that are JSON", got=got, remedy="correct it", code="not_json")
            raise ErrorFieldsError.of(subject, [fault]) from None
        return data

    def faults(self, subject: str, error: ValidationError) -> list[Fault]:
        """Return the faults of fields.

        Args:
            subject: Name of the class or task.
            error: pydantic's error over the mapping of the fields.

        Returns:
            At most `SHOWN` faults; values are left out where fields have parts that must not be shown.
        """
        details = error.errors(include_url=False)
        return [self._fault(subject, detail) for detail in details[:SHOWN]]

    def _fault(self, subject: str, detail: ErrorDetails) -> Fault:
        path = ".".join(str(part) for part in detail["loc"])
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            remedy = did_you_mean(name, self.declared) if self.declared else "the class has no fields"
            message = ValidationMessage("no such field", "one")
        elif detail["type"] == "missing":
            annotation = self.declared.get(name, (Any, _MISSING))[0]
            top = len(detail["loc"]) == 1
            message = ValidationMessage(f"a value of type {type_name(annotation)}" if top else "a value", "nothing")
            remedy = "give it by keyword"
        else:
            message = validation_message(detail, sensitive=self.payload.sensitive)
            remedy = "give what the class declares"
        return Fault(
            task=subject, path=path, remedy=remedy, where=(self.where,), code=detail["type"], **message._asdict()
        )


def read_fields(
    cls: type[object],
    inherited: Mapping[str, tuple[object, object]],
    *,
    reserved: Collection[str],
    namespace: Mapping[str, object],
    where: str,
    faults: list[Fault],
) -> ErrorFields:
    """Read the fields of a class from its annotations."""
    reader = _Reader(cls, reserved, namespace, where, faults)
    declared = {**inherited, **reader.own(inherited)}
    if reader.faults:
        raise ErrorClassError.of(cls.__qualname__, reader.faults)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # a field may be called what a model has: nobody sees the model
            model = _model(cls, declared)
            strict = create_model(cls.__name__, __base__=model)
        strict.model_config["extra"] = "forbid"
        strict.model_rebuild(force=True)
        payload = Payload(model)
    except UnusableTypeError as error:
        reader.unusable("", type_name(cls), error)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        reader.unusable(
            "", type_name(cls), UnusableTypeError(str(error).split("\n", 1)[0], "rename the field", "field")
        )
    else:
        infos = model.model_fields
        shown = {name: not is_veiled(declared[name][0]) for name in declared if infos[name].repr}
        return ErrorFields(declared=declared, payload=payload, model=strict, shown=shown, where=where)
    raise ErrorClassError.of(cls.__qualname__, reader.faults)


def _model(cls: type[object], declared: Mapping[str, tuple[object, object]]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (annotation, ... if default is _MISSING else default) for name, (annotation, default) in declared.items()
    }
    doc = vars(cls).get("__doc__")
    return create_model(cls.__name__, __config__=_CONFIG, __module__=cls.__module__, __doc__=doc, **fields)


class _Reader:
    def __init__(
        self,
        cls: type[object],
        reserved: Collection[str],
        namespace: Mapping[str, object],
        where: str,
        faults: list[Fault],
    ) -> None:
        self.cls = cls
        self.reserved = reserved
        self.namespace = namespace
        self.where = where
        self.faults = faults

    def own(self, inherited: Collection[str]) -> dict[str, tuple[object, object]]:
        annotations = inspect.get_annotations(self.cls)
        for name in inherited:
            if name in vars(self.cls) and name not in annotations:
                got = "an attribute without annotation, which hides a field of its base"
                self._fault(name, "a field", got, "annotate it", "no_annotation")
        return {name: field for name, raw in annotations.items() for field in self._field(name, raw)}

    def unusable(self, path: str, shown: str, error: UnusableTypeError) -> None:
        expected = "a type that pydantic turns into JSON and back"
        self._fault(path, expected, f"{shown}: {error.reason}", error.remedy, error.code)

    def _field(self, name: str, raw: object) -> Iterator[tuple[object, object]]:
        try:
            annotation = self._resolved(raw)
        except Exception as error:  # noqa: BLE001 - whatever a broken annotation raises is a fault of the class
            lost = (
                f"{error.name!r} is not defined" if isinstance(error, NameError) else f"{type(error).__name__}: {error}"
            )
            remedy = "define or import it before the class, where the module is loaded"
            expected = "an annotation that resolves at run time"
            self._fault(name, expected, f"{raw!r}, in which {lost}", remedy, "unresolved_annotation")
            return
        if annotation is ClassVar or get_origin(annotation) is ClassVar:
            return
        if name in self.reserved or name.startswith("_"):
            got = "a name that every exception has" if name in self.reserved else "a name with an underscore first"
            self._fault(name, "a field name of its own", got, "rename the field", "reserved_name")
            return
        default = vars(self.cls).get(name, _MISSING)
        try:
            payload = payload_of(annotation)
        except UnusableTypeError as error:
            self.unusable(name, type_name(annotation), error)
            return
        if default is not _MISSING and not isinstance(default, FieldInfo) and not _fits(payload, default):
            got = f"the default {value_text(default)}"
            self._fault(name, type_name(annotation), got, "correct it", "default")
            return
        yield annotation, default

    def _resolved(self, raw: object) -> object:
        # A class may hold a ClassVar; nothing else may.
        holder = type("fields", (), {"__annotations__": {"it": raw}, "__module__": self.cls.__module__})
        module = vars(sys.modules[self.cls.__module__]) if self.cls.__module__ in sys.modules else {}
        names = {**module, **self.namespace, self.cls.__name__: self.cls}
        return typing.get_type_hints(holder, names, names, include_extras=True)["it"]

    def _fault(self, path: str, expected: str, got: str, remedy: str, code: str) -> None:
        self.faults.append(
            Fault(
                task=self.cls.__qualname__,
                path=path,
                expected=expected,
                got=got,
                remedy=remedy,
                where=(self.where,),
                code=code,
            )
        )


def _fits(payload: Payload, default: object) -> bool:
    try:
        payload.encode(payload.validate(default, strict=True))
    except (ValueError, TypeError):
        return False
    return True


TEXT_LIMIT: Final = 1024  # as what logs show of arguments and results
UNSHOWN: Final = "(not shown)"


def shown_fields(declared: ErrorFields, values: Mapping[str, object], separator: str) -> str:
    """Return fields as pydantic shows them."""
    parts = [f"{name}={safe_repr(values[name]) if may else UNSHOWN}" for name, may in declared.shown.items()]
    text = separator.join(parts)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 3] + "..."


def headline(cls: type[object]) -> str:
    """Return what the docstring of a class says first, or the name of a class without one."""
    doc = inspect.cleandoc(vars(cls).get("__doc__") or "")
    return doc.split("\n", 1)[0] or cls.__name__


def safe_text(error: BaseException) -> str:
    """Return the text of an error, or its class where the text itself fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error
        return f"a {type(error).__name__}, whose text fails"
