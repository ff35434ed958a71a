"""Claims: one tree of errors, drawn in its module; each carries data and survives pickling and JSON."""

import copy
import importlib
import inspect
import json
import pickle
import pkgutil
from importlib.metadata import version
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import Backend
from kombu.utils.json import dumps, loads

import pico_celery
from pico_celery import TaskError, errors
from pico_celery.errors import CallError, Fault, FaultsError, PicoCeleryError

CLASSES = sorted(
    (cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, BaseException)),
    key=lambda cls: cls.__name__,
)
# TaskError stands above errors.py, for it needs a contract's payloads; tests/unit/test_task_error.py has its own claims.
DRAWN = {*CLASSES, TaskError}
ERRORS = [cls for cls in CLASSES if issubclass(cls, PicoCeleryError)]
FAULTS = [cls for cls in ERRORS if issubclass(cls, FaultsError)]
FAULT = Fault(
    task="orders.place",
    path="order.id",
    expected="int",
    got="'x' (str)",
    remedy="pass an int",
    where=("a.py:1", "b.py:2"),
    code="int_parsing",
)


def example(cls: type[PicoCeleryError]) -> PicoCeleryError:
    if issubclass(cls, FaultsError):
        return cls.of("orders.place", [FAULT, Fault(task="orders.cancel", expected="ä", got="\u2028")])
    return cls("it failed: do this", {"client": "Orders", "task": "orders.place"})


def every_exception_class() -> list[type[BaseException]]:
    found: set[type[BaseException]] = set()
    for module in pkgutil.walk_packages(pico_celery.__path__, "pico_celery."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, BaseException) and cls.__module__.startswith("pico_celery"):
                found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_survive_pickling_and_copying(cls: type[PicoCeleryError]) -> None:
    error = example(cls)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert str(again) == str(error)
        assert again.data == error.data
        assert again.args == error.args


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_are_json(cls: type[PicoCeleryError]) -> None:
    error = example(cls)
    message, data = json.loads(json.dumps(error.args))
    again = cls(message, data)
    assert str(again) == str(error)
    if isinstance(error, FaultsError):
        assert isinstance(again, FaultsError)
        assert again.faults == error.faults
        assert again.subject == error.subject == "orders.place"


@pytest.mark.parametrize("serializer", ["json", "pickle"])
@pytest.mark.parametrize("cls", ERRORS)
def test_errors_survive_a_result_backend(cls: type[PicoCeleryError], serializer: str, celery_app: Celery) -> None:
    backend = Backend(celery_app, serializer=serializer)
    error = example(cls)
    prepared: Any = backend.prepare_exception(error)
    stored = loads(dumps(prepared)) if serializer == "json" else prepared
    again: Any = backend.exception_to_python(stored)
    assert type(again) is cls
    assert str(again) == str(error)
    assert getattr(again, "faults", None) == getattr(error, "faults", None)


@pytest.mark.parametrize("cls", every_exception_class(), ids=lambda cls: cls.__name__)
def test_every_exception_class_of_the_library_can_be_pickled(cls: Any) -> None:
    if issubclass(cls, PicoCeleryError):
        error = example(cls)
    else:
        error = cls("reason", "remedy", "code") if cls.__name__ == "UnusableTypeError" else cls("text")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)


@pytest.mark.parametrize("cls", every_exception_class(), ids=lambda cls: cls.__name__)
def test_every_public_exception_class_is_in_the_tree(cls: Any) -> None:
    if cls in DRAWN or cls.__name__ == "UnusableTypeError" or cls.__name__.startswith("_"):
        return
    # What Celery raises by another name, so that it is caught as Celery's; and what unwinds a tracer inside the pool.
    # A deadline inside a coroutine is a cancellation too.
    assert cls.__name__ in {"Unwound", "DeadlineCancelled"} or any(
        base.__module__.startswith(("celery", "billiard", "kombu")) for base in cls.__mro__
    )


def test_the_docstring_draws_every_class_below_its_base() -> None:
    drawn: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        if "└──" in line or "├──" in line:
            name = line.split("── ", 1)[1].split()[0]
            drawn[name] = line.index("──")
    # FaultsError and CallError say how an error is built, not what failed.
    assert set(drawn) == {cls.__name__ for cls in DRAWN} - {"FaultsError", "CallError"}
    for cls in DRAWN:
        for base in cls.__bases__:
            if cls.__name__ in drawn and base.__name__ in drawn:
                assert drawn[cls.__name__] > drawn[base.__name__]


@pytest.mark.parametrize("cls", FAULTS)
def test_an_error_lists_its_faults_sorted_with_a_headline(cls: type[FaultsError]) -> None:
    error = cls.of("Subject", [Fault(task="b", expected="x", got="y"), FAULT, Fault(task="a", path="p")])
    assert [fault.task for fault in error.faults] == ["a", "b", "orders.place"]
    assert "3 faults" in str(error).splitlines()[0]
    assert str(error).splitlines()[0].endswith(":")
    assert str(error).splitlines()[1:] == [
        "  - a: p",
        "  - b: expected x, got y",
        "  - orders.place: order.id: expected int, got 'x' (str); pass an int",
        "      at a.py:1, b.py:2",
    ]
    assert "1 fault" in str(cls.of("Subject", [FAULT])).splitlines()[0]


def test_a_call_error_names_task_and_paths() -> None:
    for cls in (errors.PayloadError, errors.ResultError):
        error = cls.of("orders.place", [FAULT])
        assert isinstance(error, CallError)
        assert error.task == "orders.place"
        assert error.paths == ("order.id",)


@pytest.mark.parametrize(
    ("cls", "builtins"),
    [
        (errors.PayloadError, (TypeError,)),
        (errors.OptionError, (TypeError,)),
        (errors.DecoratorError, (TypeError, ValueError)),
        (errors.UnknownTaskError, (errors.ConformanceError,)),
        (errors.UndeclaredTaskWarning, (UserWarning,)),
        (errors.DeprecatedTaskWarning, (DeprecationWarning,)),
    ],
)
def test_errors_are_what_python_would_raise(cls: type[Exception], builtins: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(cls, base) for base in builtins)


def test_an_error_of_an_older_or_newer_release_is_still_told() -> None:
    error = errors.PayloadError("message")
    assert (str(error), error.faults, error.task, error.data) == ("message", (), "", {})
    newer = errors.PayloadError("message", {"faults": [{"task": "a", "severity": "high"}]})
    assert newer.faults[0].task == "a"


# --- exports


def test_every_public_name_is_exported_and_nothing_else() -> None:
    assert pico_celery.__all__ == sorted(pico_celery.__all__, key=lambda name: (name[0].islower(), name))
    for name in pico_celery.__all__:
        assert getattr(pico_celery, name) is not None
    assert set(pico_celery.__all__) <= set(dir(pico_celery))


def test_every_public_error_is_exported() -> None:
    internal = {"FaultsError", "CallError", "DeclarationError"}
    assert {cls.__name__ for cls in CLASSES} - internal <= set(dir(pico_celery))


def test_no_more_names_are_exported_than_a_reader_can_take_in() -> None:
    assert len(pico_celery.__all__) <= 50


def test_every_public_name_has_a_docstring() -> None:
    for name in set(pico_celery.__all__) - {"Duration", "Outcome"}:  # type aliases have none at run time
        assert inspect.getdoc(getattr(pico_celery, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pico_celery' has no attribute 'nothing'"):
        _ = pico_celery.nothing


def test_the_exported_celery_is_the_decorator() -> None:
    assert callable(pico_celery.celery)
    assert not inspect.ismodule(pico_celery.celery)


def test_the_version_is_that_of_the_distribution() -> None:
    assert pico_celery.__version__ == version("pico-celery")
