"""`TaskError`: a failure that a contract declares, raised in the worker and on the client as the same class."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, dataclass_transform

from pydantic import BaseModel, Field

from pico_celery.contract.error_fields import ErrorFields, headline, read_fields, safe_text, shown_fields
from pico_celery.contract.naming import is_task_name
from pico_celery.contract.typenames import safe_repr
from pico_celery.errors import ErrorFieldsError, Fault, PicoCeleryError

_FIELDS: Final = "__pico_celery_fields__"
_CODE: Final = "__pico_celery_code__"
_STORED_LENGTH: Final = 2  # text and data, what Celery keeps of an exception


@dataclass_transform(kw_only_default=True, field_specifiers=(Field,))
class TaskError(PicoCeleryError):
    """Base of the errors that contracts declare.

    The annotations of a class are its fields, given by keyword and validated by pydantic::

        class PaymentDeclined(TaskError, retryable=True):
            reason: str
            retry_after: timedelta | None = None

    List the class on the contract: ``@task_options(errors=[PaymentDeclined])``. Raised in the worker it is raised on the
    client with the same fields. A class inherits the fields of its base, and its own are added.

    Attributes:
        code: The stable name on the wire: that of the class keyword ``code=``; without one, ``orders.payment_declined``
            as soon as a contract of the domain ``orders`` lists the class, and empty before.
        retryable: Whether a `RetryPolicy` tries again, as the class keyword ``retryable=`` says.
    """

    code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls, *, code: str | None = None, retryable: bool | None = None) -> None:
        """Read the fields of a class.

        Args:
            code: Its stable name on the wire; `domain.class_name` of the contract that lists it, without it.
            retryable: Whether a retry may succeed; as its base says, without it.

        Raises:
            ErrorClassError: If a field has a reserved name or a type that is no JSON; all faults in one error.
        """
        super().__init_subclass__()
        frame = sys._getframe(1)  # noqa: SLF001 - as pydantic finds the names that are local to a function
        while frame.f_back is not None and frame.f_code.co_name == "__init_subclass__":
            frame = frame.f_back
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        namespace = frame.f_locals if frame.f_locals is not frame.f_globals else {}
        fields = read_fields(
            cls,
            _inherited(cls),
            reserved=_RESERVED,
            namespace=namespace,
            where=where,
            faults=_keyword_faults(cls, code, retryable, where),
        )
        setattr(cls, _FIELDS, fields)
        setattr(cls, _CODE, code or "")
        if code is not None:
            cls.code = code
        if retryable is not None:
            cls.retryable = retryable
        for name in fields.declared:
            if type(vars(cls).get(name)).__name__ == "FieldInfo":
                delattr(cls, name)

    if TYPE_CHECKING:  # the constructor of a class without fields; that of others comes from their annotations

        def __init__(self) -> None: ...

    else:

        def __init__(self, *stored: object, **fields: object) -> None:
            """Build the error.

            Args:
                *stored: Nothing; or text and data, with which Celery builds again what it has stored.
                **fields: The fields of the class.

            Raises:
                ErrorFieldsError: If they do not fit the class, with all faults.
            """
            declared = _fields_of(type(self))
            if _is_stored(declared, stored, fields):
                self._restore(declared, *stored)
            elif declared is None or stored:
                raise ErrorFieldsError.of(type(self).__qualname__, [_misuse(type(self), declared)])
            else:
                model = declared.build(type(self).__qualname__, fields)
                self._fill(declared, model, *stored_form(self, type(self), "", _values(declared, model)))

    def __str__(self) -> str:
        """Return the field ``message``, or all fields as pydantic shows them, or what the class's docstring says first."""
        declared, values = _fields_of(type(self)), values_of(self)
        if declared is None or values is None:
            return str(vars(self).get("message", ""))
        if "message" in declared.shown:
            return str(self.message)
        return shown_fields(declared, values, " ") or headline(type(self))

    def __repr__(self) -> str:
        """Return class and fields, without secrets."""
        declared, values = _fields_of(type(self)), values_of(self)
        unread = repr(vars(self).get("message", ""))  # before the constructor has ended there is none
        shown = unread if declared is None or values is None else shown_fields(declared, values, ", ")
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        """Return whether it is an error of the same class with the same fields."""
        if self is other:
            return True
        if type(other) is not type(self):
            return False
        values = values_of(self)
        return values is not None and values == values_of(other)

    def __hash__(self) -> int:
        """Return one number for all errors of a class: fields may be unhashable, and may change."""
        return hash(type(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the stored form, and what was added to the error besides its fields."""
        declared, args = _fields_of(type(self)), self.args
        if declared is not None and values_of(self) is not None:
            with contextlib.suppress(ErrorFieldsError):  # a field that was set to what does not fit
                args = stored_form(self, type(self), self.data.get("task", ""))
        known = {"message", "data", *(declared.declared if declared else ())}
        state = {name: value for name, value in vars(self).items() if name not in known}
        return (type(self), args, state) if state else (type(self), args)

    if not TYPE_CHECKING:  # or a misspelt field would be no mistake to type checkers

        def __getattr__(self, name: str) -> object:
            """Say why a field is missing in an error whose stored fields do not fit its class."""
            declared = _fields_of(type(self))
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if declared is not None and name in declared.declared:
                text += (
                    ": its stored fields do not fit the class; deploy the same version of the contract on both sides"
                )
            raise AttributeError(text, name=name, obj=self)

    def _restore(self, declared: ErrorFields | None, text: str, data: Mapping[str, object]) -> None:
        # Celery would make an Exception, with all data in its text, of an error whose constructor raises.
        try:
            model = None if declared is None else declared.payload.decode(data.get("fields"))
        except (ValueError, TypeError, RecursionError):
            model = None
        self._fill(declared, model, text, data)

    def _fill(
        self, declared: ErrorFields | None, model: BaseModel | None, text: str, data: Mapping[str, object]
    ) -> None:
        super().__init__(text, data)
        if declared is not None and model is not None:
            vars(self).update(_values(declared, model))  # after the message of the base: a field may have that name


def fields_of(cls: type[TaskError]) -> ErrorFields:
    """Return the fields of a declared error."""
    fields: ErrorFields = getattr(cls, _FIELDS)
    return fields


def explicit_code(cls: type[TaskError]) -> str:
    """Return the code that a class was given, empty where contracts give it one."""
    return str(vars(cls).get(_CODE, ""))


def values_of(error: TaskError) -> dict[str, object] | None:
    """Return the fields of an error by name."""
    declared, own = _fields_of(type(error)), vars(error)
    if declared is None or not own.keys() >= declared.declared.keys():
        return None
    return {name: own[name] for name in declared.declared}


def stored_form(
    error: TaskError, cls: type[TaskError], task: str, values: Mapping[str, object] | None = None
) -> tuple[str, dict[str, object]]:
    """Return what a result backend keeps of an error: its text, and its fields as JSON."""
    known = values_of(error) or {} if values is None else values
    data = fields_of(cls).encode(cls.__qualname__, known)
    if values is not None:
        vars(error).update(values)
    return safe_text(error), {"code": cls.code, "task": task, "fields": data}


def restored(cls: type[TaskError], text: str, data: Mapping[str, object]) -> TaskError:
    """Return an error from its stored form."""
    build: Any = cls
    error: TaskError = build(text, data)
    return error


def _fields_of(cls: type[TaskError]) -> ErrorFields | None:
    return getattr(cls, _FIELDS, None)


def _inherited(cls: type[TaskError]) -> dict[str, tuple[object, object]]:
    found: dict[str, tuple[Any, Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        fields = vars(base).get(_FIELDS)
        found.update(fields.declared if fields else {})
    return found


def _values(declared: ErrorFields, model: BaseModel) -> dict[str, object]:
    return {name: getattr(model, name) for name in declared.declared}


def _is_stored(declared: ErrorFields | None, stored: tuple[object, ...], fields: Mapping[str, object]) -> bool:
    if fields or len(stored) != _STORED_LENGTH or not isinstance(stored[0], str):
        return False
    return isinstance(stored[1], Mapping) and (declared is None or "fields" in stored[1])


def _misuse(cls: type[TaskError], declared: ErrorFields | None) -> Fault:
    if declared is None:
        remedy = "derive a class from it, such as class PaymentDeclined(TaskError): reason: str"
        return Fault(task=cls.__qualname__, expected="a class of your own", got="TaskError", remedy=remedy, code="base")
    remedy = f"write {cls.__name__}({', '.join(f'{name}=...' for name in declared.declared)})"
    return Fault(
        task=cls.__qualname__,
        expected="fields by keyword",
        got="positional arguments",
        remedy=remedy,
        where=(declared.where,),
        code="positional",
    )


def _keyword_faults(cls: type[TaskError], code: object, retryable: object, where: str) -> list[Fault]:
    def fault(path: str, expected: str, got: str, remedy: str) -> Fault:
        return Fault(
            task=cls.__qualname__, path=path, expected=expected, got=got, remedy=remedy, where=(where,), code=path
        )

    faults = []
    if code is not None and not (isinstance(code, str) and is_task_name(code)):
        remedy = "such as code='orders.payment_declined', or leave it out"
        faults.append(fault("code", "a text without blanks", safe_repr(code), remedy))
    if retryable is not None and not isinstance(retryable, bool):
        faults.append(fault("retryable", "True or False", safe_repr(retryable), "say which"))
    faults.extend(
        fault(name, "the constructor of TaskError", "one of its own", "declare fields, and remove it")
        for name in ("__init__", "__new__")
        if name in vars(cls)
    )
    return faults


_RESERVED: Final = frozenset(dir(TaskError)) - {"message"} | {"data"}
