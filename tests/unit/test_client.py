"""Claims about clients: how they are built and bound, what a call checks before it is published, what it returns."""

import asyncio
import copy
import inspect
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import pytest
from celery import Celery, chain, group
from celery.result import AsyncResult as CeleryAsyncResult
from pico_ioc import PicoContainer, component
from pydantic import BaseModel, Field, SecretStr

from pico_celery import (
    AsyncResult,
    Catalog,
    CeleryClient,
    DecoratorError,
    PayloadError,
    RemoteError,
    ResultError,
    TaskSender,
    UnboundClientError,
    UndeclaredTaskWarning,
    celery,
    contract,
    send_task,
    task,
)
from pico_celery.contract.marks import marks_of


class Line(BaseModel):
    sku: str
    quantity: int = Field(gt=0)


class Order(BaseModel):
    id: int
    lines: list[Line] = []


class Receipt(BaseModel):
    total: int


@contract("unit_client")
class Orders(Protocol):
    """Orders of these tests."""

    async def place(self, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt:
        """Book the order."""
        ...

    async def cancel(self, order_id: int) -> None: ...

    async def login(self, password: SecretStr) -> SecretStr: ...

    async def fail(self, message: str) -> int: ...


class Client(CeleryClient):
    place = send_task(Orders.place)
    cancel = send_task(Orders.cancel)
    login = send_task(Orders.login)
    fail = send_task(Orders.fail)


@pytest.fixture
def closed_app(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """An application with which nothing may be published."""

    def publish(*_args: Any, **_kwargs: Any) -> None:
        pytest.fail("a refused call was published")

    monkeypatch.setattr(celery_app, "send_task", publish)
    monkeypatch.setattr(celery_app.amqp, "send_task_message", publish)
    return celery_app


# --- a call is checked before it is published

ORDER = {"id": 1}
REFUSED: dict[str, tuple[Callable[[Any], Any], list[tuple[str, str, str, str, str]]]] = {
    "missing": (lambda c: c.place(), [("order", "missing_argument", "a value of type Order", "nothing", "pass it")]),
    "unknown": (lambda c: c.place(ORDER, dryrun=True), [("dryrun", "unexpected_argument", "", "", "did you mean 'dry_run'?")]),
    "too many": (lambda c: c.place(ORDER, 1, True), [("", "too_many_arguments", "at most 2 positional arguments", "3", "pass the others by name")]),
    "twice": (lambda c: c.cancel(1, order_id=2), [("order_id", "given_twice", "", "", "leave one out")]),
    "wrong type": (lambda c: c.cancel("x"), [("order_id", "int_parsing", "int", "'x' (str)", "")]),
    "wrong below": (
        lambda c: c.place({"id": "x", "lines": [{"sku": "a", "quantity": 0}, {"quantity": 1}]}),
        [
            ("order.id", "int_parsing", "int", "'x' (str)", ""),
            ("order.lines.0.quantity", "greater_than", "a value greater than 0", "0 (int)", ""),
            ("order.lines.1.sku", "missing", "a value", "nothing", ""),
        ],
    ),
    "wrong and unknown and missing": (
        lambda c: c.place(count="x", force=1),
        [
            ("count", "int_parsing", "int", "'x' (str)", ""),
            ("force", "unexpected_argument", "", "", "did you mean 'order'?"),
            ("order", "missing_argument", "a value of type Order", "nothing", "pass it"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("options", [False, True], ids=["plain", "with_options"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_call_that_does_not_fit_is_refused_before_anything_is_published(
    case: str, options: bool, closed_app: Celery
) -> None:
    call, wanted = REFUSED[case]
    client: Any = Client(closed_app)
    if options:
        client = type(
            "Options", (), {name: getattr(client, name).with_options(countdown=1) for name in ("place", "cancel")}
        )
    with pytest.raises(PayloadError) as raised:
        call(client)
    error = raised.value
    assert isinstance(error, TypeError)
    assert [(f.path, f.code, f.expected, f.got, f.remedy) for f in error.faults] == wanted
    assert error.task in {"unit_client.place", "unit_client.cancel"}
    assert f"{error.task}: the arguments do not fit the contract, " in str(error)


def test_only_what_the_caller_passed_is_sent_by_name(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Any, ...]] = []

    def send(name: str, args: Any, kwargs: Any, **options: Any) -> Any:
        sent.append((name, args, kwargs, options["argsrepr"], options["kwargsrepr"], options["headers"]))
        return options["result_cls"]("id")

    monkeypatch.setattr(celery_app, "send_task", send)
    client = Client(celery_app)
    result = client.place(Order(id=1), dry_run=True)
    assert type(result) is AsyncResult
    definition = marks_of(Orders.place).definition
    assert definition is not None
    assert sent[-1] == (
        "unit_client.place",
        (),
        {"order": {"id": 1, "lines": []}, "dry_run": True},
        "()",
        "{'order': Order(id=1, lines=[]), 'dry_run': True}",
        {"pico_contract": "unit_client", "pico_digest": definition.digest},
    )
    client.cancel(5)
    assert sent[-1][2] == {"order_id": 5}
    client.login(SecretStr("hunter2"))
    assert sent[-1][2] == {"password": "hunter2"}
    assert "hunter2" not in sent[-1][4]


# --- building and binding


@pytest.mark.parametrize("name", ["asend", "acall", "asend_many"])
def test_what_others_take_for_a_coroutine_function_is_one(celery_app: Celery, name: str) -> None:
    """Frameworks that are given a function, such as Starlette's background tasks, await it only then."""
    method = getattr(Client(celery_app).place, name)
    assert asyncio.iscoroutinefunction(method)
    assert inspect.iscoroutinefunction(method)


def test_a_client_that_has_no_application_says_what_to_do() -> None:
    @celery
    class Unbound:
        place = send_task(Orders.place)

    with pytest.raises(UnboundClientError) as raised:
        Unbound().place(Order(id=1))
    assert str(raised.value).startswith(
        "Unbound.place cannot send 'unit_client.place': this Unbound has no Celery application; take it from the "
        "container, or build it with one: "
    )
    assert raised.value.data["task"] == "unit_client.place"


def test_the_remedy_of_an_unbound_client_works_for_every_kind_of_client(celery_app: Celery) -> None:
    @celery
    class Plain:
        place = send_task(Orders.place)

    @celery
    class Derived(CeleryClient):
        place = send_task(Orders.place)

    @celery
    class Own(CeleryClient):
        place = send_task(Orders.place)

        def __init__(self, application: Celery) -> None:
            super().__init__(application)

    @celery
    class Careless(CeleryClient):
        place = send_task(Orders.place)

        def __init__(self) -> None:
            """Forget the application."""

    kinds: list[Any] = [Plain, Derived, Own, Careless, Client]
    for cls in kinds:
        with pytest.raises(UnboundClientError) as raised:
            _ = cls.__new__(cls).place
        remedy = str(raised.value).rsplit("build it with one: ", 1)[1]
        client = eval(remedy, {cls.__name__: cls, "app": celery_app})
        assert client.place.definition.name == "unit_client.place"


def test_on_the_class_a_sender_is_itself() -> None:
    assert isinstance(Client.place, TaskSender)
    assert Client.place.name == "unit_client.place"
    assert Client.place.__doc__ == "Book the order."


class Dependency:
    pass


def test_a_client_may_have_dependencies_of_its_own(celery_app: Celery) -> None:
    @celery
    class Own:
        place = send_task(Orders.place)

        def __init__(self, dependency: Dependency, *, other: int = 5) -> None:
            self.dependency = dependency
            self.other = other

    dependency = Dependency()
    client: Any = Own(dependency, other=6, celery_app=celery_app)  # type: ignore[call-arg]
    assert (client.dependency, client.other) == (dependency, 6)
    assert client.place.definition.name == "unit_client.place"


@pytest.mark.parametrize("name", ["app", "celery_app"])
def test_a_client_may_take_the_application_itself_by_any_name(name: str, celery_app: Celery) -> None:
    if name == "app":

        @celery
        class Own:
            place = send_task(Orders.place)

            def __init__(self, app: Celery, number: int = 1) -> None:
                self.mine = app
    else:

        @celery
        class Own:  # type: ignore[no-redef]
            place = send_task(Orders.place)

            def __init__(self, celery_app: Celery, number: int = 1) -> None:
                self.mine = celery_app

    for client in (Own(celery_app), Own(**{name: celery_app})):  # type: ignore[arg-type]
        assert client.mine is celery_app
        assert client.place.definition.name == "unit_client.place"


def test_an_unannotated_celery_app_parameter_does_not_break_the_class(celery_app: Celery) -> None:
    @celery
    class Own:
        place = send_task(Orders.place)

        def __init__(self, celery_app):  # type: ignore[no-untyped-def]
            self.mine = celery_app

    assert Own(celery_app).mine is celery_app  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("arguments", [{}, {"frozen": True}, {"kw_only": True}], ids=str)
def test_a_client_may_be_a_dataclass(arguments: dict[str, bool], celery_app: Celery) -> None:
    @celery
    @dataclass(**arguments)
    class Own:
        number: int
        place = send_task(Orders.place)

    client: Any = Own(number=5, celery_app=celery_app)  # type: ignore[call-arg]
    assert client.number == 5
    assert client.place.definition.name == "unit_client.place"


def test_a_client_that_cannot_keep_its_application_is_refused() -> None:
    with pytest.raises(DecoratorError, match="leave slots=True or __slots__ out"):

        @celery
        @dataclass(slots=True)
        class Own:
            number: int
            place = send_task(Orders.place)


def test_clients_inherit_senders_and_may_drop_them(celery_app: Celery) -> None:
    @celery
    class Base:
        place = send_task(Orders.place)
        cancel = send_task(Orders.cancel)

    @celery
    class Derived(Base):
        cancel = None  # type: ignore[assignment]
        login = send_task(Orders.login)

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    client: Any = Derived(3, celery_app=celery_app)  # type: ignore[call-arg]
    assert (client.number, client.cancel) == (3, None)
    assert client.place.definition.name == "unit_client.place"
    assert client.login.definition.name == "unit_client.login"


def test_the_container_gives_a_client_its_application(boot: Callable[..., PicoContainer]) -> None:
    @component
    class Mine:
        pass

    @celery
    class Plain:
        place = send_task(Orders.place)

    @celery(scope="prototype")
    class Derived(CeleryClient):
        place = send_task(Orders.place)

    @celery
    class Own:
        place = send_task(Orders.place)

        def __init__(self, mine: Mine) -> None:
            self.mine = mine

    @celery
    @dataclass
    class Data:
        mine: Mine
        place = send_task(Orders.place)

    @celery
    class Given:
        place = send_task(Orders.place)

        def __init__(self, celery_app: Celery) -> None:
            self.mine = celery_app

    container = boot(Mine, Plain, Derived, Own, Data, Given)
    for cls in (Plain, Derived, Own, Data, Given):
        client: Any = container.get(cls)
        assert client.place._app is container.get(Celery)
    assert container.get(Own).mine is container.get(Mine)
    assert container.get(Derived) is not container.get(Derived)


def test_a_client_is_injected_into_another_component(boot: Callable[..., PicoContainer]) -> None:
    @celery
    class Mailer(CeleryClient):
        place = send_task(Orders.place)

    @component
    class Service:
        def __init__(self, mailer: Mailer) -> None:
            self.mailer = mailer

    container = boot(Mailer, Service)
    assert container.get(Service).mailer is container.get(Mailer)


# --- wrong use


def decorator_fault(use: Callable[[], Any]) -> tuple[str, str, str]:
    with pytest.raises(DecoratorError) as raised:
        use()
    assert isinstance(raised.value, TypeError)
    (fault,) = raised.value.faults
    return fault.expected, fault.got, fault.remedy


class NoContract(Protocol):
    async def run(self) -> None: ...


def test_wrong_uses_say_what_to_do() -> None:
    wrong: Any = send_task
    reference = "a contract's method or a task name"
    write = "write send_task(Orders.place) or @send_task('orders.place')"
    method = "a method of a contract, such as Orders.place"
    assert decorator_fault(lambda: wrong()) == (reference, "None", write)  # noqa: PLW0108 - the overloads take no arguments
    assert decorator_fault(lambda: wrong(5)) == (reference, "5", write)
    assert decorator_fault(lambda: wrong("")) == (reference, "''", write)
    assert decorator_fault(lambda: wrong(NoContract.run)) == (
        method,
        "NoContract.run",
        "decorate NoContract with @contract",
    )
    assert decorator_fault(lambda: wrong("a.b")(5))[0] == "a method"
    empty = ("a sender or a task", "none")
    assert decorator_fault(lambda: celery(type("Empty", (), {})))[:2] == empty
    assert decorator_fault(lambda: celery()(type("Empty", (), {})))[:2] == empty
    fault = decorator_fault(lambda: celery(type("Empty", (), {})))
    assert fault[2] == "add place = send_task(Orders.place), or decorate methods with @send_task or @task"
    assert decorator_fault(lambda: AsyncResult.of(NoContract.run, "id", None)) == (  # type: ignore[arg-type]
        method,
        "NoContract.run",
        "decorate NoContract with @contract",
    )


# --- names that no contract declares


def test_an_undeclared_name_is_warned_of_once_and_works(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mailer(CeleryClient):
        @send_task("unit_undeclared_client.mail")
        def mail(self, to: str, count: int = 1):  # type: ignore[no-untyped-def]
            raise AssertionError("the body is never executed")

    with pytest.warns(UndeclaredTaskWarning) as caught:  # noqa: PT031 - one warning for both
        client = Mailer(celery_app)
        Mailer(celery_app)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "no contract declares the task 'unit_undeclared_client.mail'" in message
    assert caught[0].filename == __file__
    assert "declare it in a @contract class so that every side is checked against the same thing" in message
    monkeypatch.setattr(celery_app, "send_task", lambda name, args, kwargs, **options: (name, args, kwargs))
    assert client.mail("a", count=2) == ("unit_undeclared_client.mail", (), {"to": "a", "count": 2})  # type: ignore[comparison-overlap]
    with pytest.raises(PayloadError, match="did you mean 'to'"):
        client.mail(tto="a")  # type: ignore[call-arg]


@pytest.mark.parametrize("annotation", [None, dict, int, AsyncResult[int], CeleryAsyncResult], ids=str)
def test_the_result_of_an_undeclared_name_is_not_checked(annotation: Any, celery_app: Celery) -> None:
    def mail(self: Any, to: str): ...  # type: ignore[no-untyped-def]

    mail.__annotations__["return"] = annotation

    class Mailer(CeleryClient):
        send = send_task("unit_undeclared_client.result")(mail)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeclaredTaskWarning)
        client = Mailer(celery_app)
    assert client.send.definition.result.validate(["anything", 5]) == ["anything", 5]


# --- results


def stored(app: Celery, task_id: str, value: Any) -> None:
    app.backend.store_result(task_id, value, "SUCCESS")


def test_a_result_is_celerys_and_typed(celery_app: Celery) -> None:
    result = AsyncResult.of(Orders.place, "some-id", celery_app)
    assert isinstance(result, CeleryAsyncResult)
    assert (result.id, result.state, result.ready(), result.result) == ("some-id", "PENDING", False, None)
    stored(celery_app, "some-id", {"total": 5})
    assert result.get(timeout=timedelta(seconds=1)) == Receipt(total=5)
    assert result.result == Receipt(total=5)
    assert result.info == Receipt(total=5)
    assert result.wait(timeout=1) == Receipt(total=5)
    assert (result.state, result.successful(), result.failed(), result.ready()) == ("SUCCESS", True, False, True)
    assert asyncio.run(awaited(result)) == Receipt(total=5)
    result.forget()


async def awaited(result: Any) -> Any:
    return await result


def test_a_result_that_does_not_fit_is_a_result_error_with_task_and_path(celery_app: Celery) -> None:
    stored(celery_app, "bad-id", {"total": "x"})
    for get in (lambda r: r.get(timeout=1), lambda r: r.result, lambda r: asyncio.run(awaited(r))):
        with pytest.raises(ResultError) as raised:
            get(AsyncResult.of(Orders.place, "bad-id", celery_app))  # type: ignore[no-untyped-call]
        assert raised.value.task == "unit_client.place"
        assert raised.value.paths == ("return.total",)
        assert raised.value.faults[0].remedy == (
            "the worker's contract differs: deploy the same version of the contract on both sides"
        )


def test_results_survive_pickling_and_copying(celery_app: Celery) -> None:
    celery_app.set_current()
    result = AsyncResult.of(Orders.place, "pickled-id", celery_app)
    stored(celery_app, "pickled-id", {"total": 5})
    for again in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert type(again) is AsyncResult
        assert again == result
        assert again.definition is result.definition
        assert again.get(timeout=1) == Receipt(total=5)


def test_results_of_undeclared_names_and_of_other_catalogs_survive_copying(celery_app: Celery) -> None:
    @contract("unit_elsewhere", catalog=Catalog())
    class Elsewhere(Protocol):
        async def run(self) -> int: ...

    result = AsyncResult.of(Elsewhere.run, "id", celery_app)
    for again in (copy.copy(result), copy.deepcopy(result)):
        assert again.definition is result.definition


def test_a_result_that_nobody_keeps_cannot_be_waited_for(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_app.amqp, "send_task_message", lambda *_a, **_k: None)
    client = Client(celery_app)
    result = client.place.with_options(ignore_result=True)(Order(id=1))
    with pytest.raises(ResultError) as raised:
        result.get(timeout=1)
    assert raised.value.faults[0].remedy == "send it without ignore_result, or do not wait for it"
    assert client.cancel.with_options(ignore_result=True)(5).get(timeout=1) is None


# --- eager mode


@component
class Worker:
    @task(Orders.place)
    async def place(self, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt:
        await asyncio.sleep(0)
        return Receipt(total=order.id * count)

    @task(Orders.cancel)
    async def cancel(self, order_id: int) -> None:
        return None

    @task(Orders.login)
    async def login(self, password: SecretStr) -> SecretStr:
        return SecretStr(password.get_secret_value() + "!")

    @task(Orders.fail)
    async def fail(self, message: str) -> int:
        raise KeyError(message)


@pytest.fixture
def eager(boot: Callable[..., PicoContainer]) -> PicoContainer:
    mailer = type(
        "EagerClient", (CeleryClient,), {n: send_task(getattr(Orders, n)) for n in ("place", "cancel", "login", "fail")}
    )
    return boot(Worker, celery(mailer))


@pytest.fixture
def eager_client(eager: PicoContainer) -> Any:
    return next(eager.get(key) for key in eager.keys() if getattr(key, "__name__", "") == "EagerClient")  # noqa: SIM118


def test_eager_calls_run_where_they_are_called(eager_client: Any) -> None:
    result = eager_client.place(Order(id=2), 3)
    assert isinstance(result, AsyncResult)
    assert result.get(timeout=timedelta(seconds=1)) == result.result == result.wait() == Receipt(total=6)
    assert (result.state, result.ready(), result.successful(), result.failed()) == ("SUCCESS", True, True, False)
    assert result.definition.name == "unit_client.place"
    assert eager_client.cancel(1).get() is None
    assert eager_client.login(SecretStr("a")).get().get_secret_value() == "a!"
    assert result.maybe_throw() == Receipt(total=6)
    result.forget()


def test_eager_calls_can_be_awaited_inside_a_running_loop(eager_client: Any) -> None:
    async def main() -> list[Any]:
        return [
            await eager_client.place(Order(id=2)),
            *await asyncio.gather(*(eager_client.cancel(n) for n in range(3))),
        ]

    assert asyncio.run(main()) == [Receipt(total=2), None, None, None]


def test_an_eager_failure_is_raised_by_get_and_await(eager_client: Any) -> None:
    result = eager_client.fail("no")
    assert (result.state, result.failed()) == ("FAILURE", True)
    for get in (lambda: result.get(), lambda: asyncio.run(awaited(result)), lambda: result.maybe_throw()):  # noqa: PLW0108 - one shape for all three
        with pytest.raises(RemoteError, match=r"failed with builtins\.KeyError: 'no'; declare it") as caught:
            get()  # type: ignore[no-untyped-call]
        assert isinstance(caught.value.__cause__, KeyError), "in this process the exception itself is at hand"
    assert isinstance(result.get(propagate=False), RemoteError)


def test_eager_calls_are_checked_as_others_are(eager_client: Any) -> None:
    with pytest.raises(PayloadError):
        eager_client.place()


def test_eager_results_survive_pickling_and_copying(eager_client: Any) -> None:
    result = eager_client.place(Order(id=2))
    for again in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert again.get() == Receipt(total=2)
        assert again.id == result.id


def test_options_are_accepted_in_eager_mode(eager_client: Any) -> None:
    sender = eager_client.place.with_options(countdown=5, queue="q", headers={"a": "b"}, task_id="abc", priority=3)
    assert sender(Order(id=1)).id == "abc"


# --- Celery's own ways to call a registered task

REMEDY = "pass it"
WAYS: dict[str, Callable[[Any], Any]] = {
    "delay": lambda t: t.delay(),
    "apply_async": lambda t: t.apply_async(),
    "apply_async with arguments": lambda t: t.apply_async((), {}),
    "signature": lambda t: t.s().apply_async(),
    "immutable signature": lambda t: t.si().delay(),
    "apply": lambda t: t.apply().get(),
}


@pytest.mark.parametrize("way", WAYS)
def test_wrong_arity_is_a_payload_error_in_every_way_to_call(way: str, eager: PicoContainer) -> None:
    with pytest.raises(PayloadError) as raised:
        WAYS[way](eager.get(Celery).tasks["unit_client.cancel"])
    (fault,) = raised.value.faults
    assert (fault.task, fault.path, fault.got, fault.remedy) == ("unit_client.cancel", "order_id", "nothing", REMEDY)


def test_plain_celery_calls_get_plain_data(eager: PicoContainer) -> None:
    tasks = eager.get(Celery).tasks
    assert tasks["unit_client.place"].delay({"id": 2}, count=2).get() == {"total": 4}
    assert tasks["unit_client.place"].delay(Order(id=2)).get() == {"total": 2}
    assert tasks["unit_client.place"].apply(({"id": 2},)).get() == {"total": 2}
    assert group(tasks["unit_client.place"].s({"id": n}) for n in range(3))().get() == [{"total": n} for n in range(3)]


def test_plain_celery_calls_get_plain_data_of_secrets_too(eager: PicoContainer) -> None:
    assert eager.get(Celery).tasks["unit_client.login"].delay("a").get() == "a!"


def test_secrets_pass_a_chain(eager: PicoContainer) -> None:
    login = eager.get(Celery).tasks["unit_client.login"]
    assert chain(login.s("a"), login.s())().get() == "a!!"


def test_a_result_that_comes_between_two_looks_is_not_taken_for_the_progress_before_it(celery_app: Celery) -> None:
    progress = {"status": "PROGRESS", "result": {"total": 1}}
    metas = iter([progress, {"status": "SUCCESS", "result": {"total": 2}}])
    last: dict[str, Any] = {}

    def get_task_meta(task_id: str, **_: Any) -> dict[str, Any]:
        last.update(next(metas, last))
        return {"task_id": task_id, **last}

    backend: Any = celery_app.backend
    backend.get_task_meta = get_task_meta
    result = AsyncResult.of(Orders.place, "some-id", celery_app)
    assert result.info == Receipt(total=2)
    assert result.get(timeout=1) == Receipt(total=2)


def test_waiting_for_a_result_without_a_backend_says_what_to_set() -> None:
    app = Celery("no-backend", broker="memory://", backend="disabled://", set_as_current=False)
    result = AsyncResult.of(Orders.place, "some-id", app)

    async def wait() -> None:
        await result

    for waits in (lambda: result.get(timeout=1), lambda: asyncio.run(wait())):
        with pytest.raises(ResultError, match="set backend_url, or do not wait"):
            waits()
