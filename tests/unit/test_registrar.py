"""Claims about registration: real containers, every component checked at start, all faults in one error."""

import types
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import pico_boot
import pytest
from celery import Celery
from pico_ioc import DictSource, PicoContainer, cleanup, component, configuration, factory, provides
from pydantic import BaseModel

from pico_celery import (
    AsyncResult,
    CeleryClient,
    ConformanceError,
    ContractDefinition,
    DecoratorError,
    Fault,
    PayloadError,
    PicoTaskRegistrar,
    RegistrationPolicy,
    UndeclaredTaskWarning,
    UnknownTaskError,
    celery,
    contract,
    send_task,
    task,
)
from pico_celery.contract.marks import marks_of
from pico_celery.contract.signature import location_of
from pico_celery.worker.registrations import registrations_of

Boot = Callable[..., PicoContainer]


class Order(BaseModel):
    id: int


@contract("unit_registrar")
class Orders(Protocol):
    async def place(self, order: Order, *, dry_run: bool = False) -> int: ...

    async def cancel(self, order_id: int) -> None: ...


@contract("unit_registrar_more")
class MoreOrders(Orders, Protocol):
    async def archive(self) -> int: ...


def where(method: Any) -> str:
    definition = marks_of(method).definition
    assert definition is not None
    return definition.where


def faults_of(start: Callable[[], Any], expected: type[ConformanceError] = ConformanceError) -> tuple[Fault, ...]:
    with pytest.raises(expected) as raised:
        start()
    assert type(raised.value) is expected
    assert raised.value.subject == "the application"
    return raised.value.faults


def run(container: PicoContainer, name: str, *args: Any, **kwargs: Any) -> Any:
    return container.get(Celery).tasks[name].delay(*args, **kwargs).get()


def test_tasks_by_reference_and_by_name_are_registered_and_run(boot: Boot) -> None:
    @component
    class Worker:
        @task(Orders.place, max_retries=7, rate_limit="5/s")
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            assert isinstance(order, Order)
            return order.id + dry_run

        @task("unit_registrar.cancel")
        async def drop(self, order_id: int) -> None: ...

    container = boot(Worker)
    app = container.get(Celery)
    registered = app.tasks["unit_registrar.place"]
    assert (registered.max_retries, registered.rate_limit) == (7, "5/s")
    assert run(container, "unit_registrar.place", {"id": 5}, dry_run=True) == 6
    assert run(container, "unit_registrar.cancel", order_id=1) is None
    bindings = {b.definition.name: b.method.rsplit(".", 2)[-2:] for b in container.get(PicoTaskRegistrar).bindings}
    assert bindings == {"unit_registrar.place": ["Worker", "place"], "unit_registrar.cancel": ["Worker", "drop"]}


def test_pico_boot_finds_the_library_by_its_entry_point(module_of: Callable[..., types.ModuleType]) -> None:
    @component
    class Worker:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    settings = {"celery": {"broker_url": "memory://", "backend_url": "cache+memory://", "task_always_eager": True}}
    container = pico_boot.init(modules=[module_of(Worker)], config=configuration(DictSource(settings)))
    try:
        assert "unit_registrar.cancel" in container.get(Celery).tasks
    finally:
        container.shutdown()


def test_faults_of_all_components_are_in_one_error_with_both_places(boot: Boot) -> None:
    @component
    class One:
        @task(Orders.place)  # type: ignore[arg-type]
        async def place(self, ordre: Order, *, dry_run: bool = False) -> int: ...  # type: ignore[empty-body]

    @component
    class Two:
        @task("unit_registrar.cancel")
        async def cancel(self, order_id: str) -> int: ...  # type: ignore[empty-body]

        @task("unit_registrar.cancle")
        async def other(self) -> None: ...

    @component
    class Three:
        @task(MoreOrders.archive)  # type: ignore[arg-type]
        async def archive(self) -> str: ...  # type: ignore[empty-body]

    faults = faults_of(lambda: boot(One, Two, Three))
    assert [(f.task, f.path, f.code) for f in faults] == [
        ("unit_registrar.cancel", "order_id", "type"),
        ("unit_registrar.cancel", "return", "result"),
        ("unit_registrar.cancle", "", "unknown_task"),
        ("unit_registrar.place", "order", "missing_parameter"),
        ("unit_registrar.place", "ordre", "extra_parameter"),
        ("unit_registrar_more.archive", "return", "result"),
    ]
    assert faults[0].where == (where(Orders.cancel), location_of(Two.cancel))
    assert faults[5].where == (where(MoreOrders.archive), location_of(Three.archive))


def test_nothing_is_registered_when_anything_is_wrong(boot: Boot) -> None:
    own = Celery("unit_nothing_registered", broker="memory://", set_as_current=False)

    @factory
    class Apps:
        @provides(Celery, scope="singleton")
        def app(self) -> Celery:
            return own

    @component
    class Worker:
        @task(Orders.place)
        async def place(self, order: Order, *, dry_run: bool = False) -> int: ...  # type: ignore[empty-body]

        @task(Orders.cancel)  # type: ignore[arg-type]
        async def cancel(self) -> None: ...

    faults_of(lambda: boot(Apps, Worker))
    assert not [name for name in own.tasks if name.startswith("unit_")]


def test_an_unknown_name_in_an_owned_domain_comes_with_the_nearest_names(boot: Boot) -> None:
    @component
    class Worker:
        @task("unit_registrar.plaec")
        async def place(self, order: Order) -> int: ...  # type: ignore[empty-body]

    (fault,) = faults_of(lambda: boot(Worker), UnknownTaskError)
    assert fault.task == "unit_registrar.plaec"
    assert fault.expected == "a task of the contract 'unit_registrar'"
    assert fault.remedy.startswith("did you mean 'unit_registrar.place'")
    contract_where: ContractDefinition | None = marks_of(Orders).contract
    assert contract_where is not None
    assert fault.where == (location_of(Worker.place), contract_where.where)


def test_a_component_that_inherits_a_contract_implements_all_of_it(boot: Boot) -> None:
    @component
    class Worker(MoreOrders):
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            return order.id

    faults = faults_of(lambda: boot(Worker))
    assert [(f.task, f.code, f.got) for f in faults] == [
        ("unit_registrar.cancel", "not_implemented", "none"),
        ("unit_registrar_more.archive", "not_implemented", "none"),
    ]
    assert "which inherits MoreOrders" in faults[1].expected
    assert faults[1].remedy.startswith("write async def archive in ")
    assert faults[1].remedy.endswith("Worker, or do not inherit the contract")
    assert faults[1].where[0] == where(MoreOrders.archive)


def test_a_component_that_inherits_a_contract_needs_no_decorators(boot: Boot) -> None:
    @component
    class Worker(MoreOrders):
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            return order.id

        async def cancel(self, order_id: int) -> None: ...

        async def archive(self) -> int:
            return 7

    container = boot(Worker)
    assert run(container, "unit_registrar.place", Order(id=3)) == 3
    assert run(container, "unit_registrar_more.archive") == 7


def test_an_inherited_implementation_that_differs_is_told(boot: Boot) -> None:
    @component
    class Worker(Orders):
        async def place(self, order: Order, *, dry: bool = False) -> int: ...  # type: ignore[override, empty-body]

        def cancel(self, order_id: int) -> None: ...  # type: ignore[override]

    assert {(f.task, f.code) for f in faults_of(lambda: boot(Worker))} == {
        ("unit_registrar.place", "missing_parameter"),
        ("unit_registrar.place", "extra_parameter"),
        ("unit_registrar.cancel", "not_async"),
    }


def test_a_subclass_that_overrides_a_task_without_the_decorator_is_what_runs(boot: Boot) -> None:
    class Base:
        @task(Orders.cancel)
        @abstractmethod
        async def cancel(self, order_id: int) -> None: ...

        @task(Orders.place)
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            return 1

    @component
    class Worker(Base):
        async def cancel(self, order_id: int) -> None: ...  # type: ignore[override]

        async def place(self, order: Order, *, dry_run: bool = False) -> int:  # type: ignore[override]
            return 2

    assert run(boot(Worker), "unit_registrar.place", {"id": 1}) == 2


def test_an_override_that_differs_from_the_contract_is_told(boot: Boot) -> None:
    class Base:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    @component
    class Worker(Base):
        async def cancel(self, order_id: str) -> None: ...  # type: ignore[override]

    (fault,) = faults_of(lambda: boot(Worker))
    assert (fault.task, fault.path, fault.code) == ("unit_registrar.cancel", "order_id", "type")
    assert fault.where[1] == location_of(Worker.cancel)


def test_two_implementations_of_one_task_name_both(boot: Boot) -> None:
    @component
    class One:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    @component
    class Two:
        @task("unit_registrar.cancel")
        async def drop(self, order_id: int) -> None: ...

    (fault,) = faults_of(lambda: boot(One, Two))
    assert (fault.task, fault.code, fault.expected) == (
        "unit_registrar.cancel",
        "implemented_twice",
        "one implementation",
    )
    assert "One.cancel" in fault.got
    assert "Two.drop" in fault.got
    assert fault.remedy == "remove one of them, or its component from the container"
    assert set(fault.where) == {location_of(One.cancel), location_of(Two.drop)}


def test_two_implementations_in_one_class_are_told(boot: Boot) -> None:
    @component
    class One:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

        @task(Orders.cancel)
        async def drop(self, order_id: int) -> None: ...

    (fault,) = faults_of(lambda: boot(One))
    assert fault.code == "implemented_twice"


def app_factory(app: Celery) -> type[Any]:
    @factory
    class Apps:
        @provides(Celery, scope="singleton")
        def app(self) -> Celery:
            return app

    return Apps


def test_a_plain_celery_task_of_the_same_name_is_named(boot: Boot, celery_app: Celery) -> None:
    @celery_app.task(name="unit_registrar.cancel", shared=False)
    def plain(order_id: int) -> None: ...

    @component
    class Worker:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    (fault,) = faults_of(lambda: boot(app_factory(celery_app), Worker))
    assert fault.code == "implemented_twice"
    assert "plain, a plain Celery task" in fault.got
    assert fault.where[0].startswith(__file__)


def test_plain_tasks_of_other_names_stay(boot: Boot, celery_app: Celery) -> None:
    @celery_app.task(name="unit_plain.other", shared=False)
    def plain() -> int:
        return 5

    @component
    class Worker:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    boot(app_factory(celery_app), Worker)
    assert {"unit_plain.other", "unit_registrar.cancel"} <= set(celery_app.tasks)


def test_a_container_that_is_started_again_on_the_same_application_takes_over(boot: Boot, celery_app: Celery) -> None:
    @component
    class Worker:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    apps = app_factory(celery_app)
    boot(apps, Worker)
    second = boot(apps, Worker)
    assert vars(type(celery_app.tasks["unit_registrar.cancel"]))["binding"].container is second
    (registration,) = registrations_of(celery_app)
    assert Worker in registration.components


# --- names that no contract declares


def undeclared_worker() -> type[Any]:
    @component
    class Mailer:
        @task("unit_undeclared.send")
        async def send(self, to: str, count: int = 1) -> dict:  # type: ignore[type-arg]
            return {"to": to, "count": count}

    return Mailer


def test_an_undeclared_task_is_warned_of_once_and_checked_by_its_own_signature(boot: Boot) -> None:
    mailer = undeclared_worker()
    with pytest.warns(UndeclaredTaskWarning) as caught:  # noqa: PT031 - one warning for both
        container = boot(mailer)
        boot(mailer)
    assert len(caught) == 1
    assert "no contract declares the task 'unit_undeclared.send'" in str(caught[0].message)
    assert "declare it in a @contract class" in str(caught[0].message)
    assert run(container, "unit_undeclared.send", "a", count="2") == {"to": "a", "count": 2}
    with pytest.raises(PayloadError, match=r"count: expected int"):
        run(container, "unit_undeclared.send", "a", count="x")


def test_client_and_worker_of_an_undeclared_name_are_warned_of_together(boot: Boot) -> None:
    @celery
    class Client(CeleryClient):
        @send_task("unit_undeclared.send")
        def send(self, to: str, count: int = 1): ...  # type: ignore[no-untyped-def]

    with pytest.warns(UndeclaredTaskWarning) as caught:  # noqa: PT031 - one warning for both
        container = boot(undeclared_worker(), Client)
        assert container.get(Client).send(to="a").get() == {"to": "a", "count": 1}
    assert len(caught) == 1


def test_strict_contracts_make_an_undeclared_name_an_error(boot: Boot) -> None:
    @celery
    class Client(CeleryClient):
        @send_task("unit_undeclared.other")
        def other(self): ...  # type: ignore[no-untyped-def]

    mailer = undeclared_worker()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeclaredTaskWarning)  # the container may make the client first
        faults = faults_of(lambda: boot(mailer, Client, settings={"strict_contracts": True}), UnknownTaskError)
    assert [(f.task, f.expected, f.got) for f in faults] == [
        ("unit_undeclared.other", "a declared task", "a name that no contract declares"),
        ("unit_undeclared.send", "a declared task", "a name that no contract declares"),
    ]
    assert faults[1].where == (location_of(mailer.send),)
    assert boot(settings={"strict_contracts": True}).get(RegistrationPolicy).strict_contracts is True


def test_a_client_of_an_undeclared_name_is_compared_with_the_implementation(boot: Boot) -> None:
    mailer = undeclared_worker()

    @celery
    class Client(CeleryClient):
        @send_task("unit_undeclared.send")
        def send(self, too: str, count: str = "1") -> AsyncResult[int]: ...  # type: ignore[empty-body]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeclaredTaskWarning)
        faults = faults_of(lambda: boot(mailer, Client))
    assert {(f.path, f.code) for f in faults} == {
        ("to", "missing_parameter"),
        ("too", "extra_parameter"),
        ("count", "type"),
        ("count", "default"),
        ("return", "result"),
    }
    assert {f.where for f in faults} == {(location_of(mailer.send), location_of(Client.send.method))}  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ["args", "kwargs", "positional_only", "untyped"])
def test_undeclared_signatures_of_every_shape_run(shape: str, boot: Boot) -> None:
    @component
    class Odd:
        if shape == "args":

            @task("unit_undeclared.odd")
            async def odd(self, a: int, *rest: Any) -> Any:
                return [a, *rest]
        elif shape == "kwargs":

            @task("unit_undeclared.odd")
            async def odd(self, a: int, **rest: Any) -> Any:  # type: ignore[misc]
                return [a, *rest.values()]
        elif shape == "positional_only":

            @task("unit_undeclared.odd")
            async def odd(self, a: int, b: int, /) -> Any:  # type: ignore[misc]
                return [a, b]
        else:

            @task("unit_undeclared.odd")
            async def odd(self, a, b=2):  # type: ignore[no-untyped-def]
                return [a, b]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeclaredTaskWarning)
        container = boot(Odd)
    if shape == "kwargs":
        assert run(container, "unit_undeclared.odd", 1, b=2) == [1, 2]
    else:
        assert run(container, "unit_undeclared.odd", 1, 2) == [1, 2]


# --- every kind of component


class Worker:
    @task(Orders.cancel)
    async def cancel(self, order_id: int) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "a-name"},
        {"lazy": True},
        {"scope": "prototype"},
        {"scope": "request"},
        {"primary": True},
        {"qualifiers": ["q"]},
    ],
    ids=str,
)
def test_a_component_is_found_however_it_is_declared(options: dict[str, Any], boot: Boot) -> None:
    decorated: type[Any] = component(**options)(type("Decorated", (Worker,), {}))
    container = boot(decorated)
    assert len(container.get(PicoTaskRegistrar).bindings) == 1
    assert run(container, "unit_registrar.cancel", 1) is None


def test_a_component_that_a_factory_provides_is_found(boot: Boot) -> None:
    made: list[str] = []

    class Plain(Worker):
        def __init__(self, name: str) -> None:
            made.append(name)

    @factory
    class Makers:
        @provides(Plain, scope="singleton")
        def make(self) -> Plain:
            return Plain("made")

    container = boot(Makers)
    assert run(container, "unit_registrar.cancel", 1) is None
    assert made == ["made"]


def test_a_component_that_a_factory_provides_as_its_base_is_never_silent(boot: Boot) -> None:
    class Port:
        pass

    class Plain(Port, Worker):
        pass

    @factory
    class Makers:
        @provides(Port, scope="singleton")
        def make(self) -> Plain:
            return Plain()

    assert "unit_registrar.cancel" in boot(Makers).get(Celery).tasks


def test_a_celery_class_may_hold_tasks_and_senders(boot: Boot) -> None:
    @celery
    class Both:
        place = send_task(Orders.place)

        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...

    container = boot(Both)
    assert run(container, "unit_registrar.cancel", 1) is None
    assert container.get(Both).place.definition.name == "unit_registrar.place"


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_request_scoped_dependencies_live_for_one_task(fails: bool, boot: Boot) -> None:
    events: list[str] = []

    @component(scope="request")
    class Session:
        def __init__(self) -> None:
            events.append("open")

        @cleanup
        async def close(self) -> None:
            events.append("close")

    @component(scope="request")
    class Scoped:
        def __init__(self, session: Session) -> None:
            self.session = session

        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None:
            events.append("run")
            if fails:
                raise KeyError(order_id)

    container = boot(Session, Scoped)
    for _ in range(2):
        container.get(Celery).tasks["unit_registrar.cancel"].delay(1).get(propagate=False)
    assert events == ["open", "run", "close"] * 2


def test_a_payload_error_comes_before_injection_and_is_never_retried(boot: Boot) -> None:
    events: list[str] = []

    @component(lazy=True, scope="prototype")
    class Eager:
        def __init__(self) -> None:
            events.append("made")

        @task(Orders.place, autoretry_for=(Exception,), max_retries=3, default_retry_delay=0)
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            events.append("run")
            raise KeyError

        @task(Orders.cancel, autoretry_for=(Exception,), max_retries=2, default_retry_delay=0)
        async def cancel(self, order_id: int) -> None:
            events.append("cancel")
            raise KeyError

    tasks = boot(Eager).get(Celery).tasks
    result = tasks["unit_registrar.place"].apply(kwargs={"order": {"id": "x"}})
    assert result.state == "FAILURE"
    with pytest.raises(PayloadError) as raised:
        result.get()
    assert raised.value.paths == ("order.id",)
    assert events == []
    assert tasks["unit_registrar.cancel"].apply((1,)).state == "FAILURE"
    assert events.count("cancel") == 3, "what user code raises is retried"


def test_a_result_that_the_contract_does_not_allow_is_a_failure_and_never_retried(boot: Boot) -> None:
    from pico_celery import ResultError

    runs: list[int] = []

    @component
    class Wrong:
        @task(Orders.place, autoretry_for=(Exception,), max_retries=3, default_retry_delay=0)
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            runs.append(1)
            return "many"  # type: ignore[return-value]

    result = boot(Wrong).get(Celery).tasks["unit_registrar.place"].apply(({"id": 1},))
    with pytest.raises(ResultError) as raised:
        result.get()
    assert raised.value.paths == ("return",)
    assert raised.value.faults[0].remedy == "correct the implementation, or widen the contract's result"
    assert runs == [1]


# --- the decorator


def decorator_fault(use: Callable[[], Any]) -> Fault:
    with pytest.raises(DecoratorError) as raised:
        use()
    assert isinstance(raised.value, TypeError)
    (fault,) = raised.value.faults
    return fault


def test_a_task_must_be_async(boot: Boot) -> None:
    wrong: Any = task("unit_registrar.cancel")

    def blocking(self: Any, order_id: int) -> None: ...

    async def stream(self: Any) -> Any:
        yield 1

    fault = decorator_fault(lambda: wrong(blocking))
    assert (fault.task, fault.expected, fault.got) == ("unit_registrar.cancel", "an async def method", "def")
    assert fault.remedy == "write async def; call blocking code with asyncio.to_thread"
    assert fault.where == (location_of(blocking),)
    assert decorator_fault(lambda: wrong(stream)).got == "an async generator"
    assert decorator_fault(lambda: wrong(5)).code == "not_async"


def test_a_reference_must_be_of_a_contract() -> None:
    class NoContract(Protocol):
        async def run(self) -> None: ...

    wrong: Any = task
    fault = decorator_fault(lambda: wrong(NoContract.run))
    assert fault.expected == "a contract's method, such as Orders.place, or a task name"
    remedy = "write @task(Orders.place), where Orders is a @contract class, or @task('orders.place')"
    assert fault.remedy == remedy
    assert fault.where[0].startswith(__file__)
    assert decorator_fault(lambda: wrong()).remedy == remedy  # noqa: PLW0108 - the overloads take an argument
    assert decorator_fault(lambda: wrong("")).code == "not_a_contract_method"


def test_task_returns_the_same_function_and_combines_with_an_async_decorator(boot: Boot) -> None:
    import functools

    def logged(method: Any) -> Any:
        @functools.wraps(method)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await method(*args, **kwargs)

        return wrapper

    async def cancel(self: Any, order_id: int) -> None: ...

    assert task(Orders.cancel)(cancel) is cancel

    @component
    class Wrapped:
        @task(Orders.place)
        @logged
        async def place(self, order: Order, *, dry_run: bool = False) -> int:
            return 4

    assert run(boot(Wrapped), "unit_registrar.place", {"id": 1}) == 4


def test_a_task_on_a_class_that_is_no_component_of_the_container_is_not_registered(boot: Boot) -> None:
    assert "unit_registrar.cancel" not in boot(Worker).get(Celery).tasks
