"""``@celery`` classes and ``send_task``: how a client is declared, and what is checked at its import."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import (
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from celery import Celery
from celery.result import AsyncResult as CeleryAsyncResult

from pico_celery.app_state import state_lock, state_of
from pico_celery.client.options import SendOptions, check_send_options
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.sender import APP_ATTRIBUTE, TaskSender
from pico_celery.contract.catalog import Catalog, declared, default_catalog
from pico_celery.contract.conformance import compare_signature, conformance_error, is_assignable
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_undeclared
from pico_celery.contract.marks import marks_of
from pico_celery.contract.naming import is_task_name
from pico_celery.contract.signature import MISSING, caller_location, read_signature
from pico_celery.contract.typenames import type_name
from pico_celery.errors import DecoratorError, Fault


class _Clients:
    """The client classes of an application."""

    def __init__(self) -> None:
        self.classes: weakref.WeakSet[type] = weakref.WeakSet()


def remember_client(app: object, cls: type) -> None:
    """Remember that there is a client of an application."""
    if isinstance(app, Celery):
        clients = state_of(app).get(_Clients)
        with state_lock():
            clients.classes.add(cls)


def clients_of(app: Celery) -> list[type]:
    """Return the client classes of which this process has made an instance with an application, by name."""
    clients = state_of(app).get(_Clients)
    with state_lock():
        return sorted(clients.classes, key=lambda cls: (cls.__module__, cls.__qualname__))


P = ParamSpec("P")
R = TypeVar("R")
_Class = TypeVar("_Class", bound=type[Any])
_INJECTED = "celery_app"
_BINDS = "__pico_celery_binds__"
_CATALOG = "__pico_celery_catalog__"


class _SenderDecorator(Protocol):
    @overload
    def __call__(self, method: Callable[Concatenate[Any, P], AsyncResult[R]], /) -> TaskSender[P, R]: ...
    @overload
    def __call__(self, method: Callable[Concatenate[Any, P], Any], /) -> TaskSender[P, Any]: ...


class _ClassDecorator(Protocol):
    def __call__(self, cls: _Class, /) -> _Class: ...


@overload
def send_task(
    task: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /, **options: Unpack[SendOptions]
) -> TaskSender[P, R]: ...
@overload
def send_task(name: str, /, **options: Unpack[SendOptions]) -> _SenderDecorator: ...
@overload
def send_task(*, name: str, **options: Unpack[SendOptions]) -> _SenderDecorator: ...
def send_task(
    task: Callable[..., object] | str | None = None, /, *, name: str | None = None, **options: object
) -> TaskSender[..., object] | Callable[..., object]:
    """Declare a sender on a client class.

    By reference, as a class attribute: ``place = send_task(Orders.place)``; the signature comes from the contract.
    By name, over a method whose body is never executed: ``@send_task("orders.place")``; its signature is compared with
    the contract when the class is created.

    Args:
        task: The contract's method, or the name of a task.
        name: The name of a task, as a keyword.
        **options: See `SendOptions`; they hold for all calls of this sender.

    Returns:
        The sender, or a decorator that returns it.

    Raises:
        OptionError: If an option is unknown or has a wrong type.
        DecoratorError: If the method belongs to no contract.
    """
    given = name if task is None else task
    subject = given if isinstance(given, str) else getattr(given, "__qualname__", "send_task")
    checked = check_send_options(options, f"send_task({subject})")
    if callable(given):
        return TaskSender(declared(given, "send_task"), checked)
    if not isinstance(given, str) or not is_task_name(given):
        fault = Fault(
            task="send_task",
            expected="a contract's method or a task name",
            got=repr(given),
            remedy="write send_task(Orders.place) or @send_task('orders.place')",
            code="no_task",
        )
        raise DecoratorError.of("send_task", [fault])

    def decorate(method: Callable[..., object]) -> TaskSender[..., object]:
        if not inspect.isfunction(method):
            fault = Fault(
                task=given,
                expected="a method",
                got=repr(method),
                remedy="decorate a plain method of the client class",
                code="not_a_method",
            )
            raise DecoratorError.of("send_task", [fault])
        return TaskSender(given, checked, method)

    return decorate


class CeleryClient:
    """Base of clients: it takes the application, from the container or by hand.

    Deriving from it is optional for ``@celery`` classes.

    Args:
        app: The application that publishes.
    """

    def __init__(self, app: Celery) -> None:
        bind_client(self, app)

    def __init_subclass__(cls, *, catalog: Catalog | None = None, **kwargs: object) -> None:
        """Check the senders of the class against the contracts, when it is created.

        Args:
            catalog: Where contracts are looked up; that of the base class, or the default catalog, without it.
            **kwargs: Those of other bases.

        Raises:
            ConformanceError: If a sender differs from its contract.
        """
        super().__init_subclass__(**kwargs)
        if catalog is not None:
            setattr(cls, _CATALOG, catalog)
        check_client(cls, _catalog_of(cls))


setattr(CeleryClient.__init__, _BINDS, True)


@overload
def celery(cls: _Class, /) -> _Class: ...
@overload
def celery(
    *,
    scope: str = ...,
    name: Any = ...,  # noqa: ANN401 - as pico-ioc's own
    qualifiers: Iterable[str] = ...,
    primary: bool = ...,
    lazy: bool = ...,
    conditional_profiles: Iterable[str] = ...,
    conditional_require_env: Iterable[str] = ...,
    conditional_predicate: Callable[[], bool] | None = ...,
    on_missing_selector: object | None = ...,
    on_missing_priority: int = ...,
    catalog: Catalog | None = ...,
) -> _ClassDecorator: ...
def celery(cls: type[object] | None = None, /, *, catalog: Catalog | None = None, **options: Any) -> object:
    """Make a class a client (or worker) component of the container.

    Args:
        cls: A class with senders (`send_task`), tasks (`task`), or both.
        catalog: Where contracts are looked up; the default catalog without it.
        **options: Those of `pico_ioc.component`: ``scope``, ``name``, ``qualifiers``, ``primary``, ``lazy``, ...

    Returns:
        The class itself, or a decorator that returns it.

    Raises:
        DecoratorError: If the class has neither senders nor tasks.
        ConformanceError: If a sender differs from its contract.
    """
    from pico_ioc import component  # noqa: PLC0415 - clients built by hand need no container

    where = caller_location()

    def decorate(target: type[object]) -> type[object]:
        if not senders_of(target) and not _has_tasks(target):
            fault = Fault(
                task=target.__name__,
                expected="a sender or a task",
                got="none",
                remedy="add place = send_task(Orders.place), or decorate methods with @send_task or @task",
                where=(where,),
                code="empty_client",
            )
            raise DecoratorError.of(target.__qualname__, [fault])
        if catalog is not None:
            setattr(target, _CATALOG, catalog)
        check_client(target, _catalog_of(target))
        if senders_of(target):
            _take_app(target)
        component(**options)(target)
        return target

    return decorate if cls is None else decorate(cls)


def senders_of(cls: type[object]) -> dict[str, TaskSender[..., object]]:
    """Return the senders of a class, own and inherited, by attribute."""
    found: dict[str, TaskSender[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            if isinstance(member, TaskSender):
                found[name] = member
            else:
                found.pop(name, None)
    return found


def check_client(cls: type[object], catalog: Catalog) -> None:
    """Compare the senders of a class that are given by name with the contracts."""
    faults = client_faults(cls, catalog)
    if faults:
        raise conformance_error(cls.__qualname__, faults)


def client_faults(cls: type[object], catalog: Catalog, implied: dict[str, TaskDefinition] | None = None) -> list[Fault]:
    """Return what is wrong with the senders of a class that are given by name."""
    faults: list[Fault] = []
    for sender in senders_of(cls).values():
        if sender.method is None:
            continue
        definition = sender._resolve(catalog) or (implied or {}).get(sender.name)
        if definition is not None:
            found = [] if sender._checked_against is definition else _compare(sender.method, definition)
            sender._checked_against = None if found else definition
            faults.extend(found)
        elif catalog.owner_of(sender.name) is not None:
            faults.append(catalog.unknown(sender.name, (sender.where,)))
    return faults


def _catalog_of(cls: type[object]) -> Catalog:
    catalog = getattr(cls, _CATALOG, default_catalog)
    return catalog if isinstance(catalog, Catalog) else default_catalog


def bind_client(client: object, app: Celery) -> None:
    """Give a client its application, and warn of names that no contract declares."""
    check_client(type(client), _catalog_of(type(client)))
    object.__setattr__(client, APP_ATTRIBUTE, app)  # also where the class is a frozen dataclass
    remember_client(app, type(client))
    for sender in senders_of(type(client)).values():
        if not sender.resolved:
            warn_undeclared(sender.name, sender.where)


def _compare(method: Callable[..., object], definition: TaskDefinition) -> list[Fault]:
    signature = read_signature(method, definition.name)
    faults = compare_signature(definition, signature, "client")
    annotation = signature.result
    if annotation in {MISSING, Any, CeleryAsyncResult, AsyncResult} or any(
        f.path == "return" for f in signature.faults
    ):
        return faults
    wanted = definition.result.annotation
    origin = get_origin(annotation)
    if (
        inspect.isclass(origin)
        and issubclass(origin, CeleryAsyncResult)
        and is_assignable(wanted, get_args(annotation)[0])
    ):
        return faults
    return [
        *faults,
        Fault(
            task=definition.name,
            path="return",
            expected=f"AsyncResult[{type_name(wanted)}]",
            got=type_name(annotation),
            remedy="use the contract's result",
            where=(definition.where, signature.where),
            code="result",
        ),
    ]


def _has_tasks(cls: type[object]) -> bool:
    return any(marks_of(member).implementation for base in cls.__mro__ for member in vars(base).values())


def _take_app(cls: type[Any]) -> None:
    """Let the constructor of a class take the application, beside what it takes already."""
    if not cls.__dictoffset__:
        fault = Fault(
            task=cls.__name__,
            expected="a class whose instances can keep their application",
            got="one with __slots__ and nothing else",
            remedy="leave slots=True or __slots__ out",
            code="slots",
        )
        raise DecoratorError.of(cls.__qualname__, [fault])
    original = cls.__init__
    if getattr(original, _BINDS, False):
        return
    plain = original is object.__init__
    own = [] if plain else list(inspect.signature(original).parameters.values())
    own_app = None if plain else _app_parameter(original, [parameter.name for parameter in own])

    @wraps(original)
    def __init__(self: object, *args: object, **kwargs: Any) -> None:  # noqa: N807 - it becomes the class's constructor
        app = None if own_app else kwargs.pop(_INJECTED, None)
        if plain and args:
            app, args = args[0], args[1:]
        original(self, *args, **kwargs)
        if own_app is not None:
            app = inspect.signature(original).bind(self, *args, **kwargs).arguments.get(own_app)
        if app is not None:
            bind_client(self, app)

    if own_app is None:
        self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        injected = inspect.Parameter(_INJECTED, inspect.Parameter.KEYWORD_ONLY, annotation=Celery)
        before = [p for p in own or [self_parameter] if p.kind is not inspect.Parameter.VAR_KEYWORD]
        after = [p for p in own if p.kind is inspect.Parameter.VAR_KEYWORD]
        __init__.__signature__ = inspect.Signature([*before, injected, *after])  # type: ignore[attr-defined]  # what the container reads
        __init__.__annotations__ = {**getattr(original, "__annotations__", {}), _INJECTED: Celery}
    setattr(__init__, _BINDS, True)
    cls.__init__ = __init__


def _app_parameter(init: Callable[..., object], names: list[str]) -> str | None:
    try:
        hints = get_type_hints(init)
    except Exception:  # noqa: BLE001 - what does not resolve is the container's to report
        hints = {}
    named = next((name for name, hint in hints.items() if hint is Celery), None)
    return named or (_INJECTED if _INJECTED in names else None)
